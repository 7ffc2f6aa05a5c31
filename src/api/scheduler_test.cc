// Compaction that runs by itself: what starts it, what stops it, what it says of itself.
#include <gtest/gtest.h>

#include <chrono>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "api/store_parts.h"
#include "base/mutex.h"
#include "engine/store_testing.h"
#include "freyja/freyja.h"
#include "io/memory_file_system.h"

namespace freyja {
namespace {

using std::chrono::milliseconds;

const std::filesystem::path kStore = "/store";
constexpr std::uint64_t kSegmentBytes = 64 << 10;
constexpr int kKeys = 40;

class SettableClock final : public base::Clock {
 public:
  std::uint64_t WallMs() const override { return now_ms_.load(); }
  std::chrono::steady_clock::time_point Monotonic() const override {
    return std::chrono::steady_clock::time_point(milliseconds(now_ms_.load()));
  }
  void Advance(milliseconds time) { now_ms_.fetch_add(static_cast<std::uint64_t>(time.count())); }

 private:
  std::atomic<std::uint64_t> now_ms_{1'700'000'000'000};
};

class SchedulerTest : public ::testing::Test {
 protected:
  SchedulerTest() {
    options_.create_if_missing = true;
    options_.sync = Sync::kNone;
    options_.segment_bytes = kSegmentBytes;
    options_.scheduler.interval = milliseconds(2);
    options_.scheduler.jitter = milliseconds(0);
    options_.scheduler.backoff_first = milliseconds(1);
    options_.scheduler.backoff_cap = milliseconds(4);
  }
  ~SchedulerTest() override { fs_->SetOperationHook(nullptr); }

  Result<std::unique_ptr<KVStore>> TryOpen() {
    return api::OpenStore(
        kStore, options_,
        {.file_system = fs_, .clock = clock_, .random = std::make_shared<base::SystemRandom>()});
  }
  void Open() {
    auto opened = TryOpen();
    ASSERT_TRUE(opened.has_value()) << opened.error().ToString();
    store_ = *std::move(opened);
  }
  // Overwrites all keys `rounds` times; each round is about half a segment.
  void Overwrite(int rounds, std::uint64_t expires_at_ms = 0) {
    for (int round = 0; round < rounds; ++round) {
      for (int key = 0; key < kKeys; ++key) {
        const Status put =
            store_->Put("key" + std::to_string(key), Value(key), {.expires_at_ms = expires_at_ms});
        ASSERT_TRUE(put.ok()) << put.ToString();
      }
    }
  }
  static std::string Value(int key) { return std::string(800, static_cast<char>('a' + key % 26)); }
  void ExpectValues() const {
    for (int key = 0; key < kKeys; ++key) {
      const auto value = store_->Get("key" + std::to_string(key));
      ASSERT_TRUE(value.has_value() && value->has_value()) << key;
      EXPECT_EQ(**value, Value(key));
    }
  }
  template <class Condition>
  [[nodiscard]] bool Wait(Condition&& condition) const {
    const auto limit = std::chrono::steady_clock::now() + std::chrono::minutes(2);
    while (!condition()) {
      if (std::chrono::steady_clock::now() > limit) return false;
      std::this_thread::sleep_for(milliseconds(1));
    }
    return true;
  }
  // Less than that is left alone.
  bool Reclaimed(std::uint64_t segments = 1) const {
    return store_->GetStats().dead_bytes < segments * options_.segment_bytes;
  }
  std::uint64_t Completed() const { return store_->GetStats().compactions_completed; }
  // Until its decision says that it rests.
  [[nodiscard]] bool Rests() const {
    return Wait([&] {
      const std::string decision = store_->GetStats().scheduler.decision;
      return decision.starts_with("below") || decision.starts_with("less than") ||
             decision.starts_with("no segment") || decision.starts_with("outside");
    });
  }

  std::shared_ptr<io::MemoryFileSystem> fs_ = std::make_shared<io::MemoryFileSystem>();
  std::shared_ptr<SettableClock> clock_ = std::make_shared<SettableClock>();
  Options options_;
  std::unique_ptr<KVStore> store_;
};

TEST_F(SchedulerTest, ReclaimStartsByItself) {
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
  EXPECT_TRUE(Rests());
  const auto before = store_->GetStats();
  const auto generation = before.manifest_generation;
  std::this_thread::sleep_for(milliseconds(50));  // many looks; none may do anything
  EXPECT_EQ(store_->GetStats().manifest_generation, generation);
  EXPECT_EQ(store_->GetStats().compaction_bytes_read, before.compaction_bytes_read);
}

TEST_F(SchedulerTest, GarbageInTheActiveSegmentIsReclaimedAsWell) {
  options_.segment_bytes = 1 << 20;
  options_.scheduler.limits.bytes_ceiling = 1 << 20;  // any garbage is too much
  options_.scheduler.limits.max_write_delay = std::chrono::microseconds(0);
  Open();
  Overwrite(29);  // fills most of one segment, which is not sealed
  EXPECT_TRUE(Wait([&] { return store_->GetStats().dead_bytes == 0; }))
      << store_->GetStats().scheduler.decision;
  ExpectValues();
}

TEST_F(SchedulerTest, PausedItWaitsAndJobsThatWereStartedWaitToo) {
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

TEST_F(SchedulerTest, APausedJobCanBeCancelledAndTheStoreClosed) {
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

TEST_F(SchedulerTest, OutsideItsWindowsItWaitsForThem) {
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

TEST_F(SchedulerTest, AReaderThatHoldsWhatWasCompactedKeepsItFromPilingUp) {
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

TEST_F(SchedulerTest, APlanSaysOfEverySegmentThatStaysWhyItDoes) {
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
