// Snapshots: one point in time of the whole store, read while it changes.
#pragma once

#include <cstdint>
#include <memory>
#include <new>
#include <vector>

#include "base/mutex.h"
#include "engine/location.h"

namespace freyja::engine {

// The state after record number `sequence`. The index keeps only newest locations, so a
// writer that replaces or removes one that the snapshot still needs saves it here first.
// Nothing is copied; the segments stay because nothing retired after the snapshot was
// opened is freed while it is open.
//
// The hash space is walked once, upwards: what lies behind the cursor has been seen and
// needs no saving any more.
//
// Thread safety: Save is called by the publisher under the lock of the key's page, Advance
// by the walker under the lock of the page it visits, so that of the two, for one key, one
// comes first.
class Snapshot {
 public:
  struct Saved {
    std::uint64_t hash = 0;
    Location location;
  };

  Snapshot(std::uint64_t sequence, std::uint64_t epoch) : sequence_(sequence), epoch_(epoch) {}

  std::uint64_t sequence() const { return sequence_; }
  // The epoch that was current when the snapshot was opened.
  std::uint64_t epoch() const { return epoch_; }

  // Keeps the location that a record numbered at most `sequence` is about to lose.
  void Save(std::uint64_t hash, Location old) FREYJA_EXCLUDES(mutex_) {
    base::MutexLock lock(mutex_);
    if (done_ || hash < next_hash_) return;
    try {
      saved_.push_back({hash, old});
    } catch (const std::bad_alloc&) {
      incomplete_ = true;
    }
  }

  // Moves the cursor behind `last_hash` and appends what was saved up to it to `out`.
  // `false` if something could not be saved for want of memory.
  bool Advance(std::uint64_t last_hash, std::vector<Saved>& out) FREYJA_EXCLUDES(mutex_) {
    base::MutexLock lock(mutex_);
    std::size_t kept = 0;
    for (const Saved& saved : saved_) {
      if (saved.hash <= last_hash) {
        out.push_back(saved);
      } else {
        saved_[kept++] = saved;
      }
    }
    saved_.resize(kept);
    done_ = last_hash == UINT64_MAX;
    next_hash_ = last_hash + 1;
    return !incomplete_;
  }

 private:
  const std::uint64_t sequence_;
  const std::uint64_t epoch_;
  base::Mutex mutex_;
  std::vector<Saved> saved_ FREYJA_GUARDED_BY(mutex_);
  std::uint64_t next_hash_ FREYJA_GUARDED_BY(mutex_) = 0;
  bool done_ FREYJA_GUARDED_BY(mutex_) = false;
  bool incomplete_ FREYJA_GUARDED_BY(mutex_) = false;
};

}  // namespace freyja::engine
