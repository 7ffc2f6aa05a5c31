#include "slices.h"

#include <gtest/gtest.h>

#include <chrono>

namespace freyja::bench {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

SliceSample SampleOf(std::uint64_t response, std::uint64_t call) {
  SliceSample sample;
  for (int i = 0; i < 1000; ++i) {
    sample.all.response.Add(response);
    sample.all.call.Add(call);
  }
  return sample;
}

TEST(TimelineTest, OneSliceInFourIsPausedAndItsPartnerIsANeighbourOnEitherSideInTurn) {
  EXPECT_FALSE(Timeline::IsPaused(0));
  EXPECT_FALSE(Timeline::IsPaused(1));
  EXPECT_TRUE(Timeline::IsPaused(2));
  EXPECT_FALSE(Timeline::IsPaused(3));
  EXPECT_TRUE(Timeline::IsPaused(6));
  EXPECT_EQ(Timeline::PartnerOf(2), 1U);
  EXPECT_EQ(Timeline::PartnerOf(6), 7U);
  EXPECT_EQ(Timeline::PartnerOf(10), 9U);
}

TEST(TimelineTest, TheFirstTwentiethOfASliceIsNoOnes) {
  const Timeline timeline{.start = SteadyClock::now(), .slice = seconds(2)};
  EXPECT_EQ(timeline.SettledAt(timeline.start), std::nullopt);
  EXPECT_EQ(timeline.SettledAt(timeline.start + milliseconds(99)), std::nullopt);
  EXPECT_EQ(timeline.SettledAt(timeline.start + milliseconds(100)), 0U);
  EXPECT_EQ(timeline.SettledAt(timeline.start + milliseconds(1999)), 0U);
  EXPECT_EQ(timeline.SettledAt(timeline.start + milliseconds(2099)), std::nullopt);
  EXPECT_EQ(timeline.SettledAt(timeline.start + milliseconds(2100)), 1U);
}

TEST(MedianIntervalTest, IsThatOfTheSignTest) {
  // From tables of the sign test: 6 values 1st to 6th, 10 values 2nd to 9th, 30 values 10th to
  // 21st.
  const auto of = [](int count) {
    std::vector<double> values;
    for (int i = count; i >= 1; --i) values.push_back(i);
    return MedianIntervalOf(values);
  };
  EXPECT_EQ(of(1).median, 1);
  EXPECT_EQ(of(4).median, 2.5);
  EXPECT_FALSE(of(5).interval);
  EXPECT_EQ(of(6).interval, (std::array{1.0, 6.0}));
  EXPECT_EQ(of(10).interval, (std::array{2.0, 9.0}));
  EXPECT_EQ(of(30).interval, (std::array{10.0, 21.0}));
  EXPECT_EQ(of(30).median, 15.5);
  EXPECT_TRUE(of(5000).interval);
}

TEST(SliceCollectorTest, APairCountsOnceAllThreadsHaveGivenBothSides) {
  SliceCollector collector(2);
  collector.Add(1, SampleOf(30, 20));
  collector.Add(2, SampleOf(10, 10));
  collector.Add(2, SampleOf(10, 10));
  EXPECT_TRUE(collector.PairRatios().response_p999.empty());
  collector.Add(1, SampleOf(30, 20));
  EXPECT_EQ(collector.PairRatios().response_p999, std::vector{3.0});
  EXPECT_EQ(collector.PairRatios().call_p999, std::vector{2.0});
}

TEST(SliceCollectorTest, SumsKeepCompactionOnAndOffApart) {
  SliceCollector collector(1);
  collector.Add(0, SampleOf(30, 20));
  collector.Add(1, SampleOf(31, 20));
  collector.Add(2, SampleOf(10, 5));
  EXPECT_EQ(collector.on().response.count(), 2000U);
  EXPECT_EQ(collector.on().response.max(), 31U);
  EXPECT_EQ(collector.off().response.count(), 1000U);
  EXPECT_EQ(collector.off().call.max(), 5U);
}

}  // namespace
}  // namespace freyja::bench
