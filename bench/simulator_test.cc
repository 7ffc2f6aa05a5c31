#include "simulator.h"

#include <gtest/gtest.h>

#include <cmath>
#include <random>
#include <set>
#include <sstream>

namespace freyja::bench {
namespace {

constexpr std::uint64_t kRecord = 100;
constexpr std::uint64_t kTombstone = 40;

SimulationOptions Options(std::uint64_t segment_records, double ceiling) {
  return {.segment_records = segment_records,
          .record_bytes = kRecord,
          .tombstone_bytes = kTombstone,
          .ceiling = ceiling,
          .step_segments = 4};
}

SimulationResult Replay(const SimulationOptions& options, std::string_view name,
                        std::uint32_t keys) {
  const auto trace = MakeTrace(name, keys, 1);
  return Simulate(options, **trace, 3 * std::uint64_t{keys}, 5 * std::uint64_t{keys});
}

TEST(SimulatorTest, OverwritingInSequenceCopiesNothing) {
  for (const auto selection : {compaction::Selection::kAgeClasses, compaction::Selection::kGreedy,
                               compaction::Selection::kCostBenefit}) {
    SimulationOptions options = Options(10, 1.5);
    options.selection = selection;
    const SimulationResult result = Replay(options, "sequential", 1000);
    EXPECT_EQ(result.counters.user_bytes, 5 * 1000 * kRecord);
    EXPECT_EQ(result.counters.compaction_bytes, 0u);
    EXPECT_EQ(result.counters.WriteAmplification(), 1.0);
    EXPECT_GT(result.counters.steps, 0u);
  }
}

TEST(SimulatorTest, AStepCopiesExactlyWhatIsLive) {
  // Segments of four: {0 1 2 3} {0 1 2 4}. The first has one live record, the second four.
  Simulator simulator(Options(4, 1000), 5);
  for (const std::uint32_t key : {0U, 1U, 2U, 3U, 0U, 1U, 2U, 4U}) simulator.Put(key);
  EXPECT_EQ(simulator.held_bytes(), 8 * kRecord);
  EXPECT_EQ(simulator.live_bytes(), 5 * kRecord);
  EXPECT_TRUE(simulator.SealAndStep());
  EXPECT_EQ(simulator.counters().compaction_bytes, kRecord);
  EXPECT_EQ(simulator.held_bytes(), 5 * kRecord);
  EXPECT_EQ(simulator.segments(), 2u);
  EXPECT_FALSE(simulator.SealAndStep());
}

TEST(SimulatorTest, ADeleteOfEverythingLeavesNothingAfterSteps) {
  Simulator simulator(Options(8, 1000), 100);
  for (std::uint32_t key = 0; key < 100; ++key) simulator.Put(key);
  for (std::uint32_t key = 0; key < 100; ++key) simulator.Delete(key);
  EXPECT_EQ(simulator.live_bytes(), 0u);
  EXPECT_EQ(simulator.held_bytes(), 100 * (kRecord + kTombstone));
  for (int step = 0; simulator.SealAndStep(); ++step) ASSERT_LT(step, 1000);
  EXPECT_EQ(simulator.held_bytes(), 0u);
  EXPECT_EQ(simulator.segments(), 0u);
}

TEST(SimulatorTest, ATombstoneIsKeptWhileAnOlderPutIsHeld) {
  // Key 0's put stays in a segment that is full of live records otherwise.
  SimulationOptions options = Options(1000, 1000);
  options.step_segments = 1;
  Simulator simulator(options, 2000);
  for (std::uint32_t key = 0; key < 1000; ++key) simulator.Put(key);
  simulator.Delete(0);
  simulator.Put(1500);
  simulator.Put(1500);
  // The second segment is deader, but its tombstone is still needed.
  EXPECT_TRUE(simulator.SealAndStep());
  for (int step = 0; simulator.SealAndStep(); ++step) ASSERT_LT(step, 10);
  EXPECT_FALSE(simulator.Contains(0));
  EXPECT_EQ(simulator.held_bytes(), 1000 * kRecord);
}

TEST(SimulatorTest, DeletingAMissingKeyWritesNothing) {
  Simulator simulator(Options(8, 1.5), 3);
  simulator.Delete(1);
  EXPECT_EQ(simulator.held_bytes(), 0u);
  simulator.Put(1);
  simulator.Delete(1);
  simulator.Delete(1);
  EXPECT_EQ(simulator.counters().user_bytes, kRecord + kTombstone);
}

TEST(SimulatorTest, StepsNeverLoseOrReviveAKey) {
  for (const Placement placement : {Placement::kTogether, Placement::kByRecordAge}) {
    SimulationOptions options = Options(16, 1.3);
    options.placement = placement;
    Simulator simulator(options, 500);
    std::set<std::uint32_t> present;
    std::mt19937 random(3);
    for (int i = 0; i < 20'000; ++i) {
      const auto key = static_cast<std::uint32_t>(random() % 500);
      if (random() % 3 == 0) {
        simulator.Delete(key);
        present.erase(key);
      } else {
        simulator.Put(key);
        present.insert(key);
      }
    }
    for (int step = 0; simulator.SealAndStep(); ++step) ASSERT_LT(step, 1000);
    for (std::uint32_t key = 0; key < 500; ++key) {
      ASSERT_EQ(simulator.Contains(key), present.contains(key)) << key;
    }
    EXPECT_EQ(simulator.live_bytes(), present.size() * kRecord);
    // Nothing dead is left where nothing is to be gained.
    EXPECT_EQ(simulator.held_bytes(), simulator.live_bytes());
  }
}

TEST(SimulatorTest, TheCeilingHoldsAfterEveryStep) {
  for (const double ceiling : {1.2, 1.5, 2.0}) {
    const SimulationResult result = Replay(Options(32, ceiling), "zipf:0.99", 10'000);
    EXPECT_LE(result.counters.highest_space, ceiling);
    EXPECT_EQ(result.counters.over_ceiling, 0u);
    EXPECT_GT(result.counters.highest_space, 0.9 * ceiling);
  }
}

TEST(SimulatorTest, ACeilingThatCannotBeMetIsCounted) {
  // Ten live records never fit beside a segment of ten more.
  EXPECT_GT(Replay(Options(10, 1.5), "uniform", 10).counters.over_ceiling, 0u);
}

TEST(SimulatorTest, MoreRoomMeansLessToCopy) {
  double last = 1000;
  for (const double ceiling : {1.1, 1.2, 1.5, 2.0, 3.0}) {
    const double written =
        Replay(Options(32, ceiling), "uniform", 10'000).counters.WriteAmplification();
    EXPECT_LT(written, last) << ceiling;
    last = written;
  }
}

TEST(SimulatorTest, AgeClassesCopyLessThanGreedyWhereUpdatesAreSkewed) {
  for (const std::string_view trace : {"zipf:0.99", "hot-cold"}) {
    SimulationOptions options = Options(64, 1.5);
    const double ours = Replay(options, trace, 20'000).counters.WriteAmplification();
    options.selection = compaction::Selection::kGreedy;
    const double greedy = Replay(options, trace, 20'000).counters.WriteAmplification();
    EXPECT_LT(ours, 0.95 * greedy) << trace;
  }
}

TEST(SimulatorTest, ATraceFromAFileStartsWithAnEmptyStore) {
  std::istringstream in("a\nb\n-a\n");
  const auto trace = ReadTrace(in);
  const SimulationResult result = Simulate(Options(8, 1000), **trace, 0, 3);
  EXPECT_EQ(result.counters.user_bytes, 2 * kRecord + kTombstone);
}

TEST(AnalyticTest, OneOverRIsWhatTheAverageVictimCosts) {
  EXPECT_DOUBLE_EQ(OneOverR(2.0), 2.0);
  EXPECT_DOUBLE_EQ(OneOverR(1.5), 3.0);
}

TEST(AnalyticTest, OneRateGivesTheCostOfCleaningInTheOrderOfWriting) {
  // u = 0.5 takes 2 ln 2 of space and writes 1 / (1 - u).
  const std::vector<RateGroup> one{{1, 1}};
  EXPECT_NEAR(*SeparatedByRate(one, 2 * std::log(2.0)), 2.0, 1e-6);
}

TEST(AnalyticTest, SkewLowersTheBoundAndEqualRatesDoNot) {
  const std::vector<RateGroup> one{{1, 1}};
  const std::vector<RateGroup> equal{{0.3, 0.3}, {0.7, 0.7}};
  const std::vector<RateGroup> skewed{{0.1, 0.9}, {0.9, 0.1}};
  EXPECT_NEAR(*SeparatedByRate(equal, 1.5), *SeparatedByRate(one, 1.5), 1e-6);
  EXPECT_LT(*SeparatedByRate(skewed, 1.5), 0.8 * *SeparatedByRate(one, 1.5));
  EXPECT_FALSE(SeparatedByRate({}, 1.5));
}

}  // namespace
}  // namespace freyja::bench
