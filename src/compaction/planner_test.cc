#include "compaction/planner.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <optional>
#include <random>
#include <set>
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

constexpr std::array kSelections = {Selection::kGreedy, Selection::kCostBenefit,
                                    Selection::kAgeClasses};
constexpr std::uint64_t kNow = 100'000;

// Segments of 1,000 bytes, some of them a hundred numbers old and some a thousand times that,
// all of different dead shares.
std::vector<SegmentFacts> StoreOfManyAges() {
  std::vector<SegmentFacts> facts;
  for (std::uint64_t id = 1; id <= 40; ++id) {
    SegmentFacts one = Facts(id, 1000, (id * 370) % 1000 / 8 * 8);
    one.highest_sequence = kNow - (id % 4 == 0 ? 100 : id % 4 == 1 ? 2000 : 90'000 - id);
    one.lowest_sequence = one.highest_sequence - 9;
    one.live_records *= 10;
    facts.push_back(one);
  }
  return facts;
}

std::set<PassOver> ReasonsOf(const Plan& plan) {
  std::set<PassOver> reasons;
  for (const PassedOver& one : plan.passed_over) reasons.insert(one.reason);
  return reasons;
}

std::optional<PassOver> ReasonOf(const Plan& plan, std::uint64_t id) {
  const auto found = std::ranges::find(plan.passed_over, id, &PassedOver::id);
  return found == plan.passed_over.end() ? std::nullopt : std::optional(found->reason);
}

PlanLimits Combining(std::uint64_t segment_bytes, double min_space_saving = 0.25) {
  return {.min_space_saving = min_space_saving,
          .max_output_bytes = kRoom,
          .segment_bytes = segment_bytes};
}

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

TEST(PlannerTest, GreedyTakesTheDeadestFirstWhenNotAllFit) {
  const std::vector<SegmentFacts> facts{Facts(1, 1000, 500), Facts(2, 1000, 100),
                                        Facts(3, 1000, 300)};
  PlanLimits limits{
      .max_input_bytes = 2000, .max_output_bytes = kRoom, .selection = Selection::kGreedy};
  EXPECT_EQ(MakePlan(facts, limits).victims, (Ids{2, 3}));
  limits.max_input_bytes = 1000;
  EXPECT_EQ(MakePlan(facts, limits).victims, Ids{2});
}

TEST(PlannerTest, EqualWorthGoesToTheOlderSegment) {
  const std::vector<SegmentFacts> facts{Facts(2, 1000, 100), Facts(1, 1000, 100)};
  for (const Selection selection : kSelections) {
    const Plan plan = MakePlan(
        facts, {.max_input_bytes = 1000, .max_output_bytes = kRoom, .selection = selection});
    EXPECT_EQ(plan.victims, Ids{1}) << SelectionName(selection);
  }
}

TEST(PlannerTest, WithoutAnInputLimitEverythingWorthwhileIsTakenWhateverItsAge) {
  std::vector<SegmentFacts> facts;
  for (std::uint64_t id = 1; id <= 1000; id *= 10) facts.push_back(Facts(id, 1000, 500));
  EXPECT_EQ(PlanOf(facts).victims, (Ids{1, 10, 100, 1000}));
}

TEST(PlannerTest, AStepTakesOneAgeClassOnlyUnlessMixingIsAllowed) {
  const std::vector<SegmentFacts> facts = StoreOfManyAges();
  PlanLimits limits{.max_input_bytes = 20'000, .max_output_bytes = kRoom, .now_sequence = kNow};
  const Plan pure = MakePlan(facts, limits);
  const StoreAges ages(facts, kNow);
  std::set<unsigned> classes;
  for (const SegmentFacts& segment : facts) {
    if (std::ranges::binary_search(pure.victims, segment.id)) classes.insert(ages.ClassOf(segment));
  }
  EXPECT_EQ(classes.size(), 1u);
  EXPECT_GT(pure.victims.size(), 1u);
  EXPECT_EQ(ReasonsOf(pure).count(PassOver::kOtherAge), 1u);
  limits.mix_ages = true;
  EXPECT_EQ(ReasonsOf(MakePlan(facts, limits)).count(PassOver::kOtherAge), 0u);
}

TEST(PlannerTest, StepsCoverInTheEndWhatOneUnlimitedPlanTakes) {
  std::vector<SegmentFacts> facts = StoreOfManyAges();
  const Ids all = MakePlan(facts, {.max_output_bytes = kRoom, .now_sequence = kNow}).victims;
  ASSERT_FALSE(all.empty());
  Ids covered;
  for (;;) {
    const Plan plan =
        MakePlan(facts, {.max_input_bytes = 3000, .max_output_bytes = kRoom, .now_sequence = kNow});
    if (plan.victims.empty()) break;
    EXPECT_LE(plan.input_bytes, 3000u);
    covered.insert(covered.end(), plan.victims.begin(), plan.victims.end());
    for (SegmentFacts& segment : facts) {  // as if only live records were left where they are
      if (std::ranges::binary_search(plan.victims, segment.id))
        segment.record_bytes = segment.live_bytes;
    }
  }
  std::ranges::sort(covered);
  EXPECT_EQ(covered, all);
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

TEST(PlannerTest, EverySegmentIsEitherAVictimOrPassedOverForAReason) {
  const std::vector<SegmentFacts> facts = StoreOfManyAges();
  for (const std::uint64_t max_input_bytes : {0ULL, 1ULL, 5000ULL}) {
    const Plan plan = PlanOf(facts, 0.25, max_input_bytes, 4000);
    std::set<std::uint64_t> seen(plan.victims.begin(), plan.victims.end());
    for (const PassedOver& one : plan.passed_over) {
      EXPECT_TRUE(seen.insert(one.id).second) << one.id;
      EXPECT_FALSE(PassOverName(one.reason).empty());
    }
    EXPECT_EQ(seen.size(), facts.size());
  }
}

TEST(PlannerTest, ReasonsSayWhatKeepsASegmentOut) {
  std::vector<SegmentFacts> facts{
      Facts(1, 1000, 1000),      Facts(2, 1000, 0, 1000), Facts(3, 1000, 900), Facts(4, 0, 0),
      Facts(5, 100'000, 50'000), Facts(6, 1000, 100),     Facts(7, 1000, 500)};
  facts[5].is_available = false;
  const Plan plan = PlanOf(facts, 0.25, 0, 10'000);
  EXPECT_EQ(plan.victims, Ids{7});
  EXPECT_EQ(ReasonOf(plan, 1), PassOver::kNoGain);
  EXPECT_EQ(ReasonOf(plan, 2), PassOver::kTombstonesNeeded);
  EXPECT_EQ(ReasonOf(plan, 3), PassOver::kBelowThreshold);
  EXPECT_EQ(ReasonOf(plan, 4), PassOver::kNoRecords);
  EXPECT_EQ(ReasonOf(plan, 5), PassOver::kNoRoom);
  EXPECT_EQ(ReasonOf(plan, 6), PassOver::kUnavailable);
  EXPECT_EQ(ReasonOf(plan, 7), std::nullopt);
}

TEST(PlannerTest, WhatIsLeftToALaterStepIsCalledSo) {
  const std::vector<SegmentFacts> facts{Facts(1, 1000, 500), Facts(2, 1000, 500)};
  const Plan plan =
      MakePlan(facts, {.max_input_bytes = 1000, .max_output_bytes = kRoom, .mix_ages = true});
  ASSERT_EQ(plan.victims, Ids{1});
  EXPECT_EQ(ReasonOf(plan, 2), PassOver::kBeyondLimit);
}

TEST(PlannerTest, AnUnavailableSegmentIsPassedOverAndStillCountsForTombstones) {
  std::vector<SegmentFacts> facts{Facts(1, 1000, 0), Facts(2, 1000, 0, 1000), Facts(3, 1000, 0)};
  facts[0].is_available = false;
  const Plan plan = PlanOf(facts);
  EXPECT_EQ(plan.victims, Ids{3});
  EXPECT_EQ(ReasonOf(plan, 2), PassOver::kTombstonesNeeded);
}

TEST(PlannerTest, SmallSegmentsBecomeOneThoughNothingInThemIsDead) {
  std::vector<SegmentFacts> facts;
  for (std::uint64_t id = 1; id <= 4; ++id) facts.push_back(Facts(id, 200, 200));
  for (SegmentFacts& segment : facts) segment.highest_sequence = 999;
  const Plan plan = MakePlan(facts, Combining(1000));
  EXPECT_EQ(plan.victims, (Ids{1, 2, 3, 4}));
  EXPECT_EQ(plan.combined, 4u);
  EXPECT_EQ(plan.gain(), 0u);
  EXPECT_NE(plan.reason.find("small"), std::string::npos) << plan.reason;
  // Not by default, and not where it would be three that are spared a copy for one file less.
  EXPECT_TRUE(PlanOf(facts).victims.empty());
  facts.pop_back();
  EXPECT_TRUE(MakePlan(facts, Combining(1000)).victims.empty());
}

TEST(PlannerTest, SegmentsOfAQuarterAndMoreAreNotSmall) {
  std::vector<SegmentFacts> facts;
  for (std::uint64_t id = 1; id <= 8; ++id) facts.push_back(Facts(id, 256, 256));
  for (SegmentFacts& segment : facts) segment.highest_sequence = 999;
  EXPECT_TRUE(MakePlan(facts, Combining(1000)).victims.empty());
  EXPECT_EQ(MakePlan(facts, Combining(1100)).victims.size(), 4u);
}

TEST(PlannerTest, SmallSegmentsOfDifferentAgesAreNotCombined) {
  std::vector<SegmentFacts> facts;
  for (std::uint64_t id = 1; id <= 4; ++id) facts.push_back(Facts(id, 200, 200));
  for (SegmentFacts& segment : facts) segment.live_records = 100;
  facts[3].highest_sequence = facts[2].highest_sequence = 1'000'000;
  EXPECT_TRUE(MakePlan(facts, Combining(1000)).victims.empty());
}

TEST(PlannerTest, SmallSegmentsFillUpTheLastOutputAndNoMore) {
  std::vector<SegmentFacts> facts{Facts(1, 1000, 500)};
  for (std::uint64_t id = 2; id <= 5; ++id) facts.push_back(Facts(id, 200, 200));
  for (SegmentFacts& segment : facts) segment.highest_sequence = 999;
  const Plan plan = MakePlan(facts, Combining(1000));
  EXPECT_EQ(plan.victims, (Ids{1, 2, 3}));
  EXPECT_EQ(plan.combined, 2u);
  EXPECT_EQ(plan.output_bytes, 900u);
  PlanLimits limits = Combining(1000);
  limits.max_input_bytes = 1200;
  EXPECT_EQ(MakePlan(facts, limits).victims, (Ids{1, 2}));
  limits = Combining(1000);
  limits.max_output_bytes = PlanOf({facts[0]}).disk_bytes;
  EXPECT_EQ(MakePlan(facts, limits).victims, Ids{1});
}

TEST(PlannerTest, AnUnavailableSmallSegmentIsLeftAlone) {
  std::vector<SegmentFacts> facts;
  for (std::uint64_t id = 1; id <= 4; ++id) facts.push_back(Facts(id, 200, 200));
  for (SegmentFacts& segment : facts) segment.highest_sequence = 999;
  facts[1].is_available = false;
  EXPECT_TRUE(MakePlan(facts, Combining(1000)).victims.empty());
}

// Replaces victims by outputs, filled one after the other with records of eight bytes.
std::vector<SegmentFacts> Apply(const std::vector<SegmentFacts>& facts, const Plan& plan,
                                std::uint64_t segment_bytes, std::uint64_t& next_id) {
  std::vector<SegmentFacts> after;
  SegmentFacts rest{.lowest_sequence = UINT64_MAX};
  for (const SegmentFacts& segment : facts) {
    if (!std::ranges::binary_search(plan.victims, segment.id)) {
      after.push_back(segment);
      continue;
    }
    rest.live_bytes += segment.live_bytes;
    rest.tombstone_bytes += segment.tombstone_bytes;
    rest.lowest_sequence = std::min(rest.lowest_sequence, segment.lowest_sequence);
    rest.highest_sequence = std::max(rest.highest_sequence, segment.highest_sequence);
  }
  // The worst case: the plan may have promised that tombstones go.
  rest.tombstone_bytes = plan.output_bytes - std::min(plan.output_bytes, rest.live_bytes);
  while (rest.live_bytes + rest.tombstone_bytes != 0) {
    SegmentFacts output = rest;
    output.id = next_id++;
    output.live_bytes = std::min(rest.live_bytes, segment_bytes);
    output.tombstone_bytes = std::min(rest.tombstone_bytes, segment_bytes - output.live_bytes);
    output.record_bytes = output.live_bytes + output.tombstone_bytes;
    output.live_records = output.live_bytes / 8;
    rest.live_bytes -= output.live_bytes;
    rest.tombstone_bytes -= output.tombstone_bytes;
    after.push_back(output);
  }
  return after;
}

std::uint64_t RecordBytes(const std::vector<SegmentFacts>& facts) {
  std::uint64_t sum = 0;
  for (const SegmentFacts& segment : facts) sum += segment.record_bytes;
  return sum;
}

TEST(PlannerTest, PlansOnAStoreThatNothingElseChangesComeToAnEnd) {
  constexpr std::uint64_t kSegment = 4096;
  std::mt19937 random(11);
  const auto below = [&](std::uint64_t bound) { return random() % bound; };
  for (int round = 0; round < 300; ++round) {
    std::vector<SegmentFacts> facts;
    std::uint64_t next_id = 1;
    for (std::uint64_t count = below(40) + 1; count != 0; --count) {
      SegmentFacts one{.id = next_id++};
      one.record_bytes = 8 * (below(below(3) == 0 ? kSegment / 8 : 60) + 1);
      one.live_bytes = 8 * below(one.record_bytes / 8 + 1);
      if (below(3) == 0) one.live_bytes = one.record_bytes;
      one.live_records = one.live_bytes / 8;
      one.tombstone_bytes =
          below(2) == 0 ? 0 : 8 * below((one.record_bytes - one.live_bytes) / 8 + 1);
      one.lowest_sequence = 1 + below(100'000);
      one.highest_sequence = one.lowest_sequence + below(1000);
      facts.push_back(one);
    }
    const PlanLimits limits{.min_space_saving = 0.1 * static_cast<double>(below(5)),
                            .max_input_bytes = below(2) == 0 ? 0 : kSegment * (1 + below(4)),
                            .max_output_bytes = kRoom,
                            .selection = kSelections[below(3)],
                            .segment_bytes = kSegment};
    for (int steps = 0;; ++steps) {
      ASSERT_LT(steps, 200) << "round " << round;
      const Plan plan = MakePlan(facts, limits);
      if (plan.victims.empty()) break;
      const std::vector<SegmentFacts> after = Apply(facts, plan, kSegment, next_id);
      const std::uint64_t before_bytes = RecordBytes(facts);
      ASSERT_TRUE(RecordBytes(after) < before_bytes ||
                  (RecordBytes(after) == before_bytes && after.size() < facts.size()))
          << "round " << round << ": " << plan.reason;
      if (plan.combined < plan.victims.size()) {
        ASSERT_GT(plan.gain(), 0u);
      }
      facts = after;
    }
  }
}

}  // namespace
}  // namespace freyja::compaction
