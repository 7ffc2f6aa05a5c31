#include "histogram.h"

#include <gtest/gtest.h>

#include <cstdint>

namespace freyja::bench {
namespace {

TEST(HistogramTest, EmptyHistogramAnswersZero) {
  const Histogram histogram;
  EXPECT_EQ(histogram.count(), 0U);
  EXPECT_EQ(histogram.max(), 0U);
  EXPECT_EQ(histogram.Percentile(99), 0U);
}

TEST(HistogramTest, SmallValuesAreExact) {
  Histogram histogram;
  for (std::uint64_t value = 1; value <= 20; ++value) histogram.Add(value);
  EXPECT_EQ(histogram.Percentile(5), 1U);
  EXPECT_EQ(histogram.Percentile(50), 10U);
  EXPECT_EQ(histogram.Percentile(100), 20U);
}

TEST(HistogramTest, EveryMagnitudeIsKeptToWithinOneThirtySecond) {
  for (unsigned shift = 0; shift < 64; ++shift) {
    for (const std::uint64_t value : {std::uint64_t{1} << shift, (std::uint64_t{3} << shift) / 2,
                                      (std::uint64_t{1} << shift) - 1}) {
      Histogram histogram;
      histogram.Add(value);
      histogram.Add(UINT64_MAX);  // so that max() does not clamp the answer
      const std::uint64_t answer = histogram.Percentile(50);
      EXPECT_GE(answer, value);
      EXPECT_LE(answer - value, value / 32);
    }
  }
}

TEST(HistogramTest, RareLargeValuesShowOnlyInTheTail) {
  Histogram histogram;
  for (int i = 0; i < 9'990; ++i) histogram.Add(10);
  for (int i = 0; i < 10; ++i) histogram.Add(1'000'000);
  EXPECT_EQ(histogram.Percentile(99.9), 10U);
  EXPECT_EQ(histogram.Percentile(99.95), 1'000'000U);
  EXPECT_EQ(histogram.max(), 1'000'000U);
}

TEST(HistogramTest, MergingAddsCountsAndKeepsTheLargerMaximum) {
  Histogram low;
  Histogram high;
  for (int i = 0; i < 3; ++i) low.Add(5);
  high.Add(700);
  low.Merge(high);
  EXPECT_EQ(low.count(), 4U);
  EXPECT_EQ(low.max(), 700U);
  EXPECT_EQ(low.Percentile(75), 5U);
  EXPECT_EQ(low.Percentile(76), 700U);
}

}  // namespace
}  // namespace freyja::bench
