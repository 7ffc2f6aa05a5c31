// A store whose files lose bytes while it is open, and the rule for what it may answer then:
// the right value or an error, never a wrong value, never "no such key".
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>

#include "freyja/freyja.h"
#include "support/history.h"
#include "support/test_settings.h"
#include "torture/report.h"

namespace freyja::torture::real {

class DamagedStore {
 public:
  DamagedStore(std::filesystem::path directory, std::uint64_t seed, std::string label,
               Report& report);

  // Makes a store of several sealed segments, some of their records dead, and leaves it open.
  bool Build();
  bool Reopen();
  void Close();
  KVStore& store() { return *store_; }
  support::Dice& dice() { return dice_; }

  // A segment in that state, the more live records the better.
  std::optional<SegmentInfo> Find(SegmentState state) const;
  std::filesystem::path PathOf(const SegmentInfo& segment) const;

  // Every way of reading every key. At most `may_fail` keys may answer with an error, and
  // `must_fail` says that some do.
  bool CheckReads(std::uint64_t may_fail, bool must_fail);
  // A put of a new key, remembered if it returned.
  Status Put();
  // Compacts all there is; the damaged segment stays.
  bool CheckCompaction(const SegmentInfo& damaged, std::uint64_t may_fail);
  bool Violate(Wrong wrong, const std::string& what);

 private:
  bool CheckOne(const std::string& key, const Result<std::optional<std::string>>& answer,
                std::uint64_t& failed);
  bool CheckIterator(bool any_failed);

  const std::filesystem::path directory_;
  const std::string label_;
  Report& report_;
  support::Dice dice_;
  std::unique_ptr<KVStore> store_;
  support::Contents model_;
  std::uint64_t number_ = 0;
};

}  // namespace freyja::torture::real
