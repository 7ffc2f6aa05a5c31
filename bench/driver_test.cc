#include "driver.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "fake_peer.h"

namespace freyja::bench {
namespace {

PeerKind FakeKind(const std::string& id, Fault fault = Fault::kNone) {
  return {.id = id,
          .title = id,
          .settings = "",
          .durability = "",
          .sync_always = "yes",
          .make = [fault] { return std::make_unique<FakePeer>(fault); }};
}

class DriverTest : public testing::Test {
 protected:
  void SetUp() override {
    std::string name = (std::filesystem::temp_directory_path() / "driver_test-XXXXXX").string();
    ASSERT_NE(::mkdtemp(name.data()), nullptr);
    plan_.directory = name;
    plan_.keys = 500;
    plan_.measures = {{Workload::kFill, 1}, {Workload::kGet, 1}, {Workload::kOverwrite, 2}};
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
  plan_.measures = {{Workload::kMissingGet, 1}};
  const auto results = RunPlan(plan_, stop_, record_turn_);
  ASSERT_TRUE(results.has_value());
  const auto& runs = results->front().rounds.front().runs;
  EXPECT_TRUE(runs.contains({Workload::kFill, 1}));
  EXPECT_TRUE(runs.contains({Workload::kMissingGet, 1}));
  EXPECT_EQ(runs.size(), 2U);
}

TEST_F(DriverTest, SustainedWritesHaveAStoreOfTheirOwnWhoseFilesAreMeasured) {
  auto limit = FakeKind("limit");
  limit.is_limit = true;
  plan_.stores = {FakeKind("a"), limit};
  plan_.rounds = 1;
  plan_.measures = {{Workload::kSustained, 1}};
  plan_.sustained_seconds = 0.05;
  const auto results = RunPlan(plan_, stop_, record_turn_);
  ASSERT_TRUE(results.has_value()) << results.error().ToString();
  const StoreRound& round = results->front().rounds.front();
  const WorkloadRun& run = round.runs.at({Workload::kSustained, 1});
  EXPECT_TRUE(run.cut_short) << "it goes on for as long as it may";
  EXPECT_GE(run.seconds, 0.05);
  ASSERT_TRUE(round.sustained_space.has_value());
  EXPECT_EQ(round.sustained_space->highest_bytes, 0U) << "a store in memory";
  EXPECT_FALSE(results->back().rounds.front().sustained_space.has_value());
}

TEST_F(DriverTest, DeletesAndSyncedPutsHaveStoresOfTheirOwn) {
  plan_.stores = {FakeKind("a")};
  plan_.rounds = 1;
  plan_.measures = {{Workload::kGet, 1}, {Workload::kDelete, 1}, {Workload::kSync, 2}};
  const auto results = RunPlan(plan_, stop_, record_turn_);
  ASSERT_TRUE(results.has_value()) << results.error().ToString();
  EXPECT_EQ(results->front().rounds.front().runs.size(), 4U);
  // A store that forgets everything when it is opened again fails by the check after that.
  plan_.stores = {FakeKind("a", Fault::kRestartForgets)};
  const auto forgetful = RunPlan(plan_, stop_, record_turn_);
  ASSERT_FALSE(forgetful.has_value());
  EXPECT_NE(forgetful.error().message().find("after reopening"), std::string::npos);
}

}  // namespace
}  // namespace freyja::bench
