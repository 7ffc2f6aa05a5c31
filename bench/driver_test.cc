#include "driver.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>
#include <vector>

#include "fake_peer.h"
#include "report.h"

namespace freyja::bench {
namespace {

PeerKind FakeKind(const std::string& id, Fault fault = Fault::kNone) {
  return {.id = id, .title = id, .settings = "", .durability = "", .make = [fault] {
            return std::make_unique<FakePeer>(fault);
          }};
}

class DriverTest : public testing::Test {
 protected:
  void SetUp() override {
    std::string name = (std::filesystem::temp_directory_path() / "driver_test-XXXXXX").string();
    ASSERT_NE(::mkdtemp(name.data()), nullptr);
    plan_.directory = name;
    plan_.keys = 500;
    plan_.workloads.assign(kAllWorkloads.begin(), kAllWorkloads.end());
  }
  void TearDown() override {
    // Whatever happened, every turn has removed its directory.
    EXPECT_TRUE(std::filesystem::is_empty(plan_.directory));
    std::filesystem::remove_all(plan_.directory);
  }

  Plan plan_;
  std::atomic<bool> stop_ = false;
  std::vector<std::string> turns_;
  TurnListener record_turn_ = [this](unsigned round, const PeerKind& kind) {
    turns_.push_back(std::to_string(round) + kind.id);
  };
};

TEST_F(DriverTest, EachStoreHasOneTurnPerRoundInRotatedOrder) {
  plan_.stores = {FakeKind("a"), FakeKind("b"), FakeKind("c")};
  plan_.rounds = 2;
  const auto results = RunPlan(plan_, stop_, record_turn_);
  ASSERT_TRUE(results.has_value());
  EXPECT_EQ(turns_, (std::vector<std::string>{"1a", "1b", "1c", "2b", "2c", "2a"}));
  for (const StoreResult& result : *results) EXPECT_EQ(result.rounds.size(), 2U);
}

TEST_F(DriverTest, AWrongAnswerEndsTheRunAndNamesTheStore) {
  plan_.stores = {FakeKind("good"), FakeKind("liar", Fault::kShortValue)};
  const auto results = RunPlan(plan_, stop_, record_turn_);
  ASSERT_FALSE(results.has_value());
  EXPECT_EQ(results.error().code(), StatusCode::kCorruption);
  EXPECT_TRUE(results.error().message().starts_with("liar: get")) << results.error().message();
}

TEST_F(DriverTest, AStopRequestInATurnLeavesNothingBehind) {
  plan_.stores = BuiltPeers();
  const auto results = RunPlan(plan_, stop_, [this](unsigned, const PeerKind&) { stop_ = true; });
  ASSERT_FALSE(results.has_value());
  EXPECT_EQ(results.error().code(), StatusCode::kCancelled);
}

TEST_F(DriverTest, OnlyTheWantedWorkloadsAreRunAfterTheFill) {
  plan_.stores = {FakeKind("a")};
  plan_.rounds = 1;
  plan_.workloads = {Workload::kMissingGet};
  const auto results = RunPlan(plan_, stop_, record_turn_);
  ASSERT_TRUE(results.has_value());
  const auto& runs = results->front().rounds.front().runs;
  EXPECT_TRUE(runs.contains(Workload::kFill));
  EXPECT_TRUE(runs.contains(Workload::kMissingGet));
  EXPECT_EQ(runs.size(), 2U);
}

WorkloadRun RunOf(std::uint64_t operations, double seconds) {
  WorkloadRun run;
  run.operations = operations;
  run.seconds = seconds;
  return run;
}

TEST(ReportTest, RatiosArePairedByRound) {
  Plan plan;
  plan.rounds = 2;
  plan.workloads = {Workload::kFill};
  StoreResult freyja = {FakeKind("freyja"), std::vector<StoreRound>(2)};
  StoreResult other = {FakeKind("other"), std::vector<StoreRound>(2)};
  // The machine is four times as slow in the second round: each ratio stays near two.
  freyja.rounds[0].runs[Workload::kFill] = RunOf(400, 1);
  freyja.rounds[1].runs[Workload::kFill] = RunOf(100, 1);
  other.rounds[0].runs[Workload::kFill] = RunOf(200, 1);
  other.rounds[1].runs[Workload::kFill] = RunOf(40, 1);
  const nlohmann::json ratio = ToJson(plan, {freyja, other})["ratios"]["other"]["fill"];
  EXPECT_DOUBLE_EQ(ratio["lowest"].get<double>(), 2);
  EXPECT_DOUBLE_EQ(ratio["highest"].get<double>(), 2.5);
  EXPECT_DOUBLE_EQ(ratio["median"].get<double>(), 2.25);
}

TEST(ReportTest, TheMedianOfAnEvenNumberIsTheMiddleOfTwo) {
  const Spread spread = SpreadOf({4, 1, 2, 10});
  EXPECT_DOUBLE_EQ(spread.median, 3);
  EXPECT_DOUBLE_EQ(spread.lowest, 1);
  EXPECT_DOUBLE_EQ(spread.highest, 10);
}

}  // namespace
}  // namespace freyja::bench
