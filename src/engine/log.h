// The log: the unsealed segments in order, the last of them active or prepared.
//
// Thread safety: see each group of members. "The leader" is the one writer that appends.
// Invariants:
//  1. A segment takes records only after its file is created, allocated, its header and the
//     directory are synced, and a durable manifest lists it.
//  2. Sequence numbers are dense over the log. Segments are sealed in log order, each only
//     when it is synced and all its records are published.
//  3. There is one sync at a time. It goes through segments oldest first, establishes the last
//     number that was completely appended to them before it began, and if it fails the store
//     is poisoned before anyone learns of it; it is never repeated.
#pragma once

#include <atomic>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <vector>

#include "base/environment.h"
#include "base/mutex.h"
#include "engine/directory.h"
#include "engine/id_allocator.h"
#include "engine/manifest_store.h"
#include "engine/populate_window.h"
#include "engine/reserve.h"
#include "engine/segment.h"
#include "engine/segment_table.h"
#include "freyja/options.h"

namespace freyja::engine {

class Log {
 public:
  struct Parts {
    Directory& directory;
    ManifestStore& manifest;
    Health& health;
    SegmentTable& segments;
    IdAllocator& ids;
    Reserve& reserve;
    base::Random& random;
  };
  // Where recovery left off.
  struct Start {
    format::StoreUuid store;
    std::uint64_t hash_seed = 0;
    std::uint64_t last_sequence = 0;  // appended and published
    std::uint64_t durable_sequence = 0;
    std::uint64_t reserved_sequence = 0;
    std::vector<Segment*> segments;  // registered; the active one, then the prepared one
    std::uint64_t segment_bytes = 0;
    // Whether a sync writes the pages that were made present ahead of the appends, too. That makes
    // the syncs to come cheap, because the file system has nothing new to note of those blocks, but
    // each put that gets to such a page pays a fault.
    bool sync_ahead = false;
    std::function<void()> wake_maintenance;
  };
  Log(const Parts& parts, Start start);

  // --- The leader -------------------------------------------------------------------
  // The active segment if it has room for `bytes` in one piece, else null.
  Segment* ActiveWithRoom(std::size_t bytes) const {
    Segment* const active = active_.load();
    return active != nullptr && bytes <= active->limit() - append_offset_ ? active : nullptr;
  }
  // The same after rolling if need be; null is never returned. `may_use_reserve`: for deletes on a
  // full disk.
  Result<Segment*> SegmentFor(std::size_t bytes, bool may_use_reserve);
  // Where the next record goes in the active segment.
  std::uint64_t append_offset() const { return append_offset_; }
  std::uint64_t next_sequence() const { return appended_.load() + 1; }
  // Null before the first record of a store.
  Segment* active() const { return active_.load(); }
  // Sequence numbers above this need another reservation first.
  std::uint64_t reserved_sequence() const { return reserved_sequence_.load(); }
  // Counts a run of records, completely written at append_offset(), as appended.
  void Appended(std::uint64_t records, std::uint64_t tombstones, std::uint64_t bytes);
  void Published(std::uint64_t sequence) { published_.store(sequence, std::memory_order_release); }

  // --- Any thread -------------------------------------------------------------------
  std::uint64_t appended() const { return appended_.load(); }
  std::uint64_t appended_bytes() const { return appended_bytes_.load(); }  // since it was opened
  std::uint64_t published() const { return published_.load(); }
  std::uint64_t durable() const { return durable_.load(); }
  // Makes every record through `sequence`, which has been appended, durable. Syncs no segment
  // that begins above it: that would write the pages made present ahead of the appends, and
  // cost the writer a fault for each of them.
  Status SyncThrough(std::uint64_t sequence) FREYJA_EXCLUDES(sync_mutex_, mutex_);
  std::uint64_t syncs() const { return syncs_.load(); }
  std::uint64_t rolls() const { return rolls_.load(); }
  // Makes the active segment full, so that it is sealed soon; no effect if it is empty.
  // Called by the leader, or with writers shut out.
  Status RollNow();

  // --- Maintenance ------------------------------------------------------------------
  // Prepares the segment after the active one, if there is none yet.
  Status PrepareAhead() FREYJA_EXCLUDES(prepare_mutex_);
  // Makes the pages ahead of the append offset present, as far as PopulateWindow says: in the
  // active segment and then in the prepared one.
  void PopulateAhead() FREYJA_EXCLUDES(prepare_mutex_, mutex_);
  // Seals the oldest segment if it is full and published. `false`: there is none.
  Result<bool> SealOldest() FREYJA_EXCLUDES(seal_mutex_);
  // Whether SealOldest has something to do now or soon; with `through`: with a segment that
  // is empty or begins at or before that number.
  bool HasFull(std::uint64_t through = UINT64_MAX) const FREYJA_EXCLUDES(mutex_);

  // On a full disk: makes everything appended durable, and the watermark in the manifest say
  // so, because what a crash finds above it must be copied, and there may be no room for that.
  Status SettleTail();

  // --- Closing ----------------------------------------------------------------------
  // Gives unused blocks back, seals what is full, makes everything durable. No appends after it.
  Status Settle();
  // After Settle: writes the clean mark.
  Status CloseCleanly();

 private:
  // `leave_roots_blocks`: as Reserve::CheckRootsBlocksAreLeft.
  Result<Segment*> CreateSegment(std::uint64_t bytes, bool leave_roots_blocks);
  // `keep_free`: bytes of the disk that stay free once the reserve has been given up.
  Status Prepare(std::uint64_t minimum_bytes, bool may_use_reserve, std::uint64_t keep_free)
      FREYJA_REQUIRES(prepare_mutex_);
  Status Roll(std::size_t bytes, bool may_use_reserve, std::uint64_t keep_free)
      FREYJA_EXCLUDES(prepare_mutex_, mutex_);
  Status SealBacklog() FREYJA_EXCLUDES(seal_mutex_, mutex_);
  Status DropEmpty(Segment* segment);
  // Gives the blocks behind the last record of every segment back, once no appends will follow.
  void ReleaseUnused() FREYJA_EXCLUDES(mutex_);
  Status Seal(Segment* segment);
  // Where PopulateAhead goes on, pinned; null if there is nothing to do. The segment may be sealed
  // meanwhile, so the mapping is held apart.
  struct Unpopulated {
    Segment* segment = nullptr;
    std::shared_ptr<io::Mapping> mapping = nullptr;
    bool huge = false;
    std::uint64_t begin = 0;
    std::uint64_t bytes = 0;
  };
  Unpopulated NextUnpopulated() FREYJA_EXCLUDES(prepare_mutex_, mutex_);
  // Anything but Ok, exceptions included, has poisoned.
  Status SyncSegment(Segment& segment) noexcept;
  std::vector<Segment*> UnsyncedThrough(std::uint64_t sequence) FREYJA_EXCLUDES(mutex_);

  // Constant after construction.
  const Parts parts_;
  const format::StoreUuid store_;
  const std::uint64_t hash_seed_;
  const std::uint64_t segment_bytes_;
  const bool sync_ahead_;
  const std::function<void()> wake_maintenance_;

  // The leader's.
  std::uint64_t append_offset_ = 0;
  bool woke_for_next_ = false;  // so that the next segment's first pages are there in time

  // Self-synchronised.
  std::atomic<Segment*> active_{nullptr};
  std::atomic<std::uint64_t> appended_;
  std::atomic<std::uint64_t> published_;
  std::atomic<std::uint64_t> durable_;
  std::atomic<std::uint64_t> reserved_sequence_;
  std::atomic<std::uint64_t> settled_{0};  // durable_ at the last SettleTail
  std::atomic<std::uint64_t> syncs_{0};
  std::atomic<std::uint64_t> rolls_{0};
  std::atomic<std::uint64_t> appended_bytes_{0};

  base::Mutex seal_mutex_;     // one sealing at a time
  base::Mutex sync_mutex_;     // one sync at a time
  base::Mutex prepare_mutex_;  // one preparation at a time
  Segment* prepared_ FREYJA_GUARDED_BY(prepare_mutex_) = nullptr;
  PopulateWindow window_;  // observed under prepare_mutex_

  mutable base::Mutex mutex_;
  std::deque<Segment*> entries_ FREYJA_GUARDED_BY(mutex_);  // oldest first
};

}  // namespace freyja::engine
