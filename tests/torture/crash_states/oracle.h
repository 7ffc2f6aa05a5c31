// What may be recovered: every state after a prefix of the writes, held against what was
// found, and what kind of wrong it is if none of them fits.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "io/memory_versions.h"
#include "support/history.h"
#include "torture/report.h"

namespace freyja::torture {

struct Verdict {
  std::optional<Wrong> wrong;
  std::string what;
  std::size_t writes = 0;  // if nothing is wrong: the state is that after so many
};

// Values that have expired at the time of the clock are in no state. Immutable.
class Oracle {
 public:
  // `expiries`: of the values that have one.
  Oracle(const support::History& history, const std::map<std::string, std::uint64_t>& expiries,
         std::uint64_t clock_ms);

  Verdict Judge(const support::Contents& found, support::Bounds bounds) const;
  // Equal for bounds that allow the same states in the same order.
  io::memory::Hash128 HashOfAllowed(support::Bounds bounds) const;
  std::size_t writes() const { return states_.size() - 1; }
  const support::Contents& StateAfter(std::size_t writes) const { return states_.at(writes); }

 private:
  Verdict Classify(const support::Contents& found, support::Bounds bounds) const;
  std::optional<Wrong> ClassifyKey(const std::string& key, const std::string* found,
                                   support::Bounds bounds) const;

  const support::History& history_;
  std::set<std::string> expired_;          // values that were there and are not to be any more
  std::vector<support::Contents> states_;  // after 0, 1, ... writes
  std::vector<io::memory::Hash128> hashes_;
};

}  // namespace freyja::torture
