// How fast compactions go while a store is used, short of space, or told something else.
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <optional>
#include <string>
#include <thread>

#include "api/scheduler_testing.h"
#include "engine/store_testing.h"

namespace freyja {
namespace {

using api::testing::SchedulerTest;
using std::chrono::microseconds;
using std::chrono::milliseconds;

constexpr std::uint64_t kMiB = std::uint64_t{1} << 20;
constexpr microseconds kSyncTakes{100};

// A job of the user's that stands still, so that the scheduler has something to steer.
class SchedulerRateTest : public SchedulerTest {
 protected:
  SchedulerRateTest() { options_.scheduler.dead_share = 1; }  // starts nothing by itself
  ~SchedulerRateTest() override { go_ = true; }

  // A store nine tenths of which are garbage, all of it sealed.
  void OpenWithGarbage() {
    Open();
    Overwrite(20);
    ASSERT_TRUE(store_->parts().store->SealActive().ok());
    engine::testing::WaitUntilIdle(*store_->parts().store);
  }
  void StartJobThatStandsStill() {
    fs_->SetOperationHook([this](io::Operation operation, const std::filesystem::path& path) {
      if (operation == io::Operation::kSync) std::this_thread::sleep_for(kSyncTakes);
      if (operation != io::Operation::kCreate || !path.native().ends_with(".hint")) return;
      if (stands_.exchange(true)) return;  // those of the log's segments
      while (!go_) std::this_thread::sleep_for(milliseconds(1));
    });
    auto job = HotSwapCompactor(*store_, {.min_space_saving = 0}).CompactInBackground();
    ASSERT_TRUE(job.has_value()) << job.error().ToString();
    job_ = *std::move(job);
    ASSERT_TRUE(Wait([&] { return stands_.load(); }));
  }
  void LetItGoOn() {
    go_ = true;
    const auto report = job_->Wait();
    EXPECT_TRUE(report.has_value() && report->ran);
  }
  void SetLimits(const CompactionLimits& limits) {
    const Status set = HotSwapCompactor(*store_).SetLimits(limits);
    ASSERT_TRUE(set.ok()) << set.ToString();
  }
  [[nodiscard]] bool RateBecomes(std::uint64_t rate) const {
    return Wait([&] { return Rate() == rate; });
  }
  // To be asked again and again: a few puts are not enough to tell by.
  bool RateFallsBesideSyncedPuts() {
    for (int i = 0; i < 5; ++i) {
      EXPECT_TRUE(store_->Put("key0", "small", {.sync = Sync::kAlways}).ok());
    }
    return Rate() == kMiB;
  }
  std::uint64_t Rate() const { return store_->GetStats().scheduler.bytes_per_second; }

  std::atomic<bool> stands_ = false;
  std::atomic<bool> go_ = false;
  std::optional<CompactionJob> job_;
};

TEST_F(SchedulerRateTest, LimitsSetWhileSpaceIsShortAreInForceAfterwards) {
  OpenWithGarbage();
  CompactionLimits limits;
  limits.bytes_per_second = 50 * kMiB;
  SetLimits(limits);
  StartJobThatStandsStill();
  EXPECT_TRUE(RateBecomes(50 * kMiB));
  limits.bytes_ceiling = store_->GetStats().disk_bytes / 2;
  limits.max_write_delay = microseconds(0);
  SetLimits(limits);
  EXPECT_TRUE(RateBecomes(0)) << "short of space it goes at full speed";
  limits.bytes_per_second = 5 * kMiB;
  SetLimits(limits);
  EXPECT_TRUE(RateBecomes(0)) << "whatever the limits say";
  LetItGoOn();
  EXPECT_TRUE(RateBecomes(5 * kMiB)) << Rate() << " although there is space again";
}

TEST_F(SchedulerRateTest, AJobIsSteeredHoweverSeldomTheSchedulerLooks) {
  options_.scheduler.interval = std::chrono::hours(1);
  options_.scheduler.limits.bytes_per_second = 2 * kMiB;
  options_.scheduler.limits.latency_target = kSyncTakes / 2;
  OpenWithGarbage();
  StartJobThatStandsStill();
  EXPECT_TRUE(Wait([&] { return RateFallsBesideSyncedPuts(); })) << Rate();
  LetItGoOn();
}

TEST_F(SchedulerRateTest, ShortStepsNowAndThenAreSlowedDownAsWell) {
  options_.scheduler.dead_share = 0.3;
  options_.scheduler.limits.latency_target = kSyncTakes / 2;
  Open();
  fs_->SetOperationHook([](io::Operation operation, const std::filesystem::path&) {
    if (operation == io::Operation::kSync) std::this_thread::sleep_for(kSyncTakes);
  });
  EXPECT_TRUE(Wait([&] {
    EXPECT_TRUE(store_->Put("key0", Value(0), {.sync = Sync::kAlways}).ok());
    return Rate() != 0;
  }));
  EXPECT_GT(Completed(), 10u);
}

TEST_F(SchedulerRateTest, AStoreThatIsUsedLittleSlowsCompactionDownAsWell) {
  OpenWithGarbage();
  CompactionLimits limits;
  limits.bytes_per_second = 2 * kMiB;
  limits.latency_target = kSyncTakes / 2;
  SetLimits(limits);
  StartJobThatStandsStill();
  EXPECT_TRUE(Wait([&] { return RateFallsBesideSyncedPuts(); })) << Rate();
  LetItGoOn();
}

}  // namespace
}  // namespace freyja
