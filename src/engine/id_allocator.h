// Segment ids: never used twice, whatever crashes in between.
#pragma once

#include <cstdint>

#include "base/mutex.h"
#include "engine/manifest_store.h"

namespace freyja::engine {

// Ids are reserved in the manifest, in blocks, before the first file of a block is created.
// Thread safety: Next may be called from any thread.
class IdAllocator {
 public:
  static constexpr std::uint64_t kBlock = 64;

  // Ids up to `reserved` are taken for used.
  IdAllocator(ManifestStore& manifest, std::uint64_t reserved)
      : manifest_(manifest), next_(reserved + 1), reserved_(reserved) {}

  Result<std::uint64_t> Next() FREYJA_EXCLUDES(mutex_) {
    base::MutexLock lock(mutex_);
    if (next_ > reserved_) {
      const std::uint64_t wanted = reserved_ + kBlock;
      const auto commit = manifest_.Commit([wanted](format::Manifest& manifest) {
        manifest.reserved_id = wanted;
        return Status::Ok();
      });
      if (!commit.ok()) return std::unexpected(commit.status);
      reserved_ = wanted;
    }
    return next_++;
  }

 private:
  ManifestStore& manifest_;
  base::Mutex mutex_;
  std::uint64_t next_ FREYJA_GUARDED_BY(mutex_);
  std::uint64_t reserved_ FREYJA_GUARDED_BY(mutex_);
};

}  // namespace freyja::engine
