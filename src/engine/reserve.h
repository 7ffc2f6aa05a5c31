// Disk space held back so that deleting, compacting and opening work on a full disk.
#pragma once

#include <atomic>
#include <cstdint>

#include "base/mutex.h"
#include "engine/directory.h"

namespace freyja::engine {

// A preallocated file, RESERVE, whose blocks are given up when a step that frees space, or
// that must not fail for want of it, finds the disk full. Puts are refused while it is not
// whole: they are not what the space is kept for.
//
// Thread safety: all members may be called from any thread.
class Reserve {
 public:
  // `bytes` 0: chosen from the segment size and the size of the disk.
  Reserve(Directory& directory, std::uint64_t bytes, std::uint64_t segment_bytes);

  // Allocates the file if it is not whole. kNoSpace: the disk is too full.
  Status Establish() FREYJA_EXCLUDES(mutex_);
  // Gives the blocks back; `false` if there was nothing to give.
  bool Release() FREYJA_EXCLUDES(mutex_);
  bool whole() const { return whole_.load(); }
  std::uint64_t bytes() const { return bytes_; }

  // Runs step(), and once more without the reserve if it failed for want of space.
  template <class Step>
  auto RunWith(Step&& step) -> decltype(step()) {
    auto result = step();
    if (IsNoSpace(result) && Release()) result = step();
    return result;
  }

 private:
  static bool IsNoSpace(const Status& status) { return status.code() == StatusCode::kNoSpace; }
  template <class T>
  static bool IsNoSpace(const Result<T>& result) {
    return !result && result.error().code() == StatusCode::kNoSpace;
  }

  Directory& directory_;
  const std::uint64_t bytes_;
  base::Mutex mutex_;
  std::atomic<bool> whole_{false};
};

}  // namespace freyja::engine
