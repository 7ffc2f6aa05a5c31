#include "compaction/ranking.h"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

namespace freyja::compaction {
namespace {

SegmentFacts Dense(std::uint64_t id, std::uint64_t lowest, std::uint64_t records) {
  return {.id = id,
          .record_bytes = 100 * records,
          .live_bytes = 100 * records,
          .live_records = records,
          .lowest_sequence = lowest,
          .highest_sequence = lowest + records - 1,
          .record_count = records};
}

TEST(RankingTest, SelectionsHaveNamesThatLeadBackToThem) {
  for (const auto selection :
       {Selection::kGreedy, Selection::kCostBenefit, Selection::kAgeClasses}) {
    EXPECT_EQ(SelectionFromName(SelectionName(selection)), selection);
  }
  EXPECT_EQ(SelectionFromName("oldest"), std::nullopt);
}

TEST(RankingTest, EachAgeClassReachesFourTimesAsFarAsTheOneBefore) {
  constexpr std::uint64_t kLive = 1600;  // the unit is 100
  EXPECT_EQ(AgeClassOf(0, kLive), 0u);
  EXPECT_EQ(AgeClassOf(99, kLive), 0u);
  EXPECT_EQ(AgeClassOf(100, kLive), 1u);
  EXPECT_EQ(AgeClassOf(399, kLive), 1u);
  EXPECT_EQ(AgeClassOf(400, kLive), 2u);
  EXPECT_EQ(AgeClassOf(1600, kLive), 3u);
  EXPECT_EQ(AgeClassOf(25'600, kLive), 5u);
  EXPECT_EQ(AgeClassOf(UINT64_MAX, kLive), kAgeClassCount - 1);
  EXPECT_EQ(AgeClassOf(UINT64_MAX, 0), kAgeClassCount - 1);
}

TEST(RankingTest, ALogSegmentWasWrittenWhenItsRecordsWere) {
  const std::vector<SegmentFacts> facts{Dense(1, 1, 100), Dense(2, 101, 100), Dense(5, 401, 100)};
  const StoreAges ages(facts, 500);
  EXPECT_EQ(ages.AgeOf(facts[2]), 1u);
  EXPECT_EQ(ages.SinceWritten(facts[2]), 1u);
  EXPECT_EQ(ages.SinceWritten(facts[1]), 301u);
}

TEST(RankingTest, AnOutputWasWrittenWhenItsIdWasGiven) {
  // One hundred numbers pass from id to id; the output holds records of the first hundred.
  SegmentFacts output = Dense(4, 1, 100);
  output.record_count = 50;
  const std::vector<SegmentFacts> facts{Dense(1, 1, 100), output, Dense(5, 401, 100)};
  const StoreAges ages(facts, 500);
  EXPECT_EQ(ages.AgeOf(output), 401u);
  EXPECT_EQ(ages.SinceWritten(output), 101u);
}

TEST(RankingTest, WithoutTheNumberOfNowTheHighestSealedOneStandsForIt) {
  const std::vector<SegmentFacts> facts{Dense(1, 1, 100), Dense(2, 101, 100)};
  EXPECT_EQ(StoreAges(facts, 0).AgeOf(facts[1]), 1u);
  EXPECT_EQ(StoreAges(facts, 0).AgeOf(facts[0]), 101u);
}

TEST(RankingTest, WorthRisesWithTheDeadShareAndWithAge) {
  const std::vector<SegmentFacts> facts{Dense(1, 1, 100), Dense(2, 101, 100), Dense(3, 201, 100)};
  const StoreAges ages(facts, 300);
  for (const auto selection :
       {Selection::kGreedy, Selection::kCostBenefit, Selection::kAgeClasses}) {
    double last = 0;
    for (int live = 99; live >= 0; --live) {
      const double worth = WorthOf(facts[1], live / 100.0, ages, selection);
      EXPECT_GT(worth, last) << SelectionName(selection) << " " << live;
      last = worth;
    }
    if (selection == Selection::kGreedy) continue;
    EXPECT_GT(WorthOf(facts[0], 0.5, ages, selection), WorthOf(facts[1], 0.5, ages, selection));
  }
}

TEST(RankingTest, AHalfDeadSegmentIsOverdueByWhatTheDerivationSays) {
  // (1 - u) / u + ln(u) = 1 - ln 2 at a death rate of ln 2 over the 301 numbers it has existed.
  const std::vector<SegmentFacts> facts{Dense(1, 1, 100), Dense(2, 101, 100), Dense(5, 401, 100)};
  const StoreAges ages(facts, 500);
  EXPECT_NEAR(WorthOf(facts[1], 0.5, ages, Selection::kAgeClasses),
              (1 - std::log(2.0)) * 301 / std::log(2.0), 1e-9);
}

}  // namespace
}  // namespace freyja::compaction
