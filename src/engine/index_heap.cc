#include "engine/index_heap.h"

#include <algorithm>
#include <bit>
#include <new>

#include "base/bytes.h"

namespace freyja::engine {

namespace {

constexpr std::align_val_t kAlignment{64};

constexpr bool IsOfOperatorNew(std::size_t bytes) {
  return !IndexHeap::kUsesRegions || bytes > IndexHeap::kMaxBytes;
}

// The number of the unit of a region at which a piece begins.
std::uint32_t UnitOf(const std::byte* memory) {
  const std::size_t offset = reinterpret_cast<std::uintptr_t>(memory) % IndexHeap::kRegionBytes;
  return static_cast<std::uint32_t>(offset / IndexHeap::kUnitBytes);
}

std::byte* RegionOf(std::byte* memory) {
  return memory - reinterpret_cast<std::uintptr_t>(memory) % IndexHeap::kRegionBytes;
}

#if defined(FREYJA_SCHEDULE_POINTS)
// Tests that fail the allocations of operator new reach these, too.
bool MayAllocate() {
  void* const probe = ::operator new(1, std::nothrow);
  ::operator delete(probe);
  return probe != nullptr;
}
#else
constexpr bool MayAllocate() { return true; }
#endif

}  // namespace

IndexHeap& IndexHeap::OfProcess() {
  // Never destroyed: a store may be closed by a static object's destructor.
  alignas(IndexHeap) static std::array<std::byte, sizeof(IndexHeap)> memory;
  static auto* const heap = new (memory.data()) IndexHeap;
  return *heap;
}

IndexHeap::~IndexHeap() {
  base::MutexLock lock(mutex_);
  for (Run* run = bins_.back(); run != nullptr;) {
    std::byte* const region = RegionOf(reinterpret_cast<std::byte*>(run));
    run = run->next;
    base::UnmapHuge(region, kRegionBytes);
  }
}

void* IndexHeap::Allocate(std::size_t bytes) noexcept {
  if (IsOfOperatorNew(bytes)) return ::operator new(bytes, kAlignment, std::nothrow);
  if (!MayAllocate()) return nullptr;
  const auto units = static_cast<std::uint32_t>((bytes + kUnitBytes - 1) / kUnitBytes);
  for (;;) {
    bool is_first = false;
    {
      base::MutexLock lock(mutex_);
      if (void* const memory = AllocateUnits(units)) return memory;
      is_first = regions_ == 0;
    }
    // The kernel fills a huge page with zeros when it is touched, while others go on.
    std::byte* const start = base::MapHuge(kRegionBytes, /*ask_for_huge_pages=*/!is_first);
    if (start == nullptr) return nullptr;
    auto* const region = new (start) Region{};
    base::MutexLock lock(mutex_);
    AddRegion(region);
  }
}

void IndexHeap::Free(void* memory, std::size_t bytes) noexcept {
  if (IsOfOperatorNew(bytes)) {
    ::operator delete(memory, kAlignment);
    return;
  }
  base::MutexLock lock(mutex_);
  FreeUnits(memory, static_cast<std::uint32_t>((bytes + kUnitBytes - 1) / kUnitBytes));
}

std::size_t IndexHeap::regions() const {
  base::MutexLock lock(mutex_);
  return regions_;
}

// --- Units ----------------------------------------------------------------------------

namespace {

// Those of a region that it takes itself.
constexpr std::uint32_t kOwnUnits = IndexHeap::kRegionBytes / 64 / 8 / 64;  // a bit for each

template <class Bits>
bool IsTaken(const Bits& taken, std::uint32_t unit) {
  return (taken[unit / 64] >> (unit % 64) & 1) != 0;
}

template <class Bits>
void Mark(Bits& taken, std::uint32_t first, std::uint32_t units, bool value) {
  for (std::uint32_t unit = first; unit < first + units;) {
    const std::uint32_t shift = unit % 64;
    const std::uint32_t here = std::min(64 - shift, first + units - unit);
    const std::uint64_t mask = (~std::uint64_t{0} >> (64 - here)) << shift;
    taken[unit / 64] = value ? taken[unit / 64] | mask : taken[unit / 64] & ~mask;
    unit += here;
  }
}

}  // namespace

void* IndexHeap::AllocateUnits(std::uint32_t units) {
  Run* const run = TakeRun(units);
  if (run == nullptr) return nullptr;
  auto* const memory = reinterpret_cast<std::byte*>(run);
  std::byte* const start = RegionOf(memory);
  if (run->units == kUnits - kOwnUnits) --empty_regions_;
  if (run->units > units) PutRun(memory + units * kUnitBytes, run->units - units);
  const std::uint32_t first = UnitOf(memory);
  Mark(reinterpret_cast<Region*>(start)->taken, first, units, true);
  return memory;
}

void IndexHeap::FreeUnits(void* memory, std::uint32_t units) {
  std::byte* const start = RegionOf(static_cast<std::byte*>(memory));
  auto& taken = reinterpret_cast<Region*>(start)->taken;
  std::uint32_t first = UnitOf(static_cast<std::byte*>(memory));
  Mark(taken, first, units, false);
  if (!IsTaken(taken, first - 1)) {
    const auto before = base::Load<std::uint32_t>(start + first * kUnitBytes - sizeof(Run::units));
    first -= before;
    units += before;
    RemoveRun(reinterpret_cast<Run*>(start + first * kUnitBytes));
  }
  if (first + units < kUnits && !IsTaken(taken, first + units)) {
    auto* const behind = reinterpret_cast<Run*>(start + (first + units) * kUnitBytes);
    units += behind->units;
    RemoveRun(behind);
  }
  if (units == kUnits - kOwnUnits) {
    if (empty_regions_ != 0 || (regions_ > 1 && regions_ < kManyRegions)) {
      --regions_;
      base::UnmapHuge(start, kRegionBytes);
      return;
    }
    ++empty_regions_;
  }
  PutRun(start + first * kUnitBytes, units);
}

void IndexHeap::AddRegion(Region* region) {
  static_assert(sizeof(Region) == kOwnUnits * kUnitBytes);
  Mark(region->taken, 0, kOwnUnits, true);
  PutRun(reinterpret_cast<std::byte*>(region + 1), kUnits - kOwnUnits);
  ++regions_;
  ++empty_regions_;
}

// --- Runs -----------------------------------------------------------------------------

IndexHeap::Run* IndexHeap::TakeRun(std::uint32_t units) {
  std::size_t bin = units - 1;
  std::uint64_t word = filled_[bin / 64] & (~std::uint64_t{0} << (bin % 64));
  for (std::size_t i = bin / 64; word == 0;) {
    if (++i == filled_.size()) return nullptr;
    word = filled_[i];
    bin = i * 64;
  }
  Run* const run = bins_[bin / 64 * 64 + static_cast<std::size_t>(std::countr_zero(word))];
  RemoveRun(run);
  return run;
}

void IndexHeap::PutRun(std::byte* start, std::uint32_t units) {
  const std::size_t bin = std::min<std::size_t>(units - 1, kExactBins);
  Run* const first = bins_[bin];
  auto* const run = new (start) Run{.units = units, .previous = nullptr, .next = first};
  base::Store(start + units * kUnitBytes - sizeof(units), units);
  if (first != nullptr) first->previous = run;
  bins_[bin] = run;
  filled_[bin / 64] |= std::uint64_t{1} << (bin % 64);
}

void IndexHeap::RemoveRun(Run* run) {
  const std::size_t bin = std::min<std::size_t>(run->units - 1, kExactBins);
  if (run->next != nullptr) run->next->previous = run->previous;
  if (run->previous != nullptr) {
    run->previous->next = run->next;
    return;
  }
  bins_[bin] = run->next;
  if (run->next == nullptr) filled_[bin / 64] &= ~(std::uint64_t{1} << (bin % 64));
}

}  // namespace freyja::engine
