// A histogram of latencies with buckets that grow with the value.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

namespace freyja::bench {

// Counts 64-bit values, each kept to within 1/32 of itself. Adding is a handful of
// instructions and never allocates. Not thread-safe.
class Histogram {
 public:
  void Add(std::uint64_t value);
  void Merge(const Histogram& other);

  std::uint64_t count() const { return count_; }
  std::uint64_t max() const { return max_; }
  // The value that `percent` (0 to 100) of all values do not exceed, rounded up to its
  // bucket's end, never above max(). 0 if nothing was added.
  std::uint64_t Percentile(double percent) const;

 private:
  static constexpr unsigned kSubBucketBits = 5;
  static constexpr std::size_t kSubBuckets = std::size_t{1} << kSubBucketBits;
  static constexpr std::size_t kBuckets = (64 - kSubBucketBits + 1) * kSubBuckets;

  static std::size_t BucketOf(std::uint64_t value);
  static std::uint64_t HighestIn(std::size_t bucket);

  std::array<std::uint64_t, kBuckets> counts_{};
  std::uint64_t count_ = 0;
  std::uint64_t max_ = 0;
};

// A cheap clock for single operations: the processor's time-stamp counter where there is
// one, else nanoseconds.
std::uint64_t Ticks();
// Measured against the steady clock at the first call, which takes 20 ms.
double NanosecondsPerTick();

}  // namespace freyja::bench
