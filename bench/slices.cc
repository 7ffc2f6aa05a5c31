#include "slices.h"

#include <algorithm>
#include <cmath>

namespace freyja::bench {

namespace {

constexpr double kTail = 0.025;  // on each side of the interval

// How many of the lowest values lie outside the interval: the largest k such that fewer than k
// of n fair coins show heads with a probability of at most kTail.
std::size_t OutsideOnEachSide(std::size_t n) {
  const double count = static_cast<double>(n);
  double at_most = 0;
  for (std::size_t k = 0; k < n; ++k) {
    const double heads = static_cast<double>(k);
    at_most += std::exp(std::lgamma(count + 1) - std::lgamma(heads + 1) -
                        std::lgamma(count - heads + 1) - count * std::log(2.0));
    if (at_most > kTail) return k;
  }
  return 0;
}

double Ratio(std::uint64_t on, std::uint64_t off) {
  return static_cast<double>(on) / static_cast<double>(std::max<std::uint64_t>(off, 1));
}

}  // namespace

MedianInterval MedianIntervalOf(std::vector<double> values) {
  std::ranges::sort(values);
  const std::size_t n = values.size();
  MedianInterval result;
  result.median = (values[(n - 1) / 2] + values[n / 2]) / 2;
  const std::size_t outside = OutsideOnEachSide(n);
  if (outside != 0) result.interval = {values[outside - 1], values[n - outside]};
  return result;
}

void SliceCollector::Add(std::size_t slice, const SliceSample& sample) {
  const std::lock_guard lock(mutex_);
  (Timeline::IsPaused(slice) ? off_ : on_).Merge(sample.all);
  beside_job_.Merge(sample.beside_job);
  Pending& pending = pending_[slice];
  pending.sum.Merge(sample.all);
  if (++pending.samples < threads_) return;
  complete_[slice] = {pending.sum.response.Percentile(99.9), pending.sum.call.Percentile(99.9)};
  pending_.erase(slice);
}

SliceCollector::Ratios SliceCollector::PairRatios() const {
  const std::lock_guard lock(mutex_);
  Ratios ratios;
  for (const auto& [slice, off] : complete_) {
    if (!Timeline::IsPaused(slice)) continue;
    const auto on = complete_.find(Timeline::PartnerOf(slice));
    if (on == complete_.end()) continue;
    ratios.response_p999.push_back(Ratio(on->second.response_p999, off.response_p999));
    ratios.call_p999.push_back(Ratio(on->second.call_p999, off.call_p999));
  }
  return ratios;
}

}  // namespace freyja::bench
