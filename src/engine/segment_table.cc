#include "engine/segment_table.h"

#include <new>
#include <utility>

namespace freyja::engine {

SegmentTable::SegmentTable()
    : slots_(static_cast<Segment**>(std::calloc(kSlots, sizeof(Segment*)))) {
  if (!slots_) throw std::bad_alloc();
}

SegmentTable::~SegmentTable() {
  for (std::uint32_t slot = 0; slot < used_slots_; ++slot) delete slots_[slot];
}

Result<Segment*> SegmentTable::Register(std::unique_ptr<Segment> segment) {
  base::MutexLock lock(mutex_);
  discarded_.reserve(discarded_.size() + used_slots_ + 1);  // so that Discard can't fail
  std::uint32_t slot = 0;
  if (!free_slots_.empty()) {
    slot = free_slots_.back();
    free_slots_.pop_back();
  } else if (used_slots_ < kSlots) {
    free_slots_.reserve(used_slots_ + 1);  // so that Remove can't fail
    slot = used_slots_++;
  } else {
    return std::unexpected(Status(StatusCode::kNoSpace, "all 2^20 segment slots are in use"));
  }
  segment->slot_ = slot;
  Segment* registered = segment.release();
  std::atomic_ref(slots_[slot]).store(registered);
  return registered;
}

std::unique_ptr<Segment> SegmentTable::Take(Segment* segment) {
  std::atomic_ref(slots_[segment->slot()]).store(nullptr);
  free_slots_.push_back(segment->slot());
  return std::unique_ptr<Segment>(segment);
}

std::unique_ptr<Segment> SegmentTable::Remove(Segment* segment) {
  base::MutexLock lock(mutex_);
  return Take(segment);
}

void SegmentTable::Discard(Segment* segment) {
  segment->set_state(SegmentState::kRetired);
  base::MutexLock lock(mutex_);
  std::erase_if(discarded_, [](const auto& waiting) { return waiting->pins() == 0; });
  std::unique_ptr<Segment> removed = Take(segment);
  // From here on nobody finds it, so nobody pins it any more.
  if (removed->pins() != 0) discarded_.push_back(std::move(removed));
}

}  // namespace freyja::engine
