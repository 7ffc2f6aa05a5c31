#include "compaction/policy.h"

#include <algorithm>
#include <cmath>
#include <optional>
#include <utility>

#include "base/status_macros.h"

namespace freyja::compaction {

namespace {

// How far below a ceiling something begins: there is room left for so many segments and for what
// is written in some time, within two shares of the ceiling.
struct Margin {
  std::uint64_t segments = 0;
  double seconds = 0;
  double first = 0;
  double last = 0;
};
// A step in progress holds up to four segments twice; beside that there must be room for what is
// written until it is done.
constexpr Margin kBeginsBelowCeiling = {.segments = 8, .seconds = 1, .first = 0.85, .last = 0.995};
constexpr Margin kNearCeiling = {.segments = 4, .seconds = 0.5, .first = 0.9, .last = 0.9975};
constexpr std::uint64_t kSegmentsPerStep = 4;
constexpr double kDefaultDeadShare = 0.3;
constexpr double kFullDelayAt = 1.1;  // times the ceiling
constexpr double kLowestCeiling = 1.1;
// A victim that gives back less is not worth the writing, unless space is short.
constexpr double kWorthIt = 0.1;
constexpr std::uint32_t kMinutesOfDay = 1440;
// Longer ones overflow when they are added to a time.
constexpr std::chrono::hours kLongest{24 * 365};

Status Invalid(std::string message) {
  return Status(StatusCode::kInvalidArgument, std::move(message));
}

std::uint64_t Times(std::uint64_t bytes, double factor) {
  return static_cast<std::uint64_t>(static_cast<double>(bytes) * factor);
}

std::string Percent(double share) { return std::to_string(std::lround(share * 100)) + " %"; }

double DeadShare(const Sight& sight) {
  const std::uint64_t all = sight.live_bytes + sight.dead_bytes();
  return all == 0 ? 0 : static_cast<double>(sight.dead_bytes()) / static_cast<double>(all);
}

// `share` of the ceiling is in use: is that within the margin?
bool IsWithin(const Margin& margin, const Sight& sight, double share) {
  const double room = static_cast<double>(margin.segments * sight.segment_bytes) +
                      margin.seconds * static_cast<double>(sight.written_per_second);
  // disk_bytes / share is the ceiling in bytes.
  const double room_share =
      share * room / static_cast<double>(std::max<std::uint64_t>(sight.disk_bytes, 1));
  return share >= std::clamp(1 - room_share, margin.first, margin.last);
}

// A ceiling on space says by itself how much may be dead. But where compaction has to wait for a
// window there should be room below it, and the disk may be full before it is reached.
double DeadShareTrigger(const SchedulerOptions& options, const CompactionLimits& limits,
                        const Sight& sight) {
  const std::uint64_t ceiling = CeilingBytes(limits, sight).value_or(0);
  const std::uint64_t room = ceiling - std::min(ceiling, sight.disk_bytes);
  const std::uint64_t margin = kBeginsBelowCeiling.segments * sight.segment_bytes;
  const bool fits = sight.free_disk_bytes >= margin && sight.free_disk_bytes - margin >= room;
  const bool is_implied = limits.space_ceiling != 0 && options.windows.empty() && fits;
  return options.dead_share.value_or(is_implied ? 1 : kDefaultDeadShare);
}

std::uint64_t InputOfStep(const CompactionLimits& limits, const Sight& sight) {
  const std::uint64_t most = kSegmentsPerStep * sight.segment_bytes;
  const auto ceiling = CeilingBytes(limits, sight);
  // Above it what counts is how soon it is below again.
  if (!ceiling || sight.disk_bytes > *ceiling) return most;
  return std::clamp(*ceiling - sight.disk_bytes, sight.segment_bytes, most);
}

Decision Run(Trigger trigger, const Sight& sight, std::string reason) {
  return {.trigger = trigger,
          .reason = std::move(reason),
          .seal_active = sight.dead_log_bytes > sight.dead_sealed_bytes,
          .min_space_saving = kWorthIt};
}

std::string CeilingText(const CompactionLimits& limits, const Sight& sight) {
  return Percent(CeilingShare(limits, sight)) + " of the space ceiling in use";
}

Decision Rest(std::string reason) { return {.reason = std::move(reason)}; }

// Any gain is worth it then.
std::optional<Decision> WhereSpaceIsShort(const SchedulerOptions& options,
                                          const CompactionLimits& limits, const Sight& sight) {
  std::optional<Decision> decision;
  if (PressureOf(limits, sight) != Pressure::kNone) {
    decision = Run(Trigger::kCeiling, sight, CeilingText(limits, sight));
  } else if (sight.free_disk_bytes < options.free_disk_floor) {
    decision =
        Run(Trigger::kFreeDisk, sight,
            std::to_string(sight.free_disk_bytes) + " bytes free on the disk, below the floor of " +
                std::to_string(options.free_disk_floor));
  }
  if (decision) decision->min_space_saving = 0;
  return decision;
}

Decision Choose(const SchedulerOptions& options, const CompactionLimits& limits,
                const Sight& sight) {
  // What readers hold would only grow, above a ceiling, too: nothing comes back before they close.
  if (ReadersHoldTooMuch(sight)) {
    return Rest("readers hold " + std::to_string(sight.retired_bytes) +
                " bytes of segments that were compacted; no more until they close");
  }
  const bool has_expired = options.expired_records && sight.expired_segment;
  std::optional<Decision> pressed;
  if (sight.dead_bytes() != 0 || has_expired) pressed = WhereSpaceIsShort(options, limits, sight);
  if (!pressed && !InWindow(options.windows, sight.minute_of_day))
    return Rest("outside the windows of the day");
  // Short of space as well: nothing gives back more for less.
  if (has_expired) {
    Decision decision = Run(Trigger::kExpired, sight, "records have expired");
    if (pressed) decision.reason = pressed->reason + "; " + decision.reason;
    decision.seal_active = false;
    decision.min_space_saving = 0;
    decision.expired_only = true;
    return decision;
  }
  if (pressed) return *std::move(pressed);
  if (sight.dead_bytes() < sight.segment_bytes) return Rest("less than a segment's worth is dead");
  if (!CeilingIsFar(limits, sight))
    return Run(Trigger::kCeiling, sight, CeilingText(limits, sight));
  const double dead_share = DeadShareTrigger(options, limits, sight);
  if (dead_share < 1 && DeadShare(sight) >= dead_share) {
    return Run(Trigger::kDeadShare, sight,
               Percent(DeadShare(sight)) + " of all record bytes are dead");
  }
  if (options.dead_bytes != 0 && sight.dead_bytes() >= options.dead_bytes) {
    return Run(Trigger::kDeadBytes, sight, std::to_string(sight.dead_bytes()) + " bytes are dead");
  }
  return Rest("below every threshold: " + Percent(DeadShare(sight)) + " dead");
}

}  // namespace

std::optional<std::uint64_t> CeilingBytes(const CompactionLimits& limits, const Sight& sight) {
  std::optional<std::uint64_t> ceiling;
  if (limits.bytes_ceiling != 0) ceiling = limits.bytes_ceiling;
  // A store of a few segments is mostly its active one.
  const std::uint64_t live = std::max(sight.live_bytes, 4 * sight.segment_bytes);
  if (limits.space_ceiling != 0 && live != 0) {
    const std::uint64_t bytes = Times(live, limits.space_ceiling);
    ceiling = std::min(ceiling.value_or(bytes), bytes);
  }
  return ceiling;
}

double CeilingShare(const CompactionLimits& limits, const Sight& sight) {
  const auto ceiling = CeilingBytes(limits, sight);
  return ceiling ? static_cast<double>(sight.disk_bytes) / static_cast<double>(*ceiling) : 0;
}

bool CeilingIsFar(const CompactionLimits& limits, const Sight& sight) {
  return !IsWithin(kBeginsBelowCeiling, sight, CeilingShare(limits, sight));
}

Pressure PressureOf(const CompactionLimits& limits, const Sight& sight) {
  const double share = CeilingShare(limits, sight);
  if (share > 1) return Pressure::kAbove;
  return IsWithin(kNearCeiling, sight, share) ? Pressure::kNear : Pressure::kNone;
}

std::chrono::microseconds WriteDelay(const CompactionLimits& limits, const Sight& sight) {
  const double above = (CeilingShare(limits, sight) - 1) / (kFullDelayAt - 1);
  const double part = std::clamp(above, 0.0, 1.0);
  return std::chrono::microseconds(
      std::llround(part * static_cast<double>(limits.max_write_delay.count())));
}

bool ReadersHoldTooMuch(const Sight& sight) {
  return sight.retired_bytes > std::max(4 * sight.segment_bytes, sight.live_bytes / 4);
}

bool InWindow(const std::vector<DayWindow>& windows, std::uint32_t minute_of_day) {
  if (windows.empty()) return true;
  return std::ranges::any_of(windows, [&](const DayWindow& window) {
    const bool behind_begin = minute_of_day >= window.begin_minute;
    const bool before_end = minute_of_day < window.end_minute;
    return window.begin_minute < window.end_minute ? behind_begin && before_end
                                                   : behind_begin || before_end;
  });
}

Decision Decide(const SchedulerOptions& options, const CompactionLimits& limits,
                const Sight& sight) {
  Decision decision = Choose(options, limits, sight);
  decision.max_input_bytes = InputOfStep(limits, sight);
  return decision;
}

Status CheckLimits(const CompactionLimits& limits) {
  if (limits.bytes_per_second && *limits.bytes_per_second < RateController::kSlowest) {
    return Invalid("bytes_per_second is " + std::to_string(*limits.bytes_per_second) +
                   "; it must be at least " + std::to_string(RateController::kSlowest) +
                   ", or not be set");
  }
  if (limits.latency_target.count() < 0 || limits.latency_target > kLongest) {
    return Invalid("latency_target must be from 0 to one year");
  }
  if (limits.max_write_delay.count() < 0 || limits.max_write_delay > std::chrono::seconds(1)) {
    return Invalid("max_write_delay must be from 0 to one second");
  }
  if (limits.space_ceiling != 0 && !(limits.space_ceiling >= kLowestCeiling)) {
    return Invalid("space_ceiling is " + std::to_string(limits.space_ceiling) +
                   "; it must be 0, for none, or at least 1.1");
  }
  return Status::Ok();
}

Status CheckOptions(const SchedulerOptions& options) {
  FREYJA_RETURN_IF_ERROR(CheckLimits(options.limits));
  if (options.dead_share && !(*options.dead_share > 0 && *options.dead_share <= 1)) {
    return Invalid("scheduler.dead_share is " + std::to_string(*options.dead_share) +
                   "; it must be above 0 and at most 1, which switches it off");
  }
  if (options.interval.count() <= 0 || options.interval > kLongest) {
    return Invalid("scheduler.interval must be above zero and at most one year");
  }
  if (options.jitter.count() < 0 || options.jitter > kLongest) {
    return Invalid("scheduler.jitter must be from 0 to one year");
  }
  if (options.backoff_first.count() <= 0 || options.backoff_cap < options.backoff_first ||
      options.backoff_cap > kLongest) {
    return Invalid(
        "scheduler.backoff_first must be above zero and at most backoff_cap, and that at most "
        "one year");
  }
  for (const DayWindow& window : options.windows) {
    if (window.begin_minute >= kMinutesOfDay || window.end_minute > kMinutesOfDay ||
        window.begin_minute == window.end_minute) {
      return Invalid("scheduler.windows: " + std::to_string(window.begin_minute) + " to " +
                     std::to_string(window.end_minute) +
                     " never opens; a day has the minutes 0 to 1440");
    }
  }
  return Status::Ok();
}

Status CheckAgainstDisk(const CompactionLimits& limits, std::uint64_t free_disk_floor,
                        std::uint64_t live_bytes, std::uint64_t capacity_bytes) {
  if (limits.bytes_ceiling != 0 && limits.bytes_ceiling < Times(live_bytes, kLowestCeiling)) {
    return Invalid("bytes_ceiling is " + std::to_string(limits.bytes_ceiling) +
                   ", but the live records alone take " + std::to_string(live_bytes) +
                   " bytes and need a tenth more to be compacted");
  }
  if (capacity_bytes != 0 && free_disk_floor >= capacity_bytes) {
    return Invalid("free_disk_floor is " + std::to_string(free_disk_floor) +
                   ", but the whole file system has " + std::to_string(capacity_bytes) + " bytes");
  }
  return Status::Ok();
}

std::uint64_t RateController::Next(const CompactionLimits& limits, Pressure pressure,
                                   std::optional<std::chrono::nanoseconds> p99) {
  constexpr double kDown = 0.7;
  constexpr double kUp = 1.25;
  constexpr double kSlack = 0.8;
  if (pressure != Pressure::kNone) return 0;
  if (limits.latency_target.count() == 0) {
    rate_ = 0;
    return limits.bytes_per_second.value_or(0);
  }
  const std::uint64_t fastest = limits.bytes_per_second.value_or(kFastest);
  const std::uint64_t now = rate_ == 0 ? fastest : std::min(rate_, fastest);
  rate_ = now;
  if (p99 && *p99 > limits.latency_target) {
    // The first step down from "no limit" must be felt.
    constexpr std::uint64_t kFeltFrom = std::uint64_t{256} << 20;
    rate_ = std::max(kSlowest, Times(std::min(now, kFeltFrom), kDown));
  } else if (p99 &&
             *p99 < std::chrono::duration<double, std::micro>(limits.latency_target) * kSlack) {
    rate_ = std::min(fastest, Times(now, kUp));
  }
  return rate_ >= kFastest ? 0 : rate_;
}

std::uint64_t GrowthRate::Next(std::uint64_t total, std::chrono::steady_clock::time_point now) {
  if (since_ && now - *since_ < kWindow) return rate_;
  if (since_) {
    const std::chrono::duration<double> time = now - *since_;
    rate_ = static_cast<std::uint64_t>(static_cast<double>(total - total_) / time.count());
  }
  total_ = total;
  since_ = now;
  return rate_;
}

std::chrono::milliseconds Backoff::Grow() {
  next_ = next_.count() == 0 ? first_ : std::min(cap_, next_ * 2);
  return next_;
}

}  // namespace freyja::compaction
