// Segment slots: the 20 bits by which a location names its segment.
#pragma once

#include <atomic>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <vector>

#include "base/mutex.h"
#include "engine/location.h"
#include "engine/segment.h"
#include "freyja/status.h"

namespace freyja::engine {

// Owns every segment of the store, from registration to removal.
//
// Thread safety: At may be called with a location whose segment the caller keeps alive
// (see Segment). Register, Remove and All lock.
// Invariant: a slot is reused only after Remove, which is called only when no reader can
// hold a location of its segment any more; so a location never changes its meaning.
class SegmentTable {
 public:
  static constexpr std::uint32_t kSlots = 1u << 20;

  SegmentTable();
  ~SegmentTable();
  SegmentTable(const SegmentTable&) = delete;
  SegmentTable& operator=(const SegmentTable&) = delete;

  Segment& At(Location location) const { return *std::atomic_ref(slots_[location.slot()]).load(); }

  // kNoSpace if all slots are taken (a million segments).
  Result<Segment*> Register(std::unique_ptr<Segment> segment) FREYJA_EXCLUDES(mutex_);
  // Hands the segment back; its slot is free from here on.
  std::unique_ptr<Segment> Remove(Segment* segment) FREYJA_EXCLUDES(mutex_);
  // Removes a segment of which no location was ever published. Someone who walked the table
  // may have pinned it: then it is freed after that, in a later call or with the table.
  void Discard(Segment* segment) FREYJA_EXCLUDES(mutex_);

  // Calls visit(Segment&) for every registered segment; none is removed meanwhile.
  template <class Visit>
  void ForEach(Visit&& visit) const FREYJA_EXCLUDES(mutex_) {
    base::MutexLock lock(mutex_);
    for (std::uint32_t slot = 0; slot < used_slots_; ++slot) {
      if (Segment* segment = slots_[slot]) visit(*segment);
    }
  }

 private:
  std::unique_ptr<Segment> Take(Segment* segment) FREYJA_REQUIRES(mutex_);

  struct Free {
    void operator()(void* memory) const { std::free(memory); }
  };
  mutable base::Mutex mutex_;
  // 8 MiB of zero pages of which only those in use are ever touched.
  std::unique_ptr<Segment*[], Free> slots_;
  std::uint32_t used_slots_ FREYJA_GUARDED_BY(mutex_) = 0;
  std::vector<std::uint32_t> free_slots_ FREYJA_GUARDED_BY(mutex_);
  std::vector<std::unique_ptr<Segment>> discarded_ FREYJA_GUARDED_BY(mutex_);  // still pinned
};

}  // namespace freyja::engine
