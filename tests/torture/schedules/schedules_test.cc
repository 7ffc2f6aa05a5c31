// The quick form of part "schedules", and the mistakes that it must find.
#include "torture/schedules/schedules.h"

#include <gtest/gtest.h>

#include <iostream>
#include <set>

#include "support/test_settings.h"
#include "torture/schedules/core_scenarios.h"
#include "torture/schedules/fiber.h"
#include "torture/schedules/store_scenarios.h"

namespace freyja::torture {
namespace {

using schedules::CorePlant;
using schedules::Explored;
using schedules::Scenario;
using schedules::StorePlant;

TEST(SchedulesTest, NoScheduleMissesResurrectsOrFabricates) {
  Report report;
  RunSchedules({.seed = support::TestSeed(1)}, report);
  report.Print(std::cout);
  EXPECT_EQ(report.violations(), 0U) << report.Problems();
  const std::uint64_t on_core = schedules::CoreScenarios().size();
  const std::uint64_t complete = report.figure("schedule_scenarios_complete");
  const std::uint64_t diverged = report.figure("schedule_scenarios_diverged");
  if (schedules::Fiber::kSanitized) {
    EXPECT_GE(complete + diverged, on_core);
  } else {
    EXPECT_EQ(diverged, 0U);
    EXPECT_GE(complete, on_core + 2);
  }
  EXPECT_GT(report.figure("schedules_explored"), 50'000U);
  EXPECT_GT(report.figure("pct_schedules"), 1'000U);
}

// What all scenarios find, with at most two preemptions.
std::set<Wrong> Find(const std::vector<Scenario>& scenarios) {
  std::set<Wrong> found;
  for (const Scenario& scenario : scenarios) {
    const Explored explored = ExploreAll(scenario, {.stop_at_first = true});
    for (const auto& finding : explored.findings) {
      std::cout << NameOf(finding.wrong) << " after " << explored.schedules
                << " schedules: " << finding.what << '\n';
      found.insert(finding.wrong);
    }
    if (found.size() > 1) break;
  }
  return found;
}

std::set<Wrong> Find(CorePlant plant) {
  auto scenarios = schedules::CoreScenarios(plant);
  scenarios.resize(3);  // get with overwrite, delete, and delete and put
  return Find(scenarios);
}

TEST(PlantedTest, ASwapThatStoresInsteadOfComparingIsFound) {
  const auto found = Find(CorePlant::kStoreInsteadOfSwap);
  EXPECT_TRUE(found.contains(Wrong::kStale));
  EXPECT_TRUE(found.contains(Wrong::kResurrected));
}

TEST(PlantedTest, ASwapThatErasesAndInsertsIsFound) {
  EXPECT_TRUE(Find(CorePlant::kEraseThenInsert).contains(Wrong::kMissed));
}

TEST(PlantedTest, FreeingBeforeEpochsDrainIsFound) {
  EXPECT_FALSE(Find(CorePlant::kFreeBeforeEpochsDrain).empty());
}

TEST(PlantedTest, AnEpochAnnouncedAfterTheLookUpIsFound) {
  EXPECT_FALSE(Find(CorePlant::kAnnounceAfterLookUp).empty());
}

std::vector<Scenario> FirstOnStore(StorePlant plant) {
  auto scenarios = schedules::StoreScenarios(plant);
  scenarios.resize(1);  // get, overwrite, swap
  return scenarios;
}

TEST(PlantedTest, ASegmentWhoseBytesGoUnderAReaderIsFoundOnTheWholeStore) {
  EXPECT_FALSE(Find(FirstOnStore(StorePlant::kReapAtOnce)).empty());
}

TEST(PlantedTest, ACopyThatIsStoredOverANewerWriteIsFoundOnTheWholeStore) {
  EXPECT_TRUE(Find(FirstOnStore(StorePlant::kSwapsBlindly)).contains(Wrong::kStale));
}

}  // namespace
}  // namespace freyja::torture
