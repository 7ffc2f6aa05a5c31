// The audit log: what the store's compactions did, over all its opens.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/mutex.h"
#include "engine/directory.h"
#include "freyja/compaction.h"

namespace freyja::compaction {

// The file HISTORY, one JSON object a line, oldest first. It is for people: nothing in it decides
// anything, it is not synced, and lines that can't be read are passed over. When it has grown to
// kMostBytes the older half goes.
//
// Thread safety: all members may be called from any thread.
class History {
 public:
  static constexpr std::uint64_t kMostBytes = std::uint64_t{256} << 10;

  explicit History(engine::Directory& directory) : directory_(directory) {}

  Status Append(const CompactionRecord& record) FREYJA_EXCLUDES(mutex_);
  // None if there is no file.
  Result<std::vector<CompactionRecord>> Read() const FREYJA_EXCLUDES(mutex_);

 private:
  Result<std::string> ReadText() const FREYJA_REQUIRES(mutex_);
  Status DropOlderHalf(std::string text) FREYJA_REQUIRES(mutex_);

  engine::Directory& directory_;
  mutable base::Mutex mutex_;
};

}  // namespace freyja::compaction
