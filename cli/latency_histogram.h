// LatencyHistogram: counts of durations in logarithmic buckets.
#pragma once

#include <array>
#include <atomic>
#include <bit>
#include <cstddef>
#include <cstdint>

namespace freyja::cli {

// Durations in nanoseconds, up to 2^40 (18 minutes); longer ones count as that.
// A bucket is at most 1/128 of its values wide, so that a percentile is never below
// the exact one and less than 1 % above it. Durations below 128 ns are exact.
//
// Thread safety: one thread records, any number may read or merge from it at the
// same time and get a count that is at most a few records old. About 34 KiB.
class LatencyHistogram {
 public:
  LatencyHistogram() = default;
  LatencyHistogram(const LatencyHistogram&) = delete;
  LatencyHistogram& operator=(const LatencyHistogram&) = delete;

  void Record(std::uint64_t nanoseconds) {
    // Relaxed: a single recording thread, and readers want counts, not an order.
    std::atomic<std::uint64_t>& bucket = buckets_[BucketOf(nanoseconds)];
    bucket.store(bucket.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
  }
  // Adds the counts of `other`. The caller is the only one that records here.
  void Merge(const LatencyHistogram& other);

  std::uint64_t count() const;
  // The smallest bucket bound that at least `fraction` (0 to 1) of the durations do
  // not exceed, in nanoseconds. 0 if nothing was recorded.
  std::uint64_t PercentileNs(double fraction) const;
  double PercentileUs(double fraction) const {
    return static_cast<double>(PercentileNs(fraction)) / 1000.0;
  }

 private:
  static constexpr unsigned kSubBits = 7;
  static constexpr std::uint64_t kSubBuckets = 1U << kSubBits;
  static constexpr unsigned kMaxBits = 40;
  static constexpr std::size_t kBuckets = (kMaxBits - kSubBits + 1) * kSubBuckets;

  static constexpr std::size_t BucketOf(std::uint64_t value) {
    constexpr std::uint64_t kLongest = (std::uint64_t{1} << kMaxBits) - 1;
    if (value > kLongest) value = kLongest;
    if (value < kSubBuckets) return value;
    const unsigned shift = static_cast<unsigned>(std::bit_width(value)) - kSubBits - 1;
    return (shift + 1) * kSubBuckets + ((value >> shift) - kSubBuckets);
  }
  // The highest duration that `bucket` holds.
  static constexpr std::uint64_t UpperBound(std::size_t bucket) {
    if (bucket < kSubBuckets) return bucket;
    const std::uint64_t shift = bucket / kSubBuckets - 1;
    return ((bucket % kSubBuckets + kSubBuckets + 1) << shift) - 1;
  }

  std::array<std::atomic<std::uint64_t>, kBuckets> buckets_{};
};

}  // namespace freyja::cli
