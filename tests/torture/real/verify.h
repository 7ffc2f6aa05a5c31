// Opening what a child left behind, and judging it.
#pragma once

#include <filesystem>
#include <optional>

#include "support/history.h"
#include "torture/real/child.h"
#include "torture/real/workload.h"

namespace freyja::torture::real {

struct Verified {
  std::optional<Finding> finding;
  support::Contents contents;  // if there was no finding
};

// Opens the store, compares all ways of reading, judges what it holds, verifies every checksum;
// closes it and opens it once more, when nothing may have changed. No store there at all is what
// an empty ledger may leave behind.
Verified OpenAndJudge(const std::filesystem::path& directory, const Options& options,
                      const Ledger& ledger, const Ledger::Floor& floor);

// A directory of its own that goes with everything in it.
class ScratchDirectory {
 public:
  explicit ScratchDirectory(const std::filesystem::path& parent);
  ~ScratchDirectory();
  ScratchDirectory(const ScratchDirectory&) = delete;
  ScratchDirectory& operator=(const ScratchDirectory&) = delete;
  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

}  // namespace freyja::torture::real
