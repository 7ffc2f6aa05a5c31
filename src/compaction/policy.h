// When to compact, and how fast. Pure: decides from figures, touches nothing.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>

#include "freyja/scheduler_options.h"
#include "freyja/status.h"

namespace freyja::compaction {

// What the scheduler sees when it looks. Bytes.
struct Sight {
  std::uint64_t live_bytes = 0;
  std::uint64_t dead_sealed_bytes = 0;
  std::uint64_t dead_log_bytes = 0;  // in segments not sealed yet
  std::uint64_t disk_bytes = 0;      // Stats::disk_bytes
  std::uint64_t retired_bytes = 0;   // of them, held by readers
  std::uint64_t free_disk_bytes = 0;
  std::uint64_t segment_bytes = 0;
  std::uint64_t written_per_second = 0;  // to the log, lately
  bool expired_segment = false;          // a sealed segment whose last expiry is past
  std::uint32_t minute_of_day = 0;

  std::uint64_t dead_bytes() const { return dead_sealed_bytes + dead_log_bytes; }
};

enum class Trigger : std::uint8_t {
  kNone,
  kDeadShare,
  kDeadBytes,
  kExpired,
  kFreeDisk,
  kCeiling,  // one is near or exceeded
};

struct Decision {
  Trigger trigger = Trigger::kNone;
  std::string reason;        // why it runs, or why not
  bool seal_active = false;  // most of the garbage is in the log
  // A segment must save this share to be taken.
  double min_space_saving = 0;
  // Of a step: four segments, or fewer, but at least one, if their outputs might pass a ceiling.
  std::uint64_t max_input_bytes = 0;
  bool expired_only = false;  // take the segments that have expired
};

// What is to be done about the ceilings.
enum class Pressure : std::uint8_t { kNone, kNear, kAbove };

// The lowest ceiling, in bytes on disk; empty if there is none.
std::optional<std::uint64_t> CeilingBytes(const CompactionLimits& limits, const Sight& sight);
// Bytes on disk as a share of the lowest ceiling; 0 if there is none.
double CeilingShare(const CompactionLimits& limits, const Sight& sight);
Pressure PressureOf(const CompactionLimits& limits, const Sight& sight);
// So far below that it takes no compaction to stay there.
bool CeilingIsFar(const CompactionLimits& limits, const Sight& sight);
// Each write is delayed by this while the pressure is kAbove: the whole of
// max_write_delay a tenth above the ceiling, and in proportion below that.
std::chrono::microseconds WriteDelay(const CompactionLimits& limits, const Sight& sight);

// So much of what was compacted is still held that compacting more waits until they close.
bool ReadersHoldTooMuch(const Sight& sight);

Decision Decide(const SchedulerOptions& options, const CompactionLimits& limits,
                const Sight& sight);
bool InWindow(const std::vector<DayWindow>& windows, std::uint32_t minute_of_day);

// kInvalidArgument naming the option that makes no sense, alone or beside the others.
Status CheckLimits(const CompactionLimits& limits);
Status CheckOptions(const SchedulerOptions& options);
// The same against what is there when the store is opened: a ceiling in bytes below the live
// bytes, a floor above the capacity of the disk.
Status CheckAgainstDisk(const CompactionLimits& limits, std::uint64_t free_disk_floor,
                        std::uint64_t live_bytes, std::uint64_t capacity_bytes);

// Lowers the rate while foreground latency is above the target, and raises it again while there
// is slack: multiplied by 0.7 and by 1.25, so that a rate too high is left faster than it is
// reached. Starts at the limit.
class RateController {
 public:
  static constexpr std::uint64_t kSlowest = std::uint64_t{1} << 20;  // bytes a second
  static constexpr std::uint64_t kFastest = std::uint64_t{4} << 30;

  // The rate for the time until the next look; 0: no limit. While the latency is not known it
  // neither falls nor rises.
  std::uint64_t Next(const CompactionLimits& limits, Pressure pressure,
                     std::optional<std::chrono::nanoseconds> p99);

 private:
  std::uint64_t rate_ = 0;  // 0: not slowed down
};

// How fast something grows, lately: over half a second or more.
class GrowthRate {
 public:
  static constexpr std::chrono::milliseconds kWindow{500};

  // A second. `total`: what it has grown to by `now`; neither ever falls.
  std::uint64_t Next(std::uint64_t total, std::chrono::steady_clock::time_point now);

 private:
  std::uint64_t rate_ = 0;
  std::uint64_t total_ = 0;
  std::optional<std::chrono::steady_clock::time_point> since_;
};

// Waiting times that double from `first` to `cap`, until something succeeds.
class Backoff {
 public:
  Backoff(std::chrono::milliseconds first, std::chrono::milliseconds cap)
      : first_(first), cap_(cap) {}
  void Reset() { next_ = std::chrono::milliseconds(0); }
  std::chrono::milliseconds Grow();
  bool pending() const { return next_.count() != 0; }

 private:
  const std::chrono::milliseconds first_;
  const std::chrono::milliseconds cap_;
  std::chrono::milliseconds next_{0};
};

}  // namespace freyja::compaction
