#include "latency_histogram.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <random>
#include <vector>

namespace freyja::cli {
namespace {

std::uint64_t ExactPercentile(std::vector<std::uint64_t> values, double fraction) {
  std::ranges::sort(values);
  const auto rank =
      static_cast<std::size_t>(std::ceil(fraction * static_cast<double>(values.size())));
  return values[std::max<std::size_t>(1, rank) - 1];
}

TEST(LatencyHistogram, EmptyHistogramHasPercentileZero) {
  const LatencyHistogram histogram;
  EXPECT_EQ(histogram.count(), 0U);
  EXPECT_EQ(histogram.PercentileNs(0.99), 0U);
}

TEST(LatencyHistogram, ShortDurationsAreExact) {
  LatencyHistogram histogram;
  for (std::uint64_t ns = 1; ns <= 100; ++ns) histogram.Record(ns);
  EXPECT_EQ(histogram.PercentileNs(0.5), 50U);
  EXPECT_EQ(histogram.PercentileNs(0.99), 99U);
  EXPECT_EQ(histogram.PercentileNs(1.0), 100U);
  EXPECT_EQ(histogram.PercentileNs(0.0), 1U);
}

TEST(LatencyHistogram, EveryDurationIsReportedWithinOnePercentAndNeverTooLow) {
  std::mt19937_64 random(1);
  for (int i = 0; i < 20000; ++i) {
    const std::uint64_t ns = random() >> (24 + random() % 40);
    LatencyHistogram histogram;
    histogram.Record(ns);
    const std::uint64_t reported = histogram.PercentileNs(1.0);
    ASSERT_GE(reported, ns);
    ASSERT_LE(static_cast<double>(reported - ns), 0.01 * static_cast<double>(ns)) << ns;
    if (i > 300) i += 10;
  }
}

TEST(LatencyHistogram, PercentilesAreWithinOnePercentOfTheExactOnes) {
  std::mt19937_64 random(7);
  std::lognormal_distribution<double> durations(7.0, 1.5);
  LatencyHistogram histogram;
  std::vector<std::uint64_t> values;
  for (int i = 0; i < 200000; ++i) {
    values.push_back(static_cast<std::uint64_t>(durations(random)));
    histogram.Record(values.back());
  }
  for (const double fraction : {0.01, 0.5, 0.9, 0.99, 0.999, 0.9999, 1.0}) {
    const auto exact = static_cast<double>(ExactPercentile(values, fraction));
    const auto reported = static_cast<double>(histogram.PercentileNs(fraction));
    EXPECT_GE(reported, exact) << fraction;
    EXPECT_LE(reported, 1.01 * exact) << fraction;
  }
}

TEST(LatencyHistogram, DurationsBeyondTheRangeCountAsTheLongest) {
  LatencyHistogram histogram;
  histogram.Record(~std::uint64_t{0});
  EXPECT_EQ(histogram.count(), 1U);
  EXPECT_EQ(histogram.PercentileNs(0.5), (std::uint64_t{1} << 40) - 1);
}

TEST(LatencyHistogram, MergedHistogramHoldsBoth) {
  LatencyHistogram low;
  LatencyHistogram high;
  for (int i = 0; i < 99; ++i) low.Record(10);
  high.Record(5000000);
  low.Merge(high);
  EXPECT_EQ(low.count(), 100U);
  EXPECT_EQ(high.count(), 1U);
  EXPECT_EQ(low.PercentileNs(0.99), 10U);
  EXPECT_NEAR(low.PercentileUs(1.0), 5000.0, 50.0);
}

}  // namespace
}  // namespace freyja::cli
