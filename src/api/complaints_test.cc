// What users of other stores complain of when reclaim runs by itself; each test is named for the
// complaint and shows that it can't be made here. "At the worst moment" also has
// scheduler_rate_test.cc, "fills the disk" FullDiskTest of compaction.
#include <gtest/gtest.h>

#include <chrono>
#include <string>

#include "api/scheduler_testing.h"

namespace freyja {
namespace {

using std::chrono::milliseconds;
using ComplaintsTest = api::testing::SchedulerTest;

TEST_F(ComplaintsTest, ReclaimNeverStarts) {
  Open();
  Overwrite(20);
  EXPECT_TRUE(Wait([&] { return Completed() != 0 && Reclaimed(); }));
  EXPECT_TRUE(store_->GetStats().scheduler.running);
  ExpectValues();
  EXPECT_TRUE(store_->Close().ok());
  options_.scheduler.enabled = false;
  store_.reset();
  Open();
  ExpectValues();
}

TEST_F(ComplaintsTest, ItStartsAtTheWorstMoment) {
  const auto minute = static_cast<std::uint16_t>(clock_->WallMs() / 60'000 % 1440);
  const auto opens = static_cast<std::uint16_t>((minute + 10) % 1440);
  options_.scheduler.windows = {
      {.begin_minute = opens, .end_minute = static_cast<std::uint16_t>((opens + 5) % 1440)}};
  Open();
  Overwrite(20);
  EXPECT_TRUE(Wait(
      [&] { return store_->GetStats().scheduler.decision == "outside the windows of the day"; }));
  EXPECT_EQ(Completed(), 0u);
  clock_->Advance(std::chrono::minutes(10));
  EXPECT_TRUE(Wait([&] { return Completed() != 0; }));
}

TEST_F(ComplaintsTest, ItCannotBePaused) {
  Open();
  HotSwapCompactor compactor(*store_, {.min_space_saving = 0, .seal_active = true});
  compactor.Pause();
  Overwrite(20);
  const auto job = compactor.CompactInBackground();
  ASSERT_TRUE(job.has_value());
  EXPECT_FALSE(job->WaitFor(milliseconds(30)).has_value());
  EXPECT_TRUE(store_->GetStats().scheduler.paused);
  EXPECT_EQ(Completed(), 0u);
  compactor.Resume();
  EXPECT_TRUE(job->Wait().has_value());
  EXPECT_GT(Completed(), 0u);
  ExpectValues();
}

TEST_F(ComplaintsTest, ItCannotBeStopped) {
  Open();
  HotSwapCompactor compactor(*store_);
  compactor.Pause();
  const auto job = compactor.CompactInBackground();
  ASSERT_TRUE(job.has_value());
  job->Cancel();
  EXPECT_EQ(job->Wait().error().code(), StatusCode::kCancelled);
  const auto other = compactor.CompactInBackground();
  ASSERT_TRUE(other.has_value());
  EXPECT_TRUE(store_->Close().ok());
  EXPECT_FALSE(other->Wait().has_value());
}

TEST_F(ComplaintsTest, ItFillsTheDisk) {
  Open();
  Overwrite(1);
  auto iterator = store_->NewIterator();
  ASSERT_TRUE(iterator.has_value());
  Overwrite(40);
  EXPECT_TRUE(Wait([&] {
    return store_->GetStats().scheduler.decision.starts_with("readers hold");
  })) << store_->GetStats().scheduler.decision;
  iterator = std::unexpected(Status(StatusCode::kClosed, "closed"));
  EXPECT_TRUE(Wait([&] { return Reclaimed(); }));
  ExpectValues();
}

TEST_F(ComplaintsTest, NoSpaceComesBackAndNobodySaysWhy) {
  options_.scheduler.enabled = false;
  Open();
  Overwrite(3);
  const auto pin = store_->GetPinned("key0");
  ASSERT_TRUE(pin.has_value() && pin->has_value());
  HotSwapCompactor(*store_, {.min_space_saving = 0, .seal_active = true}).Compact().value();
  Overwrite(1);
  ASSERT_TRUE(store_->Delete("key1").has_value());
  const auto plan = HotSwapCompactor(*store_, {.min_space_saving = 0.99}).Plan();
  ASSERT_TRUE(plan.has_value());
  bool pinned = false;
  for (const SegmentPlan& segment : plan->segments) {
    EXPECT_EQ(segment.chosen, segment.reason.empty()) << segment.id;
    pinned = pinned || segment.reason.find("pinned") != std::string::npos;
  }
  EXPECT_TRUE(pinned);
}

}  // namespace
}  // namespace freyja
