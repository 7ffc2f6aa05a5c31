// Triggers that must not be forgotten: after a failure, behind others, when things change.
#include <gtest/gtest.h>

#include <chrono>
#include <string>

#include "api/scheduler_testing.h"
#include "engine/store_testing.h"

namespace freyja {
namespace {

using api::testing::SchedulerTest;
using std::chrono::milliseconds;

class SchedulerStarvationTest : public SchedulerTest {
 protected:
  // About 75 records fill a segment.
  void PutKeys(const std::string& prefix, int count, std::uint64_t expires_at_ms = 0) {
    for (int key = 0; key < count; ++key) {
      const Status put =
          store_->Put(prefix + std::to_string(key), Value(key), {.expires_at_ms = expires_at_ms});
      ASSERT_TRUE(put.ok()) << put.ToString();
    }
  }
  void SealAll() {
    EXPECT_TRUE(store_->parts().store->SealActive().ok());
    engine::testing::WaitUntilIdle(*store_->parts().store);
  }
  std::uint64_t Keys() const { return store_->GetStats().keys; }
  std::string Decision() const { return store_->GetStats().scheduler.decision; }
};

TEST_F(SchedulerStarvationTest, EveryExpiredSegmentGoesNotOnlyThoseOfTheFirstStep) {
  Open();
  PutKeys("expiring", 900, clock_->WallMs() + 1000);
  SealAll();
  clock_->Advance(std::chrono::minutes(5));
  EXPECT_TRUE(Wait([&] { return Keys() == 0; })) << Keys() << " keys are left: " << Decision();
}

TEST_F(SchedulerStarvationTest, ExpiredSegmentsAreTriedAgainAfterAFailure) {
  Open();
  PutKeys("expiring", 100, clock_->WallMs() + 1000);
  SealAll();
  fs_->InjectFault({.operations = {io::Operation::kCreate}, .path_contains = "MANIFEST"});
  clock_->Advance(std::chrono::minutes(5));
  EXPECT_TRUE(Wait([&] { return Keys() == 0; })) << Keys() << " keys are left: " << Decision();
  EXPECT_EQ(store_->GetStats().compactions_failed, 1u);
}

TEST_F(SchedulerStarvationTest, AFailedJobIsTriedAgainWhenItsTimeHasComeWhateverTheInterval) {
  options_.scheduler.interval = std::chrono::hours(1);
  Open();
  HotSwapCompactor compactor(*store_);
  compactor.Pause();
  Overwrite(20);
  SealAll();
  fs_->InjectFault({.operations = {io::Operation::kCreate}, .path_contains = "MANIFEST"});
  compactor.Resume();
  EXPECT_TRUE(Wait([&] { return Completed() != 0; })) << Decision();
  EXPECT_EQ(store_->GetStats().compactions_failed, 1u);
}

TEST_F(SchedulerStarvationTest, WritersDoNotReachACeilingBetweenTwoLooksWhateverTheInterval) {
  options_.scheduler.interval = std::chrono::hours(1);
  options_.scheduler.limits.bytes_ceiling = 20 * options_.segment_bytes;
  Open();
  Overwrite(38);  // 19 segments
  EXPECT_TRUE(Wait([&] { return Completed() != 0; })) << Decision();
}

// A twentieth of every segment is dead: too little for any of them, too much altogether. What was
// put off because nothing was to be gained goes on when there is.
TEST_F(SchedulerStarvationTest, WhatWasNotWorthItIsWhenSpaceBecomesShortThoughNothingIsWritten) {
  options_.scheduler.dead_share = 1;
  options_.scheduler.dead_bytes = options_.segment_bytes;
  options_.scheduler.backoff_first = std::chrono::minutes(10);
  options_.scheduler.backoff_cap = std::chrono::minutes(10);
  Open();
  HotSwapCompactor compactor(*store_);
  compactor.Pause();
  PutKeys("key", 2250);
  for (int key = 0; key < 2250; key += 20) {
    ASSERT_TRUE(store_->Put("key" + std::to_string(key), Value(key)).ok());
  }
  SealAll();
  compactor.Resume();
  EXPECT_TRUE(Wait([&] { return Decision().starts_with("no segment"); })) << Decision();
  EXPECT_EQ(Completed(), 0u);
  CompactionLimits limits;
  limits.bytes_ceiling = store_->GetStats().disk_bytes - 1;
  EXPECT_TRUE(compactor.SetLimits(limits).ok());
  EXPECT_TRUE(Wait([&] { return Completed() >= 3; })) << Decision();
}

}  // namespace
}  // namespace freyja
