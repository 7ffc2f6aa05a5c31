#include "compaction/policy.h"

#include <gtest/gtest.h>

#include <chrono>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace freyja::compaction {
namespace {

using std::chrono::microseconds;
using std::chrono::milliseconds;

constexpr std::uint64_t kMiB = std::uint64_t{1} << 20;

// A store of a hundred segments of a MiB, a tenth of it dead, on a disk with much room.
Sight Healthy() {
  return {.live_bytes = 90 * kMiB,
          .dead_sealed_bytes = 10 * kMiB,
          .disk_bytes = 102 * kMiB,
          .free_disk_bytes = 1000 * kMiB,
          .segment_bytes = kMiB};
}

// The defaults but for what `change` changes.
template <class Change>
SchedulerOptions With(Change&& change) {
  SchedulerOptions options;
  change(options);
  return options;
}

template <class Change>
CompactionLimits Limits(Change&& change) {
  CompactionLimits limits;
  change(limits);
  return limits;
}

SchedulerOptions DeadShare(double share) {
  return With([&](SchedulerOptions& o) { o.dead_share = share; });
}
SchedulerOptions DeadBytes(std::uint64_t bytes) {
  return With([&](SchedulerOptions& o) { o.dead_bytes = bytes; });
}
SchedulerOptions Floor(std::uint64_t bytes) {
  return With([&](SchedulerOptions& o) { o.free_disk_floor = bytes; });
}
CompactionLimits Rate(std::optional<std::uint64_t> rate, microseconds target) {
  return Limits([&](CompactionLimits& l) {
    l.bytes_per_second = rate;
    l.latency_target = target;
  });
}
CompactionLimits BytesCeiling(std::uint64_t bytes) {
  return Limits([&](CompactionLimits& l) { l.bytes_ceiling = bytes; });
}

TEST(DecideTest, BelowEveryThresholdNothingIsDone) {
  EXPECT_EQ(Decide({}, {}, Healthy()).trigger, Trigger::kNone);
  EXPECT_EQ(Decide({}, {}, Sight{}).trigger, Trigger::kNone);
}

TEST(DecideTest, TheShareOfDeadBytesIsEnough) {
  Sight sight = Healthy();
  sight.dead_sealed_bytes = 39 * kMiB;  // of 129
  const Decision decision = Decide(DeadShare(0.3), {}, sight);
  EXPECT_EQ(decision.trigger, Trigger::kDeadShare);
  EXPECT_FALSE(decision.seal_active);
  EXPECT_EQ(decision.reason, "30 % of all record bytes are dead");
  EXPECT_EQ(Decide(DeadShare(0.31), {}, sight).trigger, Trigger::kNone);
  EXPECT_EQ(Decide(DeadShare(1), {}, sight).trigger, Trigger::kNone);
}

TEST(DecideTest, LessThanASegmentOfDeadBytesIsLeftAlone) {
  Sight sight = Healthy();
  sight.live_bytes = 0;
  sight.dead_sealed_bytes = kMiB - 1;
  EXPECT_EQ(Decide({}, {}, sight).trigger, Trigger::kNone);
}

TEST(DecideTest, TheNumberOfDeadBytesIsEnough) {
  EXPECT_EQ(Decide(DeadBytes(10 * kMiB), {}, Healthy()).trigger, Trigger::kDeadBytes);
  EXPECT_EQ(Decide(DeadBytes(10 * kMiB + 1), {}, Healthy()).trigger, Trigger::kNone);
}

TEST(DecideTest, TheActiveSegmentIsSealedWhenMostOfTheGarbageIsInTheLog) {
  Sight sight = Healthy();
  sight.dead_sealed_bytes = 20 * kMiB;
  sight.dead_log_bytes = 21 * kMiB;
  EXPECT_TRUE(Decide({}, {}, sight).seal_active);
  sight.dead_log_bytes = 20 * kMiB;
  EXPECT_FALSE(Decide({}, {}, sight).seal_active);
}

TEST(DecideTest, AFreeDiskBelowTheFloorTakesAnyGain) {
  Sight sight = Healthy();
  sight.free_disk_bytes = 5 * kMiB;
  const Decision decision = Decide(Floor(6 * kMiB), {}, sight);
  EXPECT_EQ(decision.trigger, Trigger::kFreeDisk);
  EXPECT_EQ(decision.min_space_saving, 0);
  EXPECT_EQ(Decide(Floor(5 * kMiB), {}, sight).trigger, Trigger::kNone);
  sight.dead_sealed_bytes = 0;
  EXPECT_EQ(Decide(Floor(6 * kMiB), {}, sight).trigger, Trigger::kNone);
}

TEST(DecideTest, ExpiredSegmentsAreTaken) {
  Sight sight = Healthy();
  sight.expired_segment = true;
  const Decision decision = Decide({}, {}, sight);
  EXPECT_EQ(decision.trigger, Trigger::kExpired);
  EXPECT_TRUE(decision.expired_only);
  EXPECT_EQ(Decide(With([](SchedulerOptions& o) { o.expired_records = false; }), {}, sight).trigger,
            Trigger::kNone);
}

TEST(DecideTest, OutsideTheWindowsOnlyShortSpaceCounts) {
  Sight sight = Healthy();
  sight.dead_sealed_bytes = 90 * kMiB;
  sight.minute_of_day = 600;
  SchedulerOptions options =
      With([](SchedulerOptions& o) { o.windows = {{.begin_minute = 60, .end_minute = 120}}; });
  EXPECT_EQ(Decide(options, {}, sight).trigger, Trigger::kNone);
  EXPECT_EQ(Decide(options, BytesCeiling(100 * kMiB), sight).trigger, Trigger::kCeiling);
  options.free_disk_floor = 2000 * kMiB;
  EXPECT_EQ(Decide(options, {}, sight).trigger, Trigger::kFreeDisk);
  options.free_disk_floor = 0;
  sight.minute_of_day = 60;
  EXPECT_EQ(Decide(options, {}, sight).trigger, Trigger::kDeadShare);
}

TEST(DecideTest, WhileReadersHoldWhatWasCompactedNoMoreIs) {
  Sight sight = Healthy();
  sight.dead_sealed_bytes = 90 * kMiB;
  sight.retired_bytes = 23 * kMiB;
  const Decision decision = Decide({}, {}, sight);
  EXPECT_EQ(decision.trigger, Trigger::kNone);
  EXPECT_NE(decision.reason.find("readers hold"), std::string::npos);
  sight.retired_bytes = 22 * kMiB;
  EXPECT_EQ(Decide({}, {}, sight).trigger, Trigger::kDeadShare);
}

TEST(DecideTest, ReadersThatHoldWhatWasCompactedAreWaitedForAboveACeilingAsWell) {
  Sight sight = Healthy();
  sight.dead_sealed_bytes = 90 * kMiB;
  sight.retired_bytes = 23 * kMiB;
  EXPECT_EQ(Decide({}, BytesCeiling(50 * kMiB), sight).trigger, Trigger::kNone);
  EXPECT_EQ(Decide(Floor(2000 * kMiB), {}, sight).trigger, Trigger::kNone);
}

TEST(DecideTest, WhereSpaceIsShortExpiredSegmentsGoFirst) {
  Sight sight = Healthy();
  sight.expired_segment = true;
  sight.minute_of_day = 600;
  const SchedulerOptions options =
      With([](SchedulerOptions& o) { o.windows = {{.begin_minute = 60, .end_minute = 120}}; });
  EXPECT_EQ(Decide(options, {}, sight).trigger, Trigger::kNone);
  for (const std::uint64_t dead : {std::uint64_t{0}, 10 * kMiB}) {
    sight.dead_sealed_bytes = dead;
    const Decision decision = Decide(options, BytesCeiling(50 * kMiB), sight);
    EXPECT_EQ(decision.trigger, Trigger::kExpired) << dead;
    EXPECT_TRUE(decision.expired_only);
    EXPECT_NE(decision.reason.find("ceiling"), std::string::npos) << decision.reason;
  }
}

TEST(WindowTest, ContainsItsBeginAndNotItsEnd) {
  const std::vector<DayWindow> windows = {{.begin_minute = 60, .end_minute = 120}};
  EXPECT_FALSE(InWindow(windows, 59));
  EXPECT_TRUE(InWindow(windows, 60));
  EXPECT_TRUE(InWindow(windows, 119));
  EXPECT_FALSE(InWindow(windows, 120));
}

TEST(WindowTest, MayGoThroughMidnight) {
  const std::vector<DayWindow> windows = {{.begin_minute = 1380, .end_minute = 60}};
  EXPECT_TRUE(InWindow(windows, 1380));
  EXPECT_TRUE(InWindow(windows, 0));
  EXPECT_FALSE(InWindow(windows, 60));
  EXPECT_TRUE(InWindow({}, 700)) << "without windows it is always open";
}

TEST(DecideTest, WithASpaceCeilingTheDeadShareIsOffUnlessItIsSetOrThereAreWindows) {
  Sight sight = Healthy();
  sight.dead_sealed_bytes = 60 * kMiB;  // of 150
  sight.disk_bytes = 152 * kMiB;
  const CompactionLimits limits = Limits([](CompactionLimits& l) { l.space_ceiling = 2; });
  EXPECT_EQ(Decide({}, {}, sight).trigger, Trigger::kDeadShare);
  EXPECT_EQ(Decide({}, BytesCeiling(200 * kMiB), sight).trigger, Trigger::kDeadShare);
  EXPECT_EQ(Decide({}, limits, sight).trigger, Trigger::kNone);
  EXPECT_EQ(Decide(DeadShare(0.4), limits, sight).trigger, Trigger::kDeadShare);
  const SchedulerOptions windows =
      With([](SchedulerOptions& o) { o.windows = {{.begin_minute = 0, .end_minute = 120}}; });
  EXPECT_EQ(Decide(windows, limits, sight).trigger, Trigger::kDeadShare);
}

TEST(DecideTest, TheDeadShareIsOnIfTheDiskIsFullBeforeTheSpaceCeilingIsReached) {
  Sight sight = Healthy();
  sight.dead_sealed_bytes = 60 * kMiB;
  sight.disk_bytes = 152 * kMiB;
  const CompactionLimits limits = Limits([](CompactionLimits& l) { l.space_ceiling = 2; });
  sight.free_disk_bytes = 36 * kMiB;  // the ceiling is 28 away
  EXPECT_EQ(Decide({}, limits, sight).trigger, Trigger::kNone);
  sight.free_disk_bytes = 35 * kMiB;
  EXPECT_EQ(Decide({}, limits, sight).trigger, Trigger::kDeadShare);
  sight.free_disk_bytes = 0;
  EXPECT_EQ(Decide({}, limits, sight).trigger, Trigger::kDeadShare);
}

TEST(DecideTest, AStepTakesFourSegmentsOrWhatFitsTwiceBelowACeiling) {
  Sight sight = Healthy();
  const CompactionLimits limits = BytesCeiling(100 * kMiB);
  EXPECT_EQ(Decide({}, {}, sight).max_input_bytes, 4 * kMiB);
  sight.disk_bytes = 92 * kMiB;
  EXPECT_EQ(Decide({}, limits, sight).max_input_bytes, 4 * kMiB);
  sight.disk_bytes = 98 * kMiB;
  EXPECT_EQ(Decide({}, limits, sight).max_input_bytes, 2 * kMiB);
  sight.disk_bytes = 100 * kMiB;
  EXPECT_EQ(Decide({}, limits, sight).max_input_bytes, kMiB);
  sight.disk_bytes = 101 * kMiB;
  EXPECT_EQ(Decide({}, limits, sight).max_input_bytes, 4 * kMiB) << "what counts is speed";
}

TEST(DecideTest, ItBeginsWhenEightSegmentsRoomIsLeftBelowACeiling) {
  Sight sight = Healthy();
  const CompactionLimits limits = BytesCeiling(100 * kMiB);
  sight.disk_bytes = 91 * kMiB;
  EXPECT_EQ(Decide({}, limits, sight).trigger, Trigger::kNone);
  sight.disk_bytes = 92 * kMiB;
  const Decision decision = Decide({}, limits, sight);
  EXPECT_EQ(decision.trigger, Trigger::kCeiling);
  EXPECT_GT(decision.min_space_saving, 0) << "space is not short yet";
  sight.disk_bytes = 96 * kMiB;
  EXPECT_EQ(Decide({}, limits, sight).min_space_saving, 0);
}

TEST(DecideTest, ItBeginsSoonerTheFasterWritersAre) {
  Sight sight = Healthy();
  const CompactionLimits limits = BytesCeiling(1000 * kMiB);
  sight.disk_bytes = 972 * kMiB;
  sight.live_bytes = 800 * kMiB;
  sight.written_per_second = 19 * kMiB;
  EXPECT_EQ(Decide({}, limits, sight).trigger, Trigger::kNone);
  sight.written_per_second = 21 * kMiB;
  EXPECT_EQ(Decide({}, limits, sight).trigger, Trigger::kCeiling);
  EXPECT_EQ(PressureOf(limits, sight), Pressure::kNone);
  sight.written_per_second = 49 * kMiB;
  EXPECT_EQ(PressureOf(limits, sight), Pressure::kNear);
}

TEST(DecideTest, ItBeginsWithin85And99PercentOfACeilingWhateverTheSegments) {
  Sight sight = Healthy();
  const auto begins_at = [&](std::uint64_t segment_bytes, std::uint64_t disk) {
    sight.segment_bytes = segment_bytes;
    sight.disk_bytes = disk;
    sight.dead_sealed_bytes = segment_bytes;
    sight.live_bytes = 800 * kMiB;
    return Decide({}, BytesCeiling(1000 * kMiB), sight).trigger == Trigger::kCeiling;
  };
  EXPECT_FALSE(begins_at(64 * kMiB, 849 * kMiB));
  EXPECT_TRUE(begins_at(64 * kMiB, 851 * kMiB));
  EXPECT_FALSE(begins_at(kMiB / 64, 994 * kMiB));
  EXPECT_TRUE(begins_at(kMiB / 64, 996 * kMiB));
}

TEST(CeilingTest, IsNearWhenFourSegmentsRoomIsLeftAndExceededAboveIt) {
  Sight sight = Healthy();
  const CompactionLimits limits = BytesCeiling(100 * kMiB);
  for (const auto& [disk, wanted] :
       {std::pair{95 * kMiB, Pressure::kNone}, std::pair{96 * kMiB, Pressure::kNear},
        std::pair{100 * kMiB, Pressure::kNear}, std::pair{101 * kMiB, Pressure::kAbove}}) {
    sight.disk_bytes = disk;
    EXPECT_EQ(PressureOf(limits, sight), wanted) << disk;
  }
  EXPECT_EQ(PressureOf({}, sight), Pressure::kNone);
}

TEST(CeilingTest, IsNearWithin90And99PercentWhateverTheSegments) {
  Sight sight = Healthy();
  const auto near_from = [&](std::uint64_t segment_bytes, std::uint64_t disk) {
    sight.segment_bytes = segment_bytes;
    sight.disk_bytes = disk;
    return PressureOf(BytesCeiling(1000 * kMiB), sight) == Pressure::kNear;
  };
  EXPECT_FALSE(near_from(64 * kMiB, 899 * kMiB));
  EXPECT_TRUE(near_from(64 * kMiB, 901 * kMiB));
  EXPECT_FALSE(near_from(kMiB / 64, 997 * kMiB));
  EXPECT_TRUE(near_from(kMiB / 64, 998 * kMiB));
}

TEST(CeilingTest, OnSpaceAmplificationCountsAStoreOfLessThanFourSegmentsAsFour) {
  const CompactionLimits limits = Limits([](CompactionLimits& l) { l.space_ceiling = 2; });
  Sight sight{.live_bytes = 10, .disk_bytes = 7 * kMiB, .segment_bytes = kMiB};
  EXPECT_EQ(PressureOf(limits, sight), Pressure::kNone);
  sight.disk_bytes = 9 * kMiB;
  EXPECT_EQ(PressureOf(limits, sight), Pressure::kAbove);
}

TEST(CeilingTest, SlowsWritersInProportionAndByAtMostWhatIsAllowed) {
  Sight sight = Healthy();
  const CompactionLimits limits = Limits([](CompactionLimits& l) {
    l.bytes_ceiling = 100 * kMiB;
    l.max_write_delay = microseconds(1000);
  });
  sight.disk_bytes = 100 * kMiB;
  EXPECT_EQ(WriteDelay(limits, sight), microseconds(0));
  sight.disk_bytes = 105 * kMiB;
  EXPECT_EQ(WriteDelay(limits, sight), microseconds(500));
  sight.disk_bytes = 500 * kMiB;
  EXPECT_EQ(WriteDelay(limits, sight), microseconds(1000));
}

TEST(GrowthRateTest, IsThatOfTheLastHalfSecondOrMore) {
  GrowthRate growth;
  std::chrono::steady_clock::time_point now;
  EXPECT_EQ(growth.Next(5 * kMiB, now), 0u) << "nobody knows how long that took";
  EXPECT_EQ(growth.Next(6 * kMiB, now += milliseconds(499)), 0u);
  EXPECT_EQ(growth.Next(6 * kMiB, now += milliseconds(1)), 2 * kMiB);
  EXPECT_EQ(growth.Next(60 * kMiB, now += milliseconds(100)), 2 * kMiB);
  EXPECT_EQ(growth.Next(60 * kMiB, now += milliseconds(1900)), 27 * kMiB);
  EXPECT_EQ(growth.Next(60 * kMiB, now += milliseconds(1000)), 0u);
}

TEST(RateControllerTest, WithoutATargetTheLimitIsTheRate) {
  RateController controller;
  EXPECT_EQ(controller.Next({}, Pressure::kNone, milliseconds(9)), 0u);
  EXPECT_EQ(controller.Next(Rate(5 * kMiB, {}), Pressure::kNone, milliseconds(9)), 5 * kMiB);
}

TEST(RateControllerTest, GoesDownWhileLatencyIsAboveTheTargetAndUpAgainWithSlack) {
  const CompactionLimits limits = Rate(100 * kMiB, microseconds(100));
  RateController controller;
  std::uint64_t rate = 100 * kMiB;
  for (int i = 0; i < 5; ++i) {
    const std::uint64_t next = controller.Next(limits, Pressure::kNone, microseconds(101));
    EXPECT_LT(next, rate);
    rate = next;
  }
  EXPECT_EQ(controller.Next(limits, Pressure::kNone, microseconds(90)), rate)
      << "close to the target it stays";
  for (int i = 0; i < 20; ++i) {
    const std::uint64_t next = controller.Next(limits, Pressure::kNone, microseconds(10));
    EXPECT_GE(next, rate);
    rate = next;
  }
  EXPECT_EQ(rate, 100 * kMiB);
}

TEST(RateControllerTest, WithoutKnowingTheLatencyItStays) {
  const CompactionLimits limits = Rate(100 * kMiB, microseconds(100));
  RateController controller;
  EXPECT_EQ(controller.Next(limits, Pressure::kNone, {}), 100 * kMiB);
  const std::uint64_t rate = controller.Next(limits, Pressure::kNone, microseconds(101));
  for (int i = 0; i < 20; ++i) EXPECT_EQ(controller.Next(limits, Pressure::kNone, {}), rate);
}

TEST(RateControllerTest, NeverStarvesTheJob) {
  RateController controller;
  std::uint64_t rate = 0;
  for (int i = 0; i < 100; ++i) {
    rate = controller.Next(Rate({}, microseconds(1)), Pressure::kNone, milliseconds(1));
  }
  EXPECT_EQ(rate, RateController::kSlowest);
}

TEST(RateControllerTest, WithoutALimitTheFirstStepDownIsFeltAndTheWayUpEndsWithoutALimit) {
  const CompactionLimits limits = Rate({}, microseconds(100));
  RateController controller;
  const std::uint64_t first = controller.Next(limits, Pressure::kNone, milliseconds(1));
  EXPECT_GT(first, 0u);
  EXPECT_LE(first, 256 * kMiB);
  std::uint64_t rate = first;
  for (int i = 0; i < 50 && rate != 0; ++i) {
    rate = controller.Next(limits, Pressure::kNone, microseconds(0));
  }
  EXPECT_EQ(rate, 0u);
}

TEST(RateControllerTest, ShortSpaceLiftsEveryLimit) {
  RateController controller;
  const CompactionLimits limits = Rate(kMiB, microseconds(1));
  EXPECT_EQ(controller.Next(limits, Pressure::kNear, milliseconds(1)), 0u);
  EXPECT_EQ(controller.Next(limits, Pressure::kAbove, milliseconds(1)), 0u);
}

TEST(BackoffTest, DoublesUpToTheCapAndStartsOverAfterASuccess) {
  Backoff backoff(milliseconds(10), milliseconds(50));
  EXPECT_FALSE(backoff.pending());
  std::vector<milliseconds::rep> waits;
  for (int i = 0; i < 5; ++i) waits.push_back(backoff.Grow().count());
  EXPECT_EQ(waits, (std::vector<milliseconds::rep>{10, 20, 40, 50, 50}));
  EXPECT_TRUE(backoff.pending());
  backoff.Reset();
  EXPECT_FALSE(backoff.pending());
  EXPECT_EQ(backoff.Grow(), milliseconds(10));
}

TEST(OptionsTest, TheDefaultsMakeSense) { EXPECT_TRUE(CheckOptions({}).ok()); }

TEST(OptionsTest, NonsenseIsRefusedNamingTheOption) {
  const auto refused = [](const std::string& name, auto change) {
    const Status status = CheckOptions(With(change));
    EXPECT_EQ(status.code(), StatusCode::kInvalidArgument) << name;
    EXPECT_NE(status.message().find(name), std::string::npos) << status.message();
  };
  using Options = SchedulerOptions;
  refused("dead_share", [](Options& o) { o.dead_share = 0; });
  refused("dead_share", [](Options& o) { o.dead_share = 1.01; });
  refused("bytes_per_second", [](Options& o) { o.limits.bytes_per_second = 0; });
  refused("bytes_per_second", [](Options& o) { o.limits.bytes_per_second = kMiB - 1; });
  refused("latency_target", [](Options& o) { o.limits.latency_target = microseconds(-1); });
  refused("space_ceiling", [](Options& o) { o.limits.space_ceiling = 1.0; });
  refused("max_write_delay", [](Options& o) { o.limits.max_write_delay = milliseconds(2000); });
  refused("never opens", [](Options& o) { o.windows = {{.begin_minute = 60, .end_minute = 60}}; });
  refused("windows", [](Options& o) { o.windows = {{.begin_minute = 1440, .end_minute = 10}}; });
  refused("interval", [](Options& o) { o.interval = milliseconds(0); });
  refused("jitter", [](Options& o) { o.jitter = milliseconds(-1); });
  refused("interval", [](Options& o) { o.interval = milliseconds::max(); });
  refused("jitter", [](Options& o) { o.jitter = milliseconds::max(); });
  refused("latency_target", [](Options& o) { o.limits.latency_target = microseconds::max(); });
  refused("backoff_cap", [](Options& o) { o.backoff_cap = milliseconds::max(); });
  refused("backoff_first", [](Options& o) { o.backoff_cap = o.backoff_first / 2; });
}

TEST(OptionsTest, ACeilingBelowTheLiveBytesAndAFloorAboveTheDiskAreRefused) {
  EXPECT_TRUE(CheckAgainstDisk(BytesCeiling(110 * kMiB), 0, 100 * kMiB, 0).ok());
  EXPECT_EQ(CheckAgainstDisk(BytesCeiling(109 * kMiB), 0, 100 * kMiB, 0).code(),
            StatusCode::kInvalidArgument);
  EXPECT_TRUE(CheckAgainstDisk({}, 9 * kMiB, 0, 10 * kMiB).ok());
  EXPECT_EQ(CheckAgainstDisk({}, 10 * kMiB, 0, 10 * kMiB).code(), StatusCode::kInvalidArgument);
}

}  // namespace
}  // namespace freyja::compaction
