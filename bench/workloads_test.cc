#include "workloads.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <string>

#include "fake_peer.h"

namespace freyja::bench {
namespace {

RunParameters Parameters() {
  return {.keys = 1'000, .value_bytes = 100, .seed = 7, .latency_every = 2};
}

std::vector<Measure> AllMeasures() {
  std::vector<Workload> workloads;
  for (const WorkloadInfo& info : AllWorkloads()) workloads.push_back(info.workload);
  return MakeMeasures(workloads, {1, 3}, {1, 4});
}

// Every measure and every check on one store; the first error.
Status RunAll(Peer& peer, const RunParameters& parameters) {
  History history;
  for (const Measure& measure : AllMeasures()) {
    // Of a store whose keys are gone nothing else could be checked.
    if (measure.workload == Workload::kDelete) continue;
    const auto run = RunMeasure(peer, measure, parameters, history);
    if (!run) return run.error();
  }
  const Status status = CheckContents(peer, parameters, history);
  if (!status.ok()) return status;
  const Measure deletes = {Workload::kDelete, 1};
  if (const auto run = RunMeasure(peer, deletes, parameters, history); !run) return run.error();
  return CheckContents(peer, parameters, history);
}

Result<WorkloadRun> RunAfterFill(Peer& peer, const Measure& measure,
                                 const RunParameters& parameters, History& history) {
  const auto fill = RunMeasure(peer, {Workload::kFill, 1}, parameters, history);
  if (!fill) return fill;
  return RunMeasure(peer, measure, parameters, history);
}

TEST(WorkloadsTest, ACorrectStorePassesEveryMeasure) {
  FakePeer peer;
  EXPECT_TRUE(RunAll(peer, Parameters()).ok());
}

TEST(WorkloadsTest, EveryMeasureDoesOneOperationForEachKey) {
  for (const Measure& measure : AllMeasures()) {
    if (measure.workload == Workload::kFill) continue;
    FakePeer peer;
    History history;
    const auto run = RunAfterFill(peer, measure, Parameters(), history);
    ASSERT_TRUE(run.has_value()) << MeasureName(measure);
    EXPECT_EQ(run->operations, 1'000U) << MeasureName(measure);
    EXPECT_EQ(run->thread_operations.size(), measure.threads);
    EXPECT_GT(run->seconds, 0);
    EXPECT_GT(run->latency.count(), 0U);
    EXPECT_GT(run->process_cpu_seconds, 0);
    EXPECT_FALSE(run->cut_short);
  }
}

TEST(WorkloadsTest, TheWantedShareOfCallsIsTimedSingly) {
  FakePeer peer;
  History history;
  const auto fill = RunMeasure(peer, {Workload::kFill, 1}, Parameters(), history);
  ASSERT_TRUE(fill.has_value());
  EXPECT_EQ(fill->latency.count(), 2 * 256U);
  const auto multi = RunMeasure(peer, {Workload::kMultiGet16, 1}, Parameters(), history);
  ASSERT_TRUE(multi.has_value());
  EXPECT_EQ(multi->latency.count(), 2 * 256U / 16U);
}

TEST(WorkloadsTest, EveryKindOfWrongAnswerIsReported) {
  for (const Fault fault :
       {Fault::kShortValue, Fault::kOtherValue, Fault::kStaleValue, Fault::kLostKey,
        Fault::kPhantomKey, Fault::kDeleteIgnored, Fault::kMultiGetShifted, Fault::kBatchTorn}) {
    FakePeer peer(fault);
    EXPECT_EQ(RunAll(peer, Parameters()).code(), StatusCode::kCorruption)
        << "fault " << static_cast<int>(fault);
  }
}

TEST(WorkloadsTest, EachMeasureThatWritesIsCheckedByItself) {
  for (const Measure& measure : AllMeasures()) {
    if (InfoOf(measure.workload).writes_percent == 0 || measure.workload == Workload::kSync) {
      continue;
    }
    if (measure.workload == Workload::kFill) continue;
    FakePeer peer(Fault::kStaleValue);
    History history;
    const auto run = RunAfterFill(peer, measure, Parameters(), history);
    ASSERT_TRUE(run.has_value()) << MeasureName(measure);
    EXPECT_EQ(CheckContents(peer, Parameters(), history).code(), StatusCode::kCorruption)
        << MeasureName(measure);
  }
}

TEST(WorkloadsTest, ASyncedPutThatIsLostIsFound) {
  FakePeer peer(Fault::kLostKey);
  History history;
  ASSERT_TRUE(RunMeasure(peer, {Workload::kSync, 4}, Parameters(), history).has_value());
  EXPECT_EQ(CheckContents(peer, Parameters(), history).code(), StatusCode::kCorruption);
}

TEST(WorkloadsTest, AKeyThatSurvivesItsDeleteIsFound) {
  FakePeer peer(Fault::kDeleteIgnored);
  History history;
  ASSERT_TRUE(RunAfterFill(peer, {Workload::kDelete, 1}, Parameters(), history).has_value());
  EXPECT_EQ(CheckContents(peer, Parameters(), history).code(), StatusCode::kCorruption);
}

TEST(WorkloadsTest, AFailureOfTheStoreIsPassedOnWithItsMessage) {
  FakePeer peer(Fault::kPutFails);
  const Status status = RunAll(peer, Parameters());
  EXPECT_EQ(status.code(), StatusCode::kIoError);
  EXPECT_NE(status.message().find("disk on fire"), std::string::npos);
}

TEST(WorkloadsTest, AFailureInOneOfSeveralThreadsEndsThemAll) {
  FakePeer peer(Fault::kPutFails);
  History history;
  EXPECT_FALSE(RunMeasure(peer, {Workload::kSync, 8}, Parameters(), history).has_value());
}

TEST(WorkloadsTest, TheTimeLimitCutsEverythingButAFill) {
  FakePeer peer;
  History history;
  RunParameters parameters = Parameters();
  parameters.seconds = 1e-9;
  const auto fill = RunMeasure(peer, {Workload::kFill, 1}, parameters, history);
  ASSERT_TRUE(fill.has_value());
  EXPECT_EQ(fill->operations, parameters.keys);
  for (const unsigned threads : {1U, 2U}) {
    const auto put = RunMeasure(peer, {Workload::kOverwrite, threads}, parameters, history);
    ASSERT_TRUE(put.has_value());
    EXPECT_TRUE(put->cut_short);
    EXPECT_LT(put->operations, parameters.keys);
  }
  EXPECT_TRUE(CheckContents(peer, parameters, history).ok());
}

TEST(WorkloadsTest, AStopRequestCancels) {
  FakePeer peer;
  History history;
  const std::atomic<bool> stop = true;
  RunParameters parameters = Parameters();
  parameters.stop = &stop;
  const auto run = RunMeasure(peer, {Workload::kFill, 1}, parameters, history);
  ASSERT_FALSE(run.has_value());
  EXPECT_EQ(run.error().code(), StatusCode::kCancelled);
}

TEST(WorkloadsTest, ZipfDrawsFavourFewKeysAndStayBelowTheirBound) {
  const std::vector<std::uint32_t> draws = ZipfDraws(10'000, 5);
  ASSERT_EQ(draws.size(), 10'000U);
  std::map<std::uint32_t, std::size_t> counts;
  for (const std::uint32_t key : draws) ++counts[key];
  EXPECT_LT(counts.rbegin()->first, 10'000U);
  const auto hottest =
      std::ranges::max_element(counts, {}, [](const auto& entry) { return entry.second; });
  // The most frequent of 10,000 has a share of one in 9.9; a uniform one would come once.
  EXPECT_GT(hottest->second, 700U);
  EXPECT_LT(counts.size(), 5'000U);
}

}  // namespace
}  // namespace freyja::bench
