#include "compaction/planner.h"

#include <gtest/gtest.h>

#include <vector>

namespace freyja::compaction {
namespace {

constexpr std::uint64_t kRoom = std::uint64_t{1} << 40;

SegmentFacts Facts(std::uint64_t id, std::uint64_t record_bytes, std::uint64_t live_bytes,
                   std::uint64_t tombstone_bytes = 0) {
  return {.id = id,
          .record_bytes = record_bytes,
          .live_bytes = live_bytes,
          .live_records = live_bytes / 100,
          .tombstone_bytes = tombstone_bytes,
          .lowest_sequence = id * 100,
          .highest_sequence = id * 100 + 99};
}

Plan PlanOf(const std::vector<SegmentFacts>& facts, double min_space_saving = 0.25,
            std::uint64_t max_input_bytes = 0, std::uint64_t max_output_bytes = kRoom) {
  return MakePlan(facts, {.min_space_saving = min_space_saving,
                          .max_input_bytes = max_input_bytes,
                          .max_output_bytes = max_output_bytes});
}

using Ids = std::vector<std::uint64_t>;

TEST(PlannerTest, AnEmptyStoreHasNothingToDoAndSaysSo) {
  const Plan plan = PlanOf({});
  EXPECT_TRUE(plan.victims.empty());
  EXPECT_EQ(plan.gain(), 0u);
  EXPECT_NE(plan.reason.find("nothing to gain"), std::string::npos);
}

TEST(PlannerTest, SegmentsThatSaveLessThanTheMinimumAreLeftAlone) {
  const Plan plan = PlanOf({Facts(1, 1000, 760), Facts(2, 1000, 750), Facts(3, 1000, 10)});
  EXPECT_EQ(plan.victims, (Ids{2, 3}));
  EXPECT_EQ(plan.input_bytes, 2000u);
  EXPECT_EQ(plan.output_bytes, 760u);
}

TEST(PlannerTest, WithoutGainThePlanIsEmptyEvenIfNoMinimumIsAskedFor) {
  EXPECT_TRUE(PlanOf({Facts(1, 1000, 1000)}, 0.0).victims.empty());
  EXPECT_EQ(PlanOf({Facts(1, 1000, 992)}, 0.0).victims, Ids{1});
}

TEST(PlannerTest, ASegmentWithoutRecordsIsNoVictim) {
  EXPECT_TRUE(PlanOf({Facts(1, 0, 0)}, 0.0).victims.empty());
}

TEST(PlannerTest, TheDeadestComeFirstWhenNotAllFit) {
  const std::vector<SegmentFacts> facts{Facts(1, 1000, 500), Facts(2, 1000, 100),
                                        Facts(3, 1000, 300)};
  EXPECT_EQ(PlanOf(facts, 0.25, /*max_input_bytes=*/2000).victims, (Ids{2, 3}));
  EXPECT_EQ(PlanOf(facts, 0.25, /*max_input_bytes=*/1000).victims, Ids{2});
}

TEST(PlannerTest, EqualShareGoesToTheOlderSegment) {
  const std::vector<SegmentFacts> facts{Facts(2, 1000, 100), Facts(1, 1000, 100)};
  EXPECT_EQ(PlanOf(facts, 0.25, /*max_input_bytes=*/1000).victims, Ids{1});
}

TEST(PlannerTest, OneSegmentIsTakenThoughItIsLargerThanTheInputLimit) {
  EXPECT_EQ(PlanOf({Facts(1, 5000, 100)}, 0.25, /*max_input_bytes=*/1000).victims, Ids{1});
}

TEST(PlannerTest, AVictimThatDoesNotFitOnTheDiskIsSkippedAndTheOthersGoOn) {
  // By share of dead bytes the large one comes first; its live rest alone is too much.
  const std::vector<SegmentFacts> facts{Facts(1, 100'000, 20'000), Facts(2, 1000, 500),
                                        Facts(3, 1000, 600)};
  const Plan plan = PlanOf(facts, 0.25, 0, /*max_output_bytes=*/10'000);
  EXPECT_EQ(plan.victims, (Ids{2, 3}));
  EXPECT_NE(plan.reason.find("1 more"), std::string::npos) << plan.reason;
}

TEST(PlannerTest, TheHintsOfTheOutputsMustFitAsWell) {
  const SegmentFacts facts = Facts(1, 10'000, 5'000);  // 50 records: at least 1,600 for hints
  EXPECT_TRUE(PlanOf({facts}, 0.25, 0, 6'000).victims.empty());
  EXPECT_GE(PlanOf({facts}).disk_bytes, 6'600u);
}

TEST(PlannerTest, NothingFitsOnAFullDisk) {
  const Plan plan = PlanOf({Facts(1, 1000, 500)}, 0.25, 0, 0);
  EXPECT_TRUE(plan.victims.empty());
  EXPECT_NE(plan.reason.find("would not fit"), std::string::npos);
}

TEST(PlannerTest, TombstonesThatMayStillHideSomethingAreNoGain) {
  // Segment 2 consists of tombstones for segment 1.
  EXPECT_TRUE(PlanOf({Facts(1, 1000, 1000), Facts(2, 1000, 0, 1000)}, 0.0).victims.empty());
}

TEST(PlannerTest, TombstonesOfTheOldestSegmentAreGain) {
  EXPECT_EQ(PlanOf({Facts(1, 1000, 0, 1000), Facts(2, 1000, 1000)}).victims, Ids{1});
  EXPECT_EQ(PlanOf({Facts(7, 1000, 0, 1000)}).victims, Ids{7});
}

TEST(PlannerTest, EveryPlanGainsSomething) {
  for (std::uint64_t live = 0; live <= 1000; live += 8) {
    for (std::uint64_t tombstones = 0; live + tombstones <= 1000; tombstones += 40) {
      const Plan plan = PlanOf({Facts(1, 1000, 1000), Facts(2, 1000, live, tombstones)}, 0.0);
      EXPECT_EQ(plan.victims.empty(), plan.gain() == 0) << live << " " << tombstones;
    }
  }
}

}  // namespace
}  // namespace freyja::compaction
