#include "engine/reaper.h"

#include <algorithm>
#include <chrono>
#include <utility>

namespace freyja::engine {

void Reaper::Reserve(std::size_t segments) {
  base::MutexLock lock(mutex_);
  waiting_.reserve(waiting_.size() + segments);
}

void Reaper::Retire(std::span<Segment* const> segments, bool keep_files,
                    const OnRemoved& on_removed) {
  base::MutexLock lock(mutex_);
  waiting_.reserve(waiting_.size() + segments.size());
  // State before stamp: one who sees another state under an epoch guard is waited for.
  const auto now = std::chrono::steady_clock::now();
  for (Segment* segment : segments) {
    segment->set_retired_at(now);
    segment->set_state(SegmentState::kRetired);
  }
  FREYJA_SCHEDULE_POINT("segment.retire");
  const std::uint64_t stamp = epochs_.Advance();
  for (Segment* segment : segments) {
    FREYJA_SCHEDULE_POINT("segment.retired", segment);
    waiting_.push_back({segment, stamp, keep_files, on_removed});
  }
}

std::size_t Reaper::Collect() {
  std::vector<Waiting> free;
  std::size_t still_waiting = 0;
  {
    base::MutexLock lock(mutex_);
    if (waiting_.empty()) return 0;
    const std::uint64_t oldest_snapshot = publisher_.OldestSnapshotEpoch();
    const std::uint64_t oldest_reader = epochs_.OldestActive();
    // Epochs before pins: a get that pins does so before its epoch ends.
    const auto held = std::partition(waiting_.begin(), waiting_.end(), [&](const Waiting& entry) {
      return oldest_reader <= entry.stamp || oldest_snapshot <= entry.stamp ||
             entry.segment->pins() != 0;
    });
    free.assign(std::make_move_iterator(held), std::make_move_iterator(waiting_.end()));
    waiting_.erase(held, waiting_.end());
    still_waiting = waiting_.size();
  }
  for (const Waiting& entry : free) {
    const std::uint64_t id = entry.segment->id();
    FREYJA_SCHEDULE_POINT("segment.remove", entry.segment);
    const auto unmapped = segments_.Remove(entry.segment);
    if (!entry.keep_files) Unlink(id, entry.on_removed);
  }
  return still_waiting;
}

void Reaper::RemoveFiles(std::uint64_t id, const OnRemoved& on_removed) {
  {
    base::MutexLock lock(mutex_);
    for (Waiting& entry : waiting_) {
      if (entry.segment->id() != id) continue;
      entry.on_removed = on_removed;
      entry.keep_files = false;
      return;
    }
  }
  Unlink(id, on_removed);
}

void Reaper::Unlink(std::uint64_t id, const OnRemoved& on_removed) {
  FREYJA_SCHEDULE_POINT("segment.unlink");
  directory_.RemoveBestEffort(directory_.DataPath(id));
  directory_.RemoveBestEffort(directory_.HintPath(id));
  if (on_removed) on_removed(id);
}

}  // namespace freyja::engine
