// Publication: making appended records visible, in the order of their numbers.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include "base/mutex.h"
#include "engine/epoch.h"
#include "engine/index.h"
#include "engine/log.h"
#include "engine/record_reader.h"
#include "engine/segment_table.h"
#include "engine/snapshot.h"
#include "format/ids.h"

namespace freyja::engine {

// A record that has been appended and not yet published.
struct AppendedRecord {
  format::KeyHash hash;
  std::string_view key;
  Location location;
  std::uint64_t bytes = 0;
  bool is_tombstone = false;
};

// Thread safety: all members may be called from any thread; Publish only by the leader.
// Invariant: a snapshot is opened between two groups, never inside one, so it holds whole
// batches, and every change of a slot after it sees it in the list.
class Publisher {
 public:
  Publisher(Index& index, EpochManager& epochs, SegmentTable& segments, const RecordReader& reader,
            Log& log, Health& health)
      : index_(index),
        epochs_(epochs),
        segments_(segments),
        reader_(reader),
        log_(log),
        health_(health) {}

  // Publishes a group. kReadOnly: the store is poisoned, and so may be what the group stands on;
  // nothing of it becomes visible. Any other error, kOutOfMemory if the index could not grow:
  // what came before is visible though its number is not counted as published, so the store is
  // poisoned before anyone can build on it.
  Status Publish(std::span<const AppendedRecord> group, std::uint64_t last_sequence)
      FREYJA_EXCLUDES(mutex_);

  std::shared_ptr<Snapshot> OpenSnapshot() FREYJA_EXCLUDES(mutex_);
  void CloseSnapshot(const std::shared_ptr<Snapshot>& snapshot) FREYJA_EXCLUDES(mutex_);
  std::size_t open_snapshots() const FREYJA_EXCLUDES(mutex_);
  // Epoch of the oldest open snapshot, UINT64_MAX if there is none: what was retired at or
  // after it must stay.
  std::uint64_t OldestSnapshotEpoch() const FREYJA_EXCLUDES(mutex_);

  // The highest number published, waiting for a group that is under way: nothing that the
  // index has shown before the call has a higher one.
  std::uint64_t SettledSequence() const FREYJA_EXCLUDES(mutex_);

 private:
  Status PublishAll(std::span<const AppendedRecord> group) FREYJA_REQUIRES(mutex_);
  Status PublishOne(const AppendedRecord& record) FREYJA_REQUIRES(mutex_);
  void SaveForSnapshots(std::span<const std::shared_ptr<Snapshot>> snapshots, std::uint64_t hash,
                        Location old) const;

  Index& index_;
  EpochManager& epochs_;
  SegmentTable& segments_;
  const RecordReader& reader_;
  Log& log_;
  Health& health_;

  mutable base::Mutex mutex_;
  std::vector<std::shared_ptr<Snapshot>> snapshots_ FREYJA_GUARDED_BY(mutex_);
};

}  // namespace freyja::engine
