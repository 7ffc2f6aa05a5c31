// Memory for the pages of the index, on huge pages where the kernel has them.
//
// A get reads one random line of the index. If that lies on pages of 4 KiB, the processor misses
// the page's address as well as the line, which takes half as long again and more. So pages come
// from regions of 2 MiB for which huge pages are asked, best fit first, free neighbours joined. The
// first region does without, so that a small store takes no more than it touches.
//
// Built with a sanitizer, everything comes from operator new, so that the use of freed memory is
// seen.
//
// Thread-safe. The stores of a process share one heap.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "base/huge_pages.h"
#include "base/mutex.h"
#include "base/sanitizer.h"

namespace freyja::engine {

class IndexHeap {
 public:
  static constexpr bool kUsesRegions = !base::kWithSanitizer;
  static constexpr std::size_t kRegionBytes = base::kHugePageBytes;
  static constexpr std::size_t kUnitBytes = 64;
  // Longer pieces come from operator new; pages are that long only if many keys share a hash.
  static constexpr std::size_t kMaxBytes = std::size_t{32} << 10;

  static IndexHeap& OfProcess();

  IndexHeap() = default;
  IndexHeap(const IndexHeap&) = delete;
  IndexHeap& operator=(const IndexHeap&) = delete;
  // Everything must have been freed.
  ~IndexHeap();

  // Aligned to 64. Null if memory is short.
  void* Allocate(std::size_t bytes) noexcept FREYJA_EXCLUDES(mutex_);
  // What Allocate returned for so many bytes.
  void Free(void* memory, std::size_t bytes) noexcept FREYJA_EXCLUDES(mutex_);

  // Mapped at present. The last one stays when it is empty; of many, one may be so.
  std::size_t regions() const FREYJA_EXCLUDES(mutex_);

 private:
  static constexpr std::uint32_t kUnits = kRegionBytes / kUnitBytes;
  static constexpr std::size_t kExactBins = kMaxBytes / kUnitBytes;
  static constexpr std::size_t kManyRegions = 64;

  // At the beginning of a region: which of its units are taken, itself included.
  struct Region {
    std::array<std::uint64_t, kUnits / 64> taken;
  };
  // At the beginning of a stretch of free units; their number stands at its end as well.
  struct Run {
    std::uint32_t units;
    Run* previous;
    Run* next;
  };

  // Null if no region has so many.
  void* AllocateUnits(std::uint32_t units) FREYJA_REQUIRES(mutex_);
  void FreeUnits(void* memory, std::uint32_t units) FREYJA_REQUIRES(mutex_);
  void AddRegion(Region* region) FREYJA_REQUIRES(mutex_);
  // The smallest that has so many units, out of its bin; null if there is none.
  Run* TakeRun(std::uint32_t units) FREYJA_REQUIRES(mutex_);
  void PutRun(std::byte* start, std::uint32_t units) FREYJA_REQUIRES(mutex_);
  void RemoveRun(Run* run) FREYJA_REQUIRES(mutex_);

  mutable base::Mutex mutex_;
  // Runs of 1, 2, ... kExactBins units, then all longer ones; and which of these are not empty.
  std::array<Run*, kExactBins + 1> bins_ FREYJA_GUARDED_BY(mutex_) = {};
  std::array<std::uint64_t, kExactBins / 64 + 1> filled_ FREYJA_GUARDED_BY(mutex_) = {};
  std::size_t regions_ FREYJA_GUARDED_BY(mutex_) = 0;
  std::size_t empty_regions_ FREYJA_GUARDED_BY(mutex_) = 0;
};

}  // namespace freyja::engine
