#include "engine/publisher.h"

#include <algorithm>
#include <exception>

#include "base/status_macros.h"

namespace freyja::engine {

void Publisher::SaveForSnapshots(std::span<const std::shared_ptr<Snapshot>> snapshots,
                                 std::uint64_t hash, Location old) const {
  if (snapshots.empty()) return;
  const auto record = reader_.Read(old);
  for (const auto& snapshot : snapshots) {
    // A damaged record is saved as well: the walk must report it, not skip it.
    if (!record || record->record.sequence <= snapshot->sequence()) snapshot->Save(hash, old);
  }
}

Status Publisher::PublishOne(const AppendedRecord& record) {
  const std::uint64_t hash = record.hash.low;
  const auto has_key = [&](Location location) {
    Location damaged;
    if (reader_.HasKeyTimed(location, record.key, &damaged)) return true;
    // Perhaps that was the key's, and stays in the index beside this one.
    if (!damaged.is_none()) health_.WantFullOpen();
    return false;
  };
  const std::span<const std::shared_ptr<Snapshot>> snapshots = snapshots_;
  const auto on_change = [&](Location old) {
    if (!record.is_tombstone) segments_.At(record.location).AddLive(record.bytes);
    if (old.is_none()) return;
    segments_.At(old).RemoveLive(reader_.LengthOf(old));
    SaveForSnapshots(snapshots, hash, old);
  };
  if (record.is_tombstone) {
    index_.Erase(hash, has_key, on_change);
    return Status::Ok();
  }
  const auto replaced = index_.Upsert(hash, has_key, record.location, on_change);
  return replaced ? Status::Ok() : replaced.error();
}

Status Publisher::PublishAll(std::span<const AppendedRecord> group) {
  const EpochGuard guard(epochs_);
  try {
    for (const AppendedRecord& record : group) {
      if (Status status = PublishOne(record); !status.ok()) {
        health_.Poison(status);
        return status;
      }
    }
  } catch (const std::exception&) {
    return health_.PoisonWith(StatusCode::kOutOfMemory, [] { return "out of memory"; });
  }
  return Status::Ok();
}

Status Publisher::Publish(std::span<const AppendedRecord> group, std::uint64_t last_sequence) {
  FREYJA_SCHEDULE_POINT("publisher.publish");
  base::MutexLock lock(mutex_);
  // A sync that somebody else asked for may have failed since the group was appended. Its
  // records are lost, then, and nobody may be told that they are stored.
  FREYJA_RETURN_IF_ERROR(health_.CheckWritable());
  FREYJA_RETURN_IF_ERROR(PublishAll(group));
  FREYJA_SCHEDULE_POINT("publisher.published");
  log_.Published(last_sequence);
  return Status::Ok();
}

std::shared_ptr<Snapshot> Publisher::OpenSnapshot() {
  FREYJA_SCHEDULE_POINT("snapshot.open");
  base::MutexLock lock(mutex_);
  auto snapshot = std::make_shared<Snapshot>(log_.published(), epochs_.Current());
  snapshots_.push_back(snapshot);
  return snapshot;
}

void Publisher::CloseSnapshot(const std::shared_ptr<Snapshot>& snapshot) {
  FREYJA_SCHEDULE_POINT("snapshot.close");
  base::MutexLock lock(mutex_);
  std::erase(snapshots_, snapshot);
}

std::size_t Publisher::open_snapshots() const {
  base::MutexLock lock(mutex_);
  return snapshots_.size();
}

std::uint64_t Publisher::OldestSnapshotEpoch() const {
  base::MutexLock lock(mutex_);
  std::uint64_t oldest = UINT64_MAX;
  for (const auto& snapshot : snapshots_) oldest = std::min(oldest, snapshot->epoch());
  return oldest;
}

std::uint64_t Publisher::SettledSequence() const {
  base::MutexLock lock(mutex_);
  return log_.published();
}

}  // namespace freyja::engine
