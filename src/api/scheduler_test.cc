// Compaction that runs by itself: what starts it, what stops it, what it says of itself.
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <string>
#include <utility>
#include <vector>

#include "api/scheduler_testing.h"
#include "engine/store_testing.h"

namespace freyja {
namespace {

using api::testing::kKeys;
using api::testing::kStore;
using api::testing::SchedulerTest;
using std::chrono::milliseconds;

TEST_F(SchedulerTest, SwitchedOffItDoesNothing) {
  options_.scheduler.enabled = false;
  Open();
  Overwrite(20);
  EXPECT_FALSE(store_->GetStats().scheduler.running);
  EXPECT_EQ(Completed(), 0u);
}

TEST_F(SchedulerTest, AnIdleStoreWithoutGainIsLeftAlone) {
  Open();
  Overwrite(20);
  EXPECT_TRUE(Wait([&] { return Completed() != 0; }));
  engine::testing::WaitUntilIdle(*store_->parts().store);  // sealing changes the manifest, too
  EXPECT_TRUE(Wait([&] {
    const auto last = store_->GetStats().manifest_generation;
    std::this_thread::sleep_for(milliseconds(20));
    return store_->GetStats().manifest_generation == last;
  })) << "it never comes to rest";
  EXPECT_TRUE(Rests());
  const auto before = store_->GetStats();
  const auto generation = before.manifest_generation;
  std::this_thread::sleep_for(milliseconds(50));  // many looks; none may do anything
  EXPECT_EQ(store_->GetStats().manifest_generation, generation);
  EXPECT_EQ(store_->GetStats().compaction_bytes_read, before.compaction_bytes_read);
}

TEST_F(SchedulerTest, GarbageInTheActiveSegmentIsReclaimedAsWell) {
  options_.segment_bytes = 1 << 20;
  options_.scheduler.limits.bytes_ceiling = 1 << 19;  // any garbage is too much
  options_.scheduler.limits.max_write_delay = std::chrono::microseconds(0);
  Open();
  HotSwapCompactor compactor(*store_);
  compactor.Pause();  // what a step leaves in the middle of the writes is below the ceiling
  Overwrite(29);      // fills most of one segment, which is not sealed
  compactor.Resume();
  EXPECT_TRUE(Wait([&] { return store_->GetStats().dead_bytes == 0; }))
      << store_->GetStats().scheduler.decision;
  ExpectValues();
}

TEST_F(SchedulerTest, AStepFollowsAnotherAtOnceWhateverTheInterval) {
  constexpr int kSteps = 60;
  options_.scheduler.interval = std::chrono::hours(1);
  Open();
  HotSwapCompactor compactor(*store_);
  compactor.Pause();
  Overwrite(2 * 4 * kSteps);  // two rounds fill a segment, a step takes four
  EXPECT_TRUE(store_->parts().store->SealActive().ok());
  engine::testing::WaitUntilIdle(*store_->parts().store);
  const auto begin = std::chrono::steady_clock::now();
  compactor.Resume();
  EXPECT_TRUE(Wait([&] { return Reclaimed(); })) << store_->GetStats().scheduler.decision;
  EXPECT_GE(Completed(), kSteps / 2);
  // Only looking while a job runs, ten times a second, would take that long.
  EXPECT_LT(std::chrono::steady_clock::now() - begin, milliseconds(100) * kSteps / 2);
}

TEST_F(SchedulerTest, ExpiredRecordsGo) {
  Open();
  const std::uint64_t soon = clock_->WallMs() + 1000;
  Overwrite(3, soon);
  EXPECT_TRUE(store_->parts().store->SealActive().ok());
  EXPECT_EQ(store_->GetStats().keys, static_cast<std::uint64_t>(kKeys));
  clock_->Advance(std::chrono::minutes(5));
  EXPECT_TRUE(Wait([&] { return store_->GetStats().keys == 0; }))
      << store_->GetStats().scheduler.decision;
}

TEST_F(SchedulerTest, AFailureIsReportedWaitedOutAndTriedAgain) {
  Open();
  std::atomic<int> failures = 0;
  fs_->SetOperationHook([&](io::Operation operation, const std::filesystem::path& path) {
    if (operation != io::Operation::kCreate || !path.native().ends_with(".hint")) return;
    if (failures.fetch_add(1) < 3) fs_->InjectFault({.operations = {io::Operation::kRead}});
  });
  Overwrite(20);
  EXPECT_TRUE(Wait([&] { return Completed() != 0 && Reclaimed(); }));
  fs_->SetOperationHook(nullptr);
  ExpectValues();
}

TEST_F(SchedulerTest, ASegmentThatCannotBeCompactedKeepsNoOtherFromIt) {
  options_.scheduler.enabled = false;
  Open();
  Overwrite(20);
  EXPECT_TRUE(store_->parts().store->SealActive().ok());
  const SegmentInfo first = store_->GetSegments().front();
  EXPECT_TRUE(fs_->Corrupt(kStore / first.file, 5000, std::byte{1}).ok());
  store_.reset();
  options_.scheduler.enabled = true;
  Open();
  EXPECT_TRUE(Wait([&] { return Completed() != 0 && Reclaimed(3); }))
      << store_->GetStats().scheduler.decision;
}

TEST_F(SchedulerTest, AboveTheCeilingWritersAreSlowedDownVisiblyAndBoundedly) {
  options_.scheduler.limits.bytes_ceiling = 1 << 20;
  options_.scheduler.limits.max_write_delay = std::chrono::microseconds(100);
  Open();
  for (int key = 0; key < 1500; ++key) {  // more live bytes than the ceiling allows
    ASSERT_TRUE(store_->Put("live" + std::to_string(key), Value(key)).ok());
  }
  EXPECT_TRUE(Wait([&] { return store_->GetStats().scheduler.write_delay.count() == 100; }));
  EXPECT_TRUE(store_->Put("another", "put").ok());
  const SchedulerStats stats = store_->GetStats().scheduler;
  EXPECT_GT(stats.delayed_writes, 0u);
  EXPECT_LE(stats.write_delay_total.count(), static_cast<std::int64_t>(stats.delayed_writes) * 100);
}

TEST_F(SchedulerTest, TellsWhatItPlansAndThatACeilingCannotBeMet) {
  options_.scheduler.limits.bytes_ceiling = 1 << 20;
  options_.scheduler.limits.max_write_delay = std::chrono::microseconds(0);
  Open();
  base::Mutex mutex;
  std::vector<std::string> told;
  HotSwapCompactor compactor(*store_);
  compactor.AddListener([&](const CompactionEvent& event) {
    base::MutexLock lock(mutex);
    told.push_back(std::string(CompactionEventTypeName(event.type)) + ": " + event.reason);
  });
  for (int key = 0; key < 1500; ++key) {
    ASSERT_TRUE(store_->Put("live" + std::to_string(key), Value(key)).ok());
  }
  Overwrite(3);
  const auto was_told = [&](const std::string& text) {
    base::MutexLock lock(mutex);
    for (const std::string& line : told) {
      if (line.find(text) != std::string::npos) return true;
    }
    return false;
  };
  EXPECT_TRUE(Wait([&] { return was_told("planned: "); }));
  EXPECT_TRUE(Wait([&] { return was_told("above the space ceiling"); }));
  EXPECT_TRUE(Wait([&] { return was_told("can't be met"); }));
  EXPECT_TRUE(store_->Close().ok());  // before the listener's variables go
}

TEST_F(SchedulerTest, LimitsCanBeChangedWhileItRuns) {
  Open();
  HotSwapCompactor compactor(*store_);
  CompactionLimits limits = compactor.limits();
  limits.bytes_per_second = 5 << 20;
  EXPECT_TRUE(compactor.SetLimits(limits).ok());
  EXPECT_EQ(store_->GetStats().scheduler.bytes_per_second, std::uint64_t{5 << 20});
  limits.bytes_per_second = 0;
  EXPECT_EQ(compactor.SetLimits(limits).code(), StatusCode::kInvalidArgument);
  EXPECT_EQ(compactor.limits().bytes_per_second, std::uint64_t{5 << 20});
}

TEST_F(SchedulerTest, OptionsThatContradictTheDiskAreRefusedAtOpen) {
  options_.scheduler.enabled = false;
  Open();
  Overwrite(1);
  store_.reset();
  options_.scheduler.enabled = true;
  options_.scheduler.limits.bytes_ceiling = 10'000;
  const auto refused = TryOpen();
  ASSERT_FALSE(refused.has_value());
  EXPECT_EQ(refused.error().code(), StatusCode::kInvalidArgument);
  EXPECT_NE(refused.error().message().find("bytes_ceiling"), std::string::npos);
  options_.scheduler.limits.bytes_ceiling = 0;
  options_.scheduler.dead_share = 0;
  EXPECT_EQ(TryOpen().error().code(), StatusCode::kInvalidArgument);
}

TEST_F(SchedulerTest, APlanTellsWhatWouldBeDoneAndDoesNothing) {
  options_.scheduler.enabled = false;
  Open();
  Overwrite(5);
  EXPECT_TRUE(store_->parts().store->SealActive().ok());
  engine::testing::WaitUntilIdle(*store_->parts().store);
  const auto before = store_->GetStats();
  HotSwapCompactor compactor(*store_, {.min_space_saving = 0.25});
  const auto plan = compactor.Plan();
  ASSERT_TRUE(plan.has_value()) << plan.error().ToString();
  EXPECT_EQ(store_->GetStats().manifest_generation, before.manifest_generation);
  EXPECT_GT(plan->bytes_reclaimed, 0u);
  EXPECT_EQ(plan->bytes_read, plan->bytes_written + plan->bytes_reclaimed);
  const auto report = compactor.Compact();
  ASSERT_TRUE(report.has_value());
  EXPECT_EQ(report->counters.bytes_read, plan->bytes_read);
  EXPECT_LE(report->counters.bytes_copied, plan->bytes_written);
}

}  // namespace
}  // namespace freyja
