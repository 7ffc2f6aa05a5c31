#include "latency_histogram.h"

#include <algorithm>
#include <cmath>

namespace freyja::cli {

void LatencyHistogram::Merge(const LatencyHistogram& other) {
  // Relaxed: see Record.
  for (std::size_t i = 0; i < kBuckets; ++i) {
    const std::uint64_t more = other.buckets_[i].load(std::memory_order_relaxed);
    if (more == 0) continue;
    buckets_[i].store(buckets_[i].load(std::memory_order_relaxed) + more,
                      std::memory_order_relaxed);
  }
}

std::uint64_t LatencyHistogram::count() const {
  std::uint64_t total = 0;
  for (const auto& bucket : buckets_) total += bucket.load(std::memory_order_relaxed);
  return total;
}

std::uint64_t LatencyHistogram::PercentileNs(double fraction) const {
  const std::uint64_t total = count();
  if (total == 0) return 0;
  const double exact_rank = std::ceil(std::clamp(fraction, 0.0, 1.0) * static_cast<double>(total));
  const std::uint64_t rank = std::max<std::uint64_t>(1, static_cast<std::uint64_t>(exact_rank));
  std::uint64_t below = 0;
  std::uint64_t last = 0;
  for (std::size_t i = 0; i < kBuckets; ++i) {
    const std::uint64_t in_bucket = buckets_[i].load(std::memory_order_relaxed);
    if (in_bucket == 0) continue;
    below += in_bucket;
    last = UpperBound(i);
    if (below >= rank) break;
  }
  return last;
}

}  // namespace freyja::cli
