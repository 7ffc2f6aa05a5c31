// What users of other stores complain of when reclaim runs by itself; each test is named for the
// complaint and shows that it can't be made here. "At the worst moment" also has
// scheduler_rate_test.cc, "fills the disk" FullDiskTest of compaction.
#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <string>

#include "api/scheduler_testing.h"

namespace freyja {
namespace {

using api::testing::kKeys;
using api::testing::kStore;
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

// For every reason for which dead bytes stay, a segment, and what the plan says of it.
class WhyTest : public ComplaintsTest {
 protected:
  WhyTest() {
    options_.scheduler.enabled = false;
    options_.quarantine.keep_for = std::chrono::hours(1);
    Open();
  }
  std::string WhyAll(const HotSwapConfig& config = {.min_space_saving = 0.5}) const {
    const auto plan = HotSwapCompactor(*store_, config).Plan();
    if (!plan) return plan.error().ToString();
    std::string all = plan->reason + "\n";
    for (const SegmentPlan& segment : plan->segments) {
      EXPECT_EQ(segment.chosen, segment.reason.empty()) << segment.id;
      all += segment.reason + "\n";
    }
    return all;
  }
  // Without a compaction: of no segment all is dead.
  void Seal() { EXPECT_FALSE(Compact({.min_space_saving = 1, .seal_active = true}).ran); }
  CompactionReport Compact(const HotSwapConfig& config) {
    return HotSwapCompactor(*store_, config).Compact().value();
  }
};

TEST_F(WhyTest, ReadersHoldIt) {
  Overwrite(3);
  const auto pin = store_->GetPinned("key0");
  ASSERT_TRUE(pin.has_value() && pin->has_value());
  const std::uint64_t job = Compact({.min_space_saving = 0, .seal_active = true}).job_id;
  ASSERT_TRUE(HotSwapCompactor(*store_).EndQuarantine(job).ok());
  EXPECT_TRUE(WhyAll().contains("s ago; 1 pinned reads hold its file")) << WhyAll();
}

TEST_F(WhyTest, ItIsInQuarantine) {
  Overwrite(3);
  const std::uint64_t job = Compact({.min_space_saving = 0, .seal_active = true}).job_id;
  const std::string why = "quarantined until 2023-11-14 23:13:20 UTC, so that job " +
                          std::to_string(job) + " can be undone";
  EXPECT_TRUE(WhyAll().contains(why)) << WhyAll();
}

TEST_F(WhyTest, TombstonesInItAreNeeded) {
  ASSERT_TRUE(store_->Put("lives", "on").ok());
  Overwrite(1);
  Seal();
  for (int key = 0; key < kKeys; ++key) {
    ASSERT_TRUE(store_->Delete("key" + std::to_string(key)).has_value());
  }
  ASSERT_TRUE(store_->Put("other", std::string(60'000, 'x')).ok());
  Seal();
  const auto segments = store_->GetSegments();
  const auto deletes = std::ranges::find_if(
      segments, [](const SegmentInfo& segment) { return segment.tombstones != 0; });
  ASSERT_NE(deletes, segments.end());
  const std::string why = WhyAll({.min_space_saving = 0.01, .segments = {deletes->id}});
  EXPECT_TRUE(why.contains("its tombstones are still needed: segment ")) << why;
  EXPECT_TRUE(why.contains("holds what they hide")) << why;
}

TEST_F(WhyTest, TooLittleIsDead) {
  Overwrite(3);
  EXPECT_TRUE(WhyAll({.min_space_saving = 1, .seal_active = true}).contains("below the threshold"))
      << WhyAll();
}

TEST_F(WhyTest, ItIsStillWrittenTo) {
  Overwrite(3);
  EXPECT_TRUE(WhyAll().contains("active: only sealed segments are compacted")) << WhyAll();
}

TEST_F(WhyTest, JobsFail) {
  options_.scheduler.enabled = true;
  options_.scheduler.backoff_first = options_.scheduler.backoff_cap = std::chrono::minutes(5);
  store_.reset();
  Open();
  fs_->InjectFault({.operations = {io::Operation::kRead},  // of all, only jobs do that
                    .path_contains = ".data",
                    .status = Status(StatusCode::kIoError, "injected"),
                    .sticky = true});
  Overwrite(8);
  ASSERT_TRUE(Wait([&] { return store_->GetStats().compaction_failures_in_a_row != 0; }));
  ASSERT_TRUE(Wait([&] { return store_->GetStats().scheduler.backoff.count() != 0; }));
  const std::string why = WhyAll();
  EXPECT_TRUE(why.contains("the last 1 jobs failed")) << why;
  EXPECT_TRUE(why.contains("injected")) << why;
  EXPECT_TRUE(why.contains("tries again in")) << why;
}

TEST_F(WhyTest, ARecordInItIsDamaged) {
  Overwrite(1);
  ASSERT_TRUE(store_->Put("key0", Value(0)).ok());
  Seal();
  const auto segments = store_->GetSegments();
  const auto half_dead = std::ranges::find_if(
      segments, [](const SegmentInfo& segment) { return segment.dead_bytes != 0; });
  ASSERT_NE(half_dead, segments.end());
  ASSERT_TRUE(fs_->Corrupt(kStore / half_dead->file, 100, std::byte{0xFF}).ok());
  ASSERT_FALSE(HotSwapCompactor(*store_, {.min_space_saving = 0}).Compact().has_value());
  EXPECT_TRUE(WhyAll().contains("a record in it does not verify")) << WhyAll();
}

}  // namespace
}  // namespace freyja
