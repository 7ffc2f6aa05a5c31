#include "workloads.h"

#include <gtest/gtest.h>

#include <set>
#include <string>

#include "fake_peer.h"

namespace freyja::bench {
namespace {

RunParameters Parameters() {
  return {.keys = 1'000, .value_bytes = 100, .seed = 7, .latency_every = 2};
}

// Everything a turn does; the first error.
Status RunAll(Peer& peer, const RunParameters& parameters) {
  for (const Workload workload : kAllWorkloads) {
    const auto run = RunWorkload(peer, workload, parameters);
    if (!run) return run.error();
  }
  return CheckContents(peer, parameters, parameters.keys);
}

TEST(WorkloadsTest, PresentAndMissingKeysAreAllDifferent) {
  KeyMaker maker(42);
  std::set<std::string> seen;
  for (std::uint64_t i = 0; i < 10'000; ++i) {
    EXPECT_TRUE(seen.emplace(maker.Present(i)).second);
    EXPECT_TRUE(seen.emplace(maker.Missing(i)).second);
  }
  EXPECT_EQ(seen.begin()->size(), kKeyBytes);
}

TEST(WorkloadsTest, ValuesOfEveryLengthAreToldApart) {
  for (const std::size_t bytes :
       {std::size_t{8}, std::size_t{12}, std::size_t{16}, std::size_t{100}}) {
    ValueMaker maker(bytes);
    const std::string value(maker.Make(5, 1));
    ASSERT_EQ(value.size(), bytes);
    EXPECT_TRUE(maker.Verify(value, 5, 1));
    EXPECT_FALSE(maker.Verify(value, 6, 1));
    EXPECT_FALSE(maker.Verify(value, 5, 2));
    EXPECT_FALSE(maker.Verify(value.substr(1), 5, 1));
  }
}

TEST(WorkloadsTest, EmptyValuesAreCheckedByLengthOnly) {
  ValueMaker maker(0);
  EXPECT_TRUE(maker.Verify(maker.Make(1, 1), 1, 1));
  EXPECT_FALSE(maker.Verify("x", 1, 1));
}

TEST(WorkloadsTest, TheSequenceStaysBelowItsBoundAndReachesAllOfIt) {
  Sequence sequence(3);
  std::set<std::uint64_t> seen;
  for (int i = 0; i < 1'000; ++i) seen.insert(sequence.Below(10));
  EXPECT_EQ(seen.size(), 10U);
  EXPECT_EQ(*seen.rbegin(), 9U);
}

TEST(WorkloadsTest, ACorrectStorePassesEveryWorkload) {
  FakePeer peer;
  EXPECT_TRUE(RunAll(peer, Parameters()).ok());
}

TEST(WorkloadsTest, OneOperationIsDoneForEachKeyAndTheWantedShareIsTimedSingly) {
  FakePeer peer;
  const auto run = RunWorkload(peer, Workload::kFill, Parameters());
  ASSERT_TRUE(run.has_value());
  EXPECT_EQ(run->operations, 1'000U);
  EXPECT_EQ(run->latency.count(), 2 * 256U);
  EXPECT_GT(run->seconds, 0);
  EXPECT_FALSE(run->cut_short);
}

TEST(WorkloadsTest, EveryKindOfWrongAnswerIsReported) {
  for (const Fault fault : {Fault::kShortValue, Fault::kOtherValue, Fault::kStaleValue,
                            Fault::kLostKey, Fault::kPhantomKey, Fault::kDeleteIgnored}) {
    FakePeer peer(fault);
    EXPECT_EQ(RunAll(peer, Parameters()).code(), StatusCode::kCorruption)
        << "fault " << static_cast<int>(fault);
  }
}

TEST(WorkloadsTest, AFailureOfTheStoreIsPassedOnWithItsMessage) {
  FakePeer peer(Fault::kPutFails);
  const Status status = RunAll(peer, Parameters());
  EXPECT_EQ(status.code(), StatusCode::kIoError);
  EXPECT_NE(status.message().find("disk on fire"), std::string::npos);
}

TEST(WorkloadsTest, TheTimeLimitCutsEverythingButAFill) {
  FakePeer peer;
  RunParameters parameters = Parameters();
  parameters.seconds = 1e-9;
  const auto fill = RunWorkload(peer, Workload::kFill, parameters);
  ASSERT_TRUE(fill.has_value());
  EXPECT_EQ(fill->operations, parameters.keys);
  const auto get = RunWorkload(peer, Workload::kGet, parameters);
  ASSERT_TRUE(get.has_value());
  EXPECT_TRUE(get->cut_short);
  EXPECT_LT(get->operations, parameters.keys);
}

TEST(WorkloadsTest, AStopRequestCancels) {
  FakePeer peer;
  const std::atomic<bool> stop = true;
  RunParameters parameters = Parameters();
  parameters.stop = &stop;
  const auto run = RunWorkload(peer, Workload::kFill, parameters);
  ASSERT_FALSE(run.has_value());
  EXPECT_EQ(run.error().code(), StatusCode::kCancelled);
}

}  // namespace
}  // namespace freyja::bench
