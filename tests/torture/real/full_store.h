// A store on a disk that fills up, held against a map of what it acknowledged.
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>

#include "freyja/freyja.h"
#include "support/history.h"
#include "support/test_settings.h"
#include "torture/report.h"

namespace freyja::torture::real {

// The steps of a life on a full disk. Each returns `false` after a violation, when there is no
// use in going on; each checks that the store is not read-only and that all it acknowledged can
// be read. Values grow with the disk, so that a run makes about as many writes on any.
class FullStore {
 public:
  FullStore(std::filesystem::path directory, const Options& options, std::uint64_t value_bytes,
            std::uint64_t seed, std::string label, Report& report);

  // Open may fail for want of space only if `may_not_fit`; `opened` says so.
  bool Open(bool may_not_fit = false);
  bool opened() const { return store_ != nullptr; }
  // Puts and overwrites until one does not fit, at most `most`; then some more, which may fit
  // or not. `full()`: one did not fit.
  bool Fill(std::uint64_t most);
  bool full() const { return full_; }
  // Removes all but one key in `keep_one_in`. A full disk has room for a number of deletes, and
  // for more of them after a compaction; if not even for that, it is a violation if they
  // `must_work`.
  bool DeleteMost(std::uint64_t keep_one_in, bool must_work = true);
  // Compacts until nothing is left to do. A job may fail for want of space; then it leaves
  // nothing behind.
  bool Compact();
  // Puts succeed again, at once or soon; `freed` says what made room.
  bool Resume(const std::string& freed);
  // The same, for when it is no violation if they don't.
  bool PutsWork(std::chrono::milliseconds patience);
  bool Reopen();

 private:
  Status Put();
  bool CheckReads(const std::string& when);
  bool CheckFiles(const std::string& when);
  bool Violate(Wrong wrong, const std::string& what);
  std::string UnlistedFile() const;

  const std::filesystem::path directory_;
  const Options options_;
  const std::uint64_t value_bytes_;
  const std::string label_;
  Report& report_;
  support::Dice dice_;
  std::unique_ptr<KVStore> store_;
  support::Contents model_;
  std::uint64_t number_ = 0;
  bool full_ = false;
  std::string last_compaction_;  // how it ended
};

}  // namespace freyja::torture::real
