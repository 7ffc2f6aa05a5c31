// The oracle of the fault tests: which states a store may be found in when some of its writes
// failed.
//
// Every write is in one of three states:
//   acknowledged  it is in the log
//   refused       it got no sequence number: it is nowhere, and never will be. A write that
//                 fails on a store that stays writable was refused, and so is every write to a
//                 store that had turned read-only before.
//   maybe         it was what was being written when the store turned read-only: it may have
//                 reached the log. It is the last one in it, as nothing is appended after that.
// A recovered state is one after the first n writes that were not refused; n is at least the
// number of those acknowledged (after the death of the process) or durable (after a power
// cut), and the write that may be there may be among them.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "support/history.h"
#include "torture/report.h"

namespace freyja::torture {

struct Verdict {
  Wrong wrong = Wrong::kOther;
  std::string what;  // empty: all is right
};

// Not thread-safe.
class FaultOracle {
 public:
  // Of the store as it was found.
  explicit FaultOracle(support::Contents base) : base_(std::move(base)), newest_(base_) {}

  void Acknowledged(support::Write write, std::uint64_t sequence);
  void Maybe(support::Write write);
  bool has_maybe() const { return has_maybe_; }
  // All that has been acknowledged survives a power cut.
  void MadeDurable() { durable_ = acknowledged(); }
  // The store says that it does, through this sequence number.
  void SaysDurable(std::uint64_t sequence);

  // What reads must show now.
  const support::Contents& newest() const { return newest_; }
  std::size_t acknowledged() const { return writes_.size() - (has_maybe_ ? 1 : 0); }
  support::Bounds AfterKill() const { return {acknowledged(), writes_.size()}; }
  support::Bounds AfterPowerLoss() const { return {durable_, writes_.size()}; }

  Verdict Judge(const support::Contents& found, support::Bounds bounds) const;

 private:
  support::Contents base_;
  std::vector<support::Write> writes_;
  std::vector<std::uint64_t> sequences_;  // of the last record of each acknowledged write
  support::Contents newest_;
  std::size_t durable_ = 0;
  bool has_maybe_ = false;
};

}  // namespace freyja::torture
