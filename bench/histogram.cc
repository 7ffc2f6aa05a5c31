#include "histogram.h"

#include <algorithm>
#include <bit>
#include <chrono>
#include <cmath>
#include <thread>

#if defined(__x86_64__)
#include <x86intrin.h>
#endif

namespace freyja::bench {

std::size_t Histogram::BucketOf(std::uint64_t value) {
  if (value < kSubBuckets) return static_cast<std::size_t>(value);
  const unsigned shift = static_cast<unsigned>(std::bit_width(value)) - 1 - kSubBucketBits;
  return shift * kSubBuckets + static_cast<std::size_t>(value >> shift);
}

std::uint64_t Histogram::HighestIn(std::size_t bucket) {
  if (bucket < 2 * kSubBuckets) return bucket;
  const std::size_t shift = bucket / kSubBuckets - 1;
  const std::uint64_t leading = bucket - shift * kSubBuckets;
  return (leading << shift) + ((std::uint64_t{1} << shift) - 1);
}

void Histogram::Add(std::uint64_t value) {
  ++counts_[BucketOf(value)];
  ++count_;
  max_ = std::max(max_, value);
}

void Histogram::Merge(const Histogram& other) {
  for (std::size_t i = 0; i < kBuckets; ++i) counts_[i] += other.counts_[i];
  count_ += other.count_;
  max_ = std::max(max_, other.max_);
}

std::uint64_t Histogram::Percentile(double percent) const {
  if (count_ == 0) return 0;
  // Less a little, so that 99.9 % of 10,000 is 9,990 whatever the rounding of 99.9.
  const double wanted = std::ceil(percent / 100 * static_cast<double>(count_) - 1e-6);
  const std::uint64_t rank = std::max<std::uint64_t>(1, static_cast<std::uint64_t>(wanted));
  std::uint64_t seen = 0;
  for (std::size_t i = 0; i < kBuckets; ++i) {
    seen += counts_[i];
    if (seen >= rank) return std::min(HighestIn(i), max_);
  }
  return max_;
}

namespace {

std::uint64_t SteadyNanoseconds() {
  return static_cast<std::uint64_t>(std::chrono::duration_cast<std::chrono::nanoseconds>(
                                        std::chrono::steady_clock::now().time_since_epoch())
                                        .count());
}

double Calibrate() {
  const std::uint64_t ticks = Ticks();
  const std::uint64_t start = SteadyNanoseconds();
  std::this_thread::sleep_for(std::chrono::milliseconds(20));
  return static_cast<double>(SteadyNanoseconds() - start) / static_cast<double>(Ticks() - ticks);
}

}  // namespace

std::uint64_t Ticks() {
#if defined(__x86_64__)
  return __rdtsc();
#else
  return SteadyNanoseconds();
#endif
}

double NanosecondsPerTick() {
  static const double factor = Calibrate();
  return factor;
}

}  // namespace freyja::bench
