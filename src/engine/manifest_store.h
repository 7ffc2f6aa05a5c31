// The manifest on disk, and the one way to change it.
#pragma once

#include <cstdint>
#include <functional>
#include <utility>

#include "base/mutex.h"
#include "engine/directory.h"
#include "engine/reserve.h"
#include "format/manifest.h"

namespace freyja::engine {

// Thread safety: all members may be called from any thread.
// Invariants:
//  1. Every change is a delta applied to the current version under the commit lock, so no
//     change is built from an older version than the one it replaces.
//  2. A version replaces its predecessor by: write MANIFEST.tmp, fsync it, rename, fsync of
//     the directory. Before the rename an error leaves the current version in force. From
//     the rename on an error leaves it unknown which one is; that poisons the store.
//  3. The watermark is only ever raised, the generation raised by every change.
class ManifestStore {
 public:
  // What became of a change.
  enum class Outcome : std::uint8_t {
    kCommitted,  // durable
    kRefused,    // nothing changed
    kUnknown,    // it may be in force after a crash, or not; the store is poisoned
  };
  struct CommitResult {
    Outcome outcome = Outcome::kCommitted;
    Status status;
    bool ok() const { return outcome == Outcome::kCommitted; }
  };
  using Edit = std::function<Status(format::Manifest&)>;

  ManifestStore(Directory& directory, Health& health, format::Manifest current)
      : directory_(directory), health_(health), current_(std::move(current)) {}

  // Applies `edit` to a copy of the current version and makes it durable. An edit that
  // returns an error changes nothing.
  CommitResult Commit(const Edit& edit) FREYJA_EXCLUDES(commit_mutex_, mutex_);
  // The same for a change that frees space or must not fail for want of it: on a full disk
  // the reserve is given up for it.
  CommitResult Commit(const Edit& edit, Reserve& reserve) FREYJA_EXCLUDES(commit_mutex_, mutex_);

  // The version in force.
  format::Manifest Current() const FREYJA_EXCLUDES(mutex_);
  std::uint64_t generation() const FREYJA_EXCLUDES(mutex_);
  // Calls visit(manifest) on it without a copy; must be short, under a lock.
  template <class Visit>
  void Inspect(Visit&& visit) const FREYJA_EXCLUDES(mutex_) {
    base::MutexLock lock(mutex_);
    visit(std::as_const(current_));
  }

  // Writes `manifest` as the directory's MANIFEST. Used by Commit and for a new store.
  static CommitResult Replace(Directory& directory, Health& health,
                              const format::Manifest& manifest);
  // Reads it. kNotFound if there is none; kCorruption and kUnsupported name the file.
  static Result<format::Manifest> Read(Directory& directory);

 private:
  Directory& directory_;
  Health& health_;
  base::Mutex commit_mutex_ FREYJA_ACQUIRED_BEFORE(mutex_);  // one change at a time
  mutable base::Mutex mutex_;                                // held only to read or assign
  format::Manifest current_ FREYJA_GUARDED_BY(mutex_);
};

}  // namespace freyja::engine
