#include "scheduler_benchmark.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <thread>

#include "scheduler_report.h"
#include "scratch_directory.h"
#include "sustained_load.h"

namespace freyja::bench {
namespace {

class SchedulerBenchmarkTest : public testing::Test {
 protected:
  SchedulerPlan SmallPlan() const {
    SchedulerPlan plan;
    plan.keys = 20'000;
    plan.segment_bytes = std::uint64_t{64} << 10;
    plan.seconds = 1.6;
    plan.warm_up = 0.5;
    plan.writes_per_second = 3'000;
    plan.reads_per_second = 2'000;
    plan.directory = scratch_->path();
    return plan;
  }

  Result<ScratchDirectory> scratch_ =
      ScratchDirectory::Make(std::filesystem::temp_directory_path());
  std::atomic<bool> stop_ = false;
};

TEST_F(SchedulerBenchmarkTest, AShortRunGivesPlausibleFiguresAndLeavesNothingBehind) {
  const SchedulerPlan plan = SmallPlan();
  const auto result = RunSchedulerBenchmark(plan, stop_, [](const std::string&) {});
  ASSERT_TRUE(result) << result.error().ToString();
  EXPECT_TRUE(std::filesystem::is_empty(scratch_->path()));
  EXPECT_TRUE(result->AnswersAreRight()) << result->answers.first_wrong;
  EXPECT_FALSE(result->interrupted);
  EXPECT_NEAR(result->seconds, plan.seconds, 0.2);
  EXPECT_EQ(result->slice_seconds, 0.1);
  // A loaded machine may not run everything that was due.
  EXPECT_GT(result->writes.operations, 1'000U);
  EXPECT_LE(result->writes.operations, 4'801U);
  EXPECT_EQ(result->answers.checked, result->reads.operations);
  EXPECT_EQ(result->reopened.checked, plan.keys);
  EXPECT_GT(result->segments, 40U);

  EXPECT_GT(result->space.samples, 3U);
  EXPECT_GT(result->space.highest, result->space.highest_records) << "hints take space, too";
  EXPECT_GE(result->space.highest, result->space.mean);
  EXPECT_GT(result->space.mean_records, 1.0);
  EXPECT_GE(result->write_amplification.records, 1.0);
  for (const OperationFigures* figures : {&result->reads, &result->writes}) {
    EXPECT_GT(figures->on.call.count(), figures->off.call.count());
    EXPECT_GT(figures->off.call.count(), 0U);
    EXPECT_GE(figures->on.response.Percentile(50), figures->on.call.Percentile(50));
    EXPECT_LE(figures->beside_job.call.count(), figures->on.call.count());
    EXPECT_FALSE(figures->ratios.response_p999.empty());
    EXPECT_EQ(figures->ratios.response_p999.size(), figures->ratios.call_p999.size());
  }
}

TEST_F(SchedulerBenchmarkTest, TheSchedulerWorksWhileItIsMeasured) {
  SchedulerPlan plan = SmallPlan();
  plan.ceiling = 1.3;  // which the hints alone come near
  const auto result = RunSchedulerBenchmark(plan, stop_, [](const std::string&) {});
  ASSERT_TRUE(result) << result.error().ToString();
  EXPECT_TRUE(result->AnswersAreRight()) << result->answers.first_wrong;
  EXPECT_GT(result->swaps, 0U);
  EXPECT_GT(result->job_share, 0.0);
  EXPECT_GT(result->write_amplification.records, 1.1);
}

TEST_F(SchedulerBenchmarkTest, AStopEndsItWithTheFiguresUpToThen) {
  SchedulerPlan plan = SmallPlan();
  plan.seconds = 300;
  std::thread stopper;
  const auto result = RunSchedulerBenchmark(plan, stop_, [&](const std::string& what) {
    if (what != "measuring") return;
    stopper = std::thread([&] {
      std::this_thread::sleep_for(std::chrono::milliseconds(600));
      stop_.store(true);
    });
  });
  stopper.join();
  ASSERT_TRUE(result) << result.error().ToString();
  EXPECT_TRUE(result->interrupted);
  EXPECT_LT(result->seconds, 30);
  EXPECT_FALSE(result->write_amplification.second_half);
  EXPECT_GT(result->reads.operations, 0U);
  EXPECT_TRUE(result->AnswersAreRight());
  EXPECT_TRUE(SchedulerJson(plan, *result).at("interrupted").get<bool>());
}

TEST_F(SchedulerBenchmarkTest, StoppedBeforeItMeasuresThereIsNothingToTell) {
  stop_.store(true);
  const auto result = RunSchedulerBenchmark(SmallPlan(), stop_, [](const std::string&) {});
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().code(), StatusCode::kCancelled);
  EXPECT_TRUE(std::filesystem::is_empty(scratch_->path()));
}

TEST_F(SchedulerBenchmarkTest, SlicesAreShortEnoughForTheRunAndForThePause) {
  SchedulerPlan plan;
  plan.seconds = 3600;
  plan.writes_per_second = 1'000;
  EXPECT_EQ(SliceSeconds(plan), 2.0);
  plan.seconds = 8;
  EXPECT_EQ(SliceSeconds(plan), 1.0);
  plan.writes_per_second = 50'000;
  EXPECT_DOUBLE_EQ(SliceSeconds(plan), 0.24);
  plan.slice_seconds = 5;
  EXPECT_EQ(SliceSeconds(plan), 5.0);
}

TEST_F(SchedulerBenchmarkTest, WrongAnswersAreNoGoalThatIsMet) {
  SchedulerResult result;
  const SchedulerPlan plan;
  EXPECT_TRUE(SchedulerJson(plan, result).at("goals").at("wrong_answers").at("met"));
  result.reopened.Count(Verdict::kStale, 1, "planted");
  EXPECT_FALSE(result.AnswersAreRight());
  EXPECT_FALSE(SchedulerJson(plan, result).at("goals").at("wrong_answers").at("met"));
}

TEST_F(SchedulerBenchmarkTest, GoalsOnTailsNeedEnoughPairs) {
  SchedulerResult result;
  const SchedulerPlan plan;
  result.reads.ratios.response_p999.assign(kFewestPairs - 1, 1.2);
  EXPECT_FALSE(SchedulerJson(plan, result).at("goals").contains("read_p999_ratio"));
  result.reads.ratios.response_p999.push_back(1.2);
  EXPECT_FALSE(SchedulerJson(plan, result).at("goals").at("read_p999_ratio").at("met"));
}

// --- A store that lies ----------------------------------------------------------------

class CheckedReaderTest : public SchedulerBenchmarkTest {
 protected:
  void SetUp() override {
    auto store = KVStore::Open(scratch_->path() / "store", {.create_if_missing = true});
    ASSERT_TRUE(store) << store.error().ToString();
    store_ = *std::move(store);
    writer_.emplace(*store_, contents_);
    for (const int version : {1, 2}) {
      ASSERT_TRUE(writer_->Put(kKey).ok()) << version;
    }
  }

  // What a reader that knows of two versions makes of the store.
  Answers Read() {
    CheckedReader reader(*store_, contents_);
    EXPECT_TRUE(reader.Get(kKey).ok());
    EXPECT_EQ(reader.answers().checked, 1U);
    return reader.answers();
  }
  void Plant(std::uint64_t key, std::uint64_t version) {
    VersionedValue value(contents_.value_bytes);
    ASSERT_TRUE(store_->Put(KeyMaker(contents_.seed).Present(kKey), value.Make(key, version)).ok());
  }

  static constexpr std::uint64_t kKey = 5;
  Contents contents_{SmallPlan()};
  std::unique_ptr<KVStore> store_;
  std::optional<VersionedWriter> writer_;
};

TEST_F(CheckedReaderTest, AnHonestStoreIsRight) { EXPECT_EQ(Read().wrong(), 0U); }

TEST_F(CheckedReaderTest, AnOldVersionIsStale) {
  Plant(kKey, 1);
  const Answers answers = Read();
  EXPECT_EQ(answers.stale, 1U);
  EXPECT_EQ(answers.first_wrong,
            "stale: key 5: version 1 where 2 was acknowledged before the read");
}

TEST_F(CheckedReaderTest, AnAcknowledgedWriteThatLeftNoTraceIsStale) {
  contents_.versions.Acknowledge(kKey, contents_.versions.Begin(kKey));
  EXPECT_EQ(Read().stale, 1U);
}

TEST_F(CheckedReaderTest, ALostKeyIsMissed) {
  ASSERT_TRUE(store_->Delete(KeyMaker(contents_.seed).Present(kKey)));
  EXPECT_EQ(Read().missed, 1U);
}

TEST_F(CheckedReaderTest, AnotherKeysValueAndAVersionThatNobodyWroteAreCorrupt) {
  Plant(kKey + 1, 2);
  EXPECT_EQ(Read().corrupt, 1U);
  Plant(kKey, 3);
  EXPECT_EQ(Read().corrupt, 1U);
}

}  // namespace
}  // namespace freyja::bench
