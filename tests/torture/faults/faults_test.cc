// The quick form of the fault sweep, and planted wrongs that it must find.
#include "torture/faults/faults.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <iostream>

#include "torture/faults/fault_driver.h"
#include "torture/faults/fault_kinds.h"
#include "torture/faults/fault_oracle.h"
#include "torture/faults/fault_workloads.h"

namespace freyja::torture {
namespace {

using support::Contents;
using support::MakeValue;

TEST(FaultsTest, EveryCallFailsAndNothingIsLostOrClaimedWrongly) {
  Report report;
  RunFaults({.seed = support::TestSeed(1)}, report);
  report.Print(std::cout);
  EXPECT_EQ(report.Problems(), "");
  EXPECT_EQ(report.violations(), 0u);
  EXPECT_GT(report.figure("faults_injected"), 1'000u);
  EXPECT_GT(report.figure("fault_reopens"), report.figure("faults_injected"));
  EXPECT_GT(report.figure("fault_stores_turned_read_only"), 50u);
  EXPECT_GT(report.figure("fault_swaps"), 100u);
  EXPECT_GT(report.figure("fault_scheduled_rotations"), 100u);
  EXPECT_GT(report.figure("fault_scheduled_failures"), 20u);
  for (const FaultKind& kind : FaultKinds()) {
    EXPECT_GT(report.figure(std::string("faults_") + kind.name), 0u) << kind.name;
  }
}

// --- The oracle -------------------------------------------------------------------------

class FaultOracleTest : public ::testing::Test {
 protected:
  FaultOracleTest() {
    oracle_.Acknowledged({{"a", MakeValue("a", 1, 0)}}, 1);
    oracle_.SaysDurable(1);
    oracle_.Acknowledged({{"b", MakeValue("b", 2, 0)}, {"c", MakeValue("c", 3, 0)}}, 3);
    oracle_.Maybe({{"a", MakeValue("a", 4, 0)}, {"d", MakeValue("d", 5, 0)}});
  }

  std::string AfterPowerLoss(const Contents& found) const {
    return oracle_.Judge(found, oracle_.AfterPowerLoss()).what;
  }
  std::string AfterKill(const Contents& found) const {
    return oracle_.Judge(found, oracle_.AfterKill()).what;
  }

  FaultOracle oracle_{{}};
  const Contents first_ = {{"a", MakeValue("a", 1, 0)}};
  const Contents second_ = {
      {"a", MakeValue("a", 1, 0)}, {"b", MakeValue("b", 2, 0)}, {"c", MakeValue("c", 3, 0)}};
  const Contents third_ = {{"a", MakeValue("a", 4, 0)},
                           {"b", MakeValue("b", 2, 0)},
                           {"c", MakeValue("c", 3, 0)},
                           {"d", MakeValue("d", 5, 0)}};
};

TEST_F(FaultOracleTest, TheWriteThatFailedMayBeThereOrNot) {
  EXPECT_EQ(AfterKill(second_), "");
  EXPECT_EQ(AfterKill(third_), "");
  EXPECT_EQ(oracle_.newest(), second_);
}

TEST_F(FaultOracleTest, HalfOfTheBatchThatFailedIsFound) {
  Contents half = second_;
  half["d"] = MakeValue("d", 5, 0);
  EXPECT_NE(AfterKill(half), "");
}

TEST_F(FaultOracleTest, WhatWasNotDurableMayGoOnlyWithThePower) {
  EXPECT_EQ(AfterPowerLoss(first_), "");
  EXPECT_NE(AfterKill(first_), "");
  EXPECT_NE(AfterPowerLoss({}), "");
  EXPECT_EQ(oracle_.Judge({}, oracle_.AfterPowerLoss()).wrong, Wrong::kAcknowledgedLost);
}

TEST_F(FaultOracleTest, TheFailedWriteWithoutOneBeforeItIsAHole) {
  Contents hole = third_;
  hole.erase("b");
  EXPECT_EQ(oracle_.Judge(hole, oracle_.AfterPowerLoss()).wrong, Wrong::kHole);
}

TEST_F(FaultOracleTest, ValuesThatNobodyWroteAreFound) {
  Contents other = second_;
  other["b"] = "something";
  EXPECT_EQ(oracle_.Judge(other, oracle_.AfterPowerLoss()).wrong, Wrong::kFabricated);
}

// --- The checker on a store --------------------------------------------------------------

DriverSetup DriverOptions() {
  DriverSetup setup;
  setup.options.create_if_missing = true;
  setup.options.scheduler.enabled = false;
  setup.options.sync = Sync::kNone;
  setup.options.segment_bytes = kMinSegmentBytes;
  setup.options.reserve_bytes = 256 << 10;
  setup.options.worker_threads = 1;
  return setup;
}

const FaultKind& KindNamed(std::string_view name) {
  for (const FaultKind& kind : FaultKinds()) {
    if (kind.name == name) return kind;
  }
  throw std::logic_error("no such kind");
}

TEST(FaultDriverTest, WithoutFaultsNothingIsWrong) {
  for (const FaultWorkload& workload : FaultWorkloads()) {
    Injector injector(nullptr, 0);
    Driver driver(DriverOptions(), injector);
    workload.run(driver);
    driver.Finish();
    EXPECT_TRUE(driver.problems().empty()) << workload.name << ": " << driver.problems()[0].what;
    EXPECT_GE(driver.reopens(), 4u);
  }
}

// One call in eight of those around its first job.
TEST(FaultDriverTest, TheSchedulerKnowsOfTheFailuresOfItsJobsAndTriesAgain) {
  const auto& workloads = FaultWorkloads();
  const auto scheduled =
      std::ranges::find(workloads, std::string_view("scheduled"), &FaultWorkload::name);
  ASSERT_NE(scheduled, workloads.end());
  std::uint64_t failed = 0;
  std::uint64_t compacted_after_failure = 0;
  for (std::uint64_t n = 80; n < 240; n += 8) {
    Injector injector(&KindNamed("no_memory"), n);
    Driver driver(DriverOptions(), injector);
    scheduled->run(driver);
    driver.Finish();
    EXPECT_TRUE(driver.problems().empty()) << n << ": " << driver.problems()[0].what;
    failed += driver.failed_by_itself();
    compacted_after_failure += driver.failed_by_itself() != 0 && driver.swaps() != 0 ? 1 : 0;
  }
  EXPECT_GT(failed, 2u);
  EXPECT_GT(compacted_after_failure, 2u);
}

TEST(FaultDriverTest, AClaimThatWritesWereDurableThatWereNotIsFound) {
  Injector injector(nullptr, 0);
  DriverSetup setup = DriverOptions();
  setup.plant_durable_claim = true;
  Driver driver(setup, injector);
  driver.Open();
  driver.Put(1, 100);
  driver.Finish();
  ASSERT_FALSE(driver.problems().empty());
  EXPECT_EQ(driver.problems()[0].wrong, Wrong::kAcknowledgedLost);
}

TEST(FaultDriverTest, ACallerWhoIgnoresErrorsIsFound) {
  const FaultKind& kind = KindNamed("sync_dropped");
  std::uint64_t found = 0;
  for (std::uint64_t n = 0; n < 40; ++n) {
    Injector injector(&kind, n);
    DriverSetup setup = DriverOptions();
    setup.plant_ignored_error = true;
    Driver driver(setup, injector);
    FaultWorkloads()[0].run(driver);
    driver.Finish();
    found += driver.problems().empty() ? 0 : 1;
  }
  EXPECT_GT(found, 0u);
}

TEST(FaultDriverTest, AnErrorWithoutAFaultIsFound) {
  Injector injector(nullptr, 0);
  DriverSetup setup = DriverOptions();
  setup.options.segment_bytes = 1;
  Driver driver(setup, injector);
  driver.Open();
  EXPECT_FALSE(driver.problems().empty());
}

}  // namespace
}  // namespace freyja::torture
