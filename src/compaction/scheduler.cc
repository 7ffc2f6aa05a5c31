#include "compaction/scheduler.h"

#include <algorithm>
#include <system_error>
#include <utility>

#include "base/status_macros.h"

namespace freyja::compaction {

using std::chrono::milliseconds;

namespace {

constexpr milliseconds kTick{100};
constexpr milliseconds kWhenSpaceIsShort{1000};
// Share of a ceiling from which a segment's worth of writes is too much between two looks.
constexpr double kCloseFrom = 0.8;
constexpr milliseconds kLongestNap = std::chrono::hours(1);
// Too few samples say little about the 99th percentile, but more do not come for ever: after a
// while those that are there must do, and a store without any has nobody to be slowed down.
constexpr std::uint64_t kFewestSamples = 50;
constexpr milliseconds kWithFewSamples{5000};
constexpr milliseconds kWithoutSamples{1000};
// A step that gave back less than this share of its input is not followed at once.
constexpr std::int64_t kLittleGain = 32;
constexpr std::size_t kMostExpiredAtOnce = 16;

// Segments that were being compacted when they expired are gone; nobody asks for them again.
void KeepOnly(const std::set<std::uint64_t>& existing, std::set<std::uint64_t>& ids) {
  std::erase_if(ids, [&](std::uint64_t id) { return !existing.contains(id); });
}

}  // namespace

Scheduler::Scheduler(engine::Store& store, JobManager& jobs, EventDispatcher& events,
                     engine::LatencySampler& latencies, SchedulerOptions options)
    : store_(store),
      jobs_(jobs),
      events_(events),
      latencies_(latencies),
      options_(std::move(options)),
      failures_(options_.backoff_first, options_.backoff_cap),
      idling_(options_.backoff_first, options_.backoff_cap),
      limits_(options_.limits) {
  jobs_.throttle().SetRate(limits_.bytes_per_second.value_or(0));
  // Short steps follow each other at once where there is much to do.
  jobs_.SetOnIdle([this] { Wake(); });
}

Scheduler::~Scheduler() {
  jobs_.SetOnIdle(nullptr);
  Shutdown();
}

Status Scheduler::Start() {
  base::MutexLock lock(mutex_);
  SetDue();
  try {
    thread_ = std::thread([this] { Run(); });
  } catch (const std::system_error&) {
    return Status(StatusCode::kOutOfMemory, "no thread for the scheduler");
  }
  return Status::Ok();
}

void Scheduler::Shutdown() {
  std::thread thread;
  {
    base::MutexLock lock(mutex_);
    stopped_ = true;
    changed_.NotifyAll();
    thread = std::move(thread_);
  }
  if (thread.joinable()) thread.join();
}

void Scheduler::SetPaused(bool paused) {
  jobs_.throttle().SetPaused(paused);
  Wake();
}

void Scheduler::Wake() {
  base::MutexLock lock(mutex_);
  woken_ = true;
  changed_.NotifyAll();
}

Status Scheduler::SetLimits(const CompactionLimits& limits) {
  FREYJA_RETURN_IF_ERROR(CheckLimits(limits));
  base::MutexLock lock(mutex_);
  limits_ = limits;
  jobs_.throttle().SetRate(limits.bytes_per_second.value_or(0));
  woken_ = true;
  changed_.NotifyAll();
  return Status::Ok();
}

CompactionLimits Scheduler::limits() const {
  base::MutexLock lock(mutex_);
  return limits_;
}

SchedulerStats Scheduler::stats() const {
  SchedulerStats stats;
  stats.paused = jobs_.throttle().paused();
  stats.bytes_per_second = jobs_.throttle().rate();
  stats.throttled =
      std::chrono::duration_cast<std::chrono::microseconds>(jobs_.throttle().waited());
  stats.write_delay = std::chrono::microseconds(write_delay_us_.load());
  stats.delayed_writes = write_delays_.load();
  stats.write_delay_total = std::chrono::microseconds(write_delay_total_us_.load());
  base::MutexLock lock(mutex_);
  stats.running = thread_.joinable();
  stats.decision = reason_;
  if (held_off_until_) {
    const auto rest = *held_off_until_ - Clock::now();
    stats.backoff = std::max(milliseconds(0), std::chrono::duration_cast<milliseconds>(rest));
  }
  return stats;
}

void Scheduler::Delay(std::uint32_t microseconds) {
  write_delays_.fetch_add(1);
  write_delay_total_us_.fetch_add(microseconds);
  std::this_thread::sleep_for(std::chrono::microseconds(microseconds));
}

// --- The thread -----------------------------------------------------------------------

void Scheduler::Run() {
  for (;;) {
    const milliseconds nap = NapTime();
    bool woken = false;
    {
      base::MutexLock lock(mutex_);
      if (!stopped_ && !woken_) changed_.WaitFor(mutex_, nap);
      if (stopped_) return;
      woken = std::exchange(woken_, false);
    }
    if (!woken && !IsDue()) continue;
    try {
      Look();
    } catch (const std::exception&) {
      // The next look may do better.
      store_.health().Report(Status(StatusCode::kOutOfMemory, "no memory"));
    }
  }
}

milliseconds Scheduler::NapTime() const {
  if (jobs_.busy()) return kTick;
  const auto rest = std::chrono::ceil<milliseconds>(due_ - Clock::now());
  return std::clamp(rest, milliseconds(0), watches_ceiling_ ? kTick : kLongestNap);
}

bool Scheduler::IsDue() const {
  if (jobs_.busy() || Clock::now() >= due_) return true;
  if (!watches_ceiling_) return false;
  const engine::Log& log = store_.log();
  return log.rolls() != seen_rolls_ || (is_close_ && log.appended() != seen_appended_);
}

void Scheduler::SetDue() {
  const auto jitter = static_cast<std::uint64_t>(options_.jitter.count());
  const auto now = Clock::now();
  due_ = now + options_.interval +
         milliseconds(jitter == 0 ? 0 : store_.random().Next64() % (jitter + 1));
  if (not_before_ > now) due_ = std::min(due_, not_before_);
}

// They leave soon, for the most part.
void Scheduler::MindReaders(const Sight& sight) {
  const bool waited = std::exchange(waits_for_readers_, ReadersHoldTooMuch(sight));
  if (waits_for_readers_ && !waited) due_ = std::min(due_, Clock::now() + kTick);
}

void Scheduler::Look() {
  seen_rolls_ = store_.log().rolls();
  seen_appended_ = store_.log().appended();
  SetDue();  // should anything below throw
  // So that what nobody holds any more is not taken for held.
  store_.reaper().Collect();
  const Sight sight = See();
  // A short job may be over already; operations beside it count all the same.
  Steer(sight, job_ != nullptr || jobs_.busy());
  Act(sight);
  latencies_.set_compacting(job_ != nullptr || jobs_.busy());
  SetDue();
  MindReaders(sight);
}

void Scheduler::Act(const Sight& sight) {
  TakeOutcome();
  if (job_ != nullptr || jobs_.busy() || !store_.CheckWritable().ok()) return;
  if (jobs_.throttle().paused()) return SetReason("paused");
  const Decision decision = Decide(options_, limits(), sight);
  const Attempt now = AttemptOf(decision);
  const bool is_easier = vain_ && (now.min_space_saving < vain_->min_space_saving ||
                                   now.seal_active > vain_->seal_active);
  // After a failure it would fail again, even when space is short.
  if (Clock::now() < not_before_ && !(is_easier && decision.trigger != Trigger::kNone)) return;
  if (decision.trigger == Trigger::kNone) {
    TellUnmet();
    return SetReason(decision.reason);
  }
  const bool is_unchanged = vain_ && !is_easier && now.appended == vain_->appended &&
                            now.manifest_generation == vain_->manifest_generation;
  if (is_unchanged && !decision.expired_only) return;
  Start(decision);
}

Scheduler::Attempt Scheduler::AttemptOf(const Decision& decision) {
  return {.min_space_saving = decision.min_space_saving,
          .seal_active = decision.seal_active,
          .appended = store_.log().appended(),
          .manifest_generation = store_.manifest().generation()};
}

Sight Scheduler::See() {
  Sight sight;
  std::set<std::uint64_t> existing;
  for (const SegmentInfo& info : store_.GetSegments()) {
    existing.insert(info.id);
    if (info.state == SegmentState::kQuarantined) continue;
    if (info.state == SegmentState::kRetired) {
      sight.retired_bytes += info.file_bytes;
      continue;
    }
    sight.live_bytes += info.live_bytes;
    (info.state == SegmentState::kSealed ? sight.dead_sealed_bytes : sight.dead_log_bytes) +=
        info.dead_bytes;
  }
  KeepOnly(existing, vain_expired_);
  const Stats stats = store_.GetStats();
  sight.disk_bytes = stats.disk_bytes;
  sight.written_per_second = writes_.Next(stats.log_bytes_written, Clock::now());
  sight.segment_bytes = store_.segment_bytes();
  sight.expired_segment = !ExpiredSegments().empty();
  const auto free = store_.directory().file_system().FreeSpace(store_.directory().path());
  sight.free_disk_bytes = free ? *free : UINT64_MAX;
  sight.minute_of_day = static_cast<std::uint32_t>(store_.clock().WallMs() / 60'000 % 1440);
  return sight;
}

std::vector<std::uint64_t> Scheduler::ExpiredSegments() const {
  std::vector<std::uint64_t> ids;
  store_.segments().ForEach([&](const engine::Segment& segment) {
    if (segment.state() != SegmentState::kSealed || ids.size() >= kMostExpiredAtOnce) return;
    if (!jobs_.expiry().IsExpired(segment.sealed().highest_expiry_ms)) return;
    if (!vain_expired_.contains(segment.id())) ids.push_back(segment.id());
  });
  return ids;
}

// --- How fast -------------------------------------------------------------------------

void Scheduler::Steer(const Sight& sight, bool compacting) {
  const CompactionLimits limits = this->limits();
  watches_ceiling_ = CeilingBytes(limits, sight).has_value();
  is_close_ = CeilingShare(limits, sight) >= kCloseFrom;
  const Pressure pressure = PressureOf(limits, sight);
  write_delay_us_.store(static_cast<std::uint32_t>(WriteDelay(limits, sight).count()));
  if (CeilingIsFar(limits, sight)) told_pressure_ = Pressure::kNone;
  TellPressure(pressure, sight);
  if (pressure != Pressure::kNone) MakeRoom();
  // Also while no job runs, so that the next one does not begin at the rate of another day.
  TellRate(controller_.Next(limits, pressure, ForegroundP99(compacting)));
}

// Of the operations beside jobs since it was last known, those of earlier short jobs included; 0
// where there are next to none. Empty: not known yet, or no job runs.
std::optional<std::chrono::nanoseconds> Scheduler::ForegroundP99(bool compacting) {
  engine::LatencyCounts now = latencies_.Counts(engine::LatencySampler::Kind::kRead, true);
  now.Add(latencies_.Counts(engine::LatencySampler::Kind::kWrite, true));
  const engine::LatencyCounts window = now.Since(seen_latencies_);
  const auto time = Clock::now();
  const auto forget = [&] {
    seen_latencies_ = now;
    latencies_seen_at_ = time;
  };
  if (!compacting) {
    if (time - compacted_at_ >= kWithFewSamples) forget();
    return std::nullopt;
  }
  compacted_at_ = time;
  const auto age = time - latencies_seen_at_;
  const bool known = window.samples >= kFewestSamples ||
                     age >= (window.samples == 0 ? kWithoutSamples : kWithFewSamples);
  if (!known) return std::nullopt;
  if (window.samples != 0) forget();
  return window.Quantile(0.99);
}

// What is only kept for an undo goes before anybody is slowed down for long.
void Scheduler::MakeRoom() {
  if (!store_.CheckWritable().ok()) return;
  const auto gave = store_.quarantine().GiveUpOldest();
  if (!gave) store_.health().Report(gave.error());
}

void Scheduler::TellRate(std::uint64_t rate) {
  const std::uint64_t before = jobs_.throttle().rate();  // which SetLimits changes, too
  if (rate == before) return;
  jobs_.throttle().SetRate(rate);
  // Small corrections are no news.
  if (before != 0 && rate != 0 && rate < 2 * before && before < 2 * rate) return;
  Tell(CompactionEventType::kThrottled,
       rate == 0 ? "no limit" : std::to_string(rate) + " bytes a second");
}

void Scheduler::TellPressure(Pressure pressure, const Sight& sight) {
  pressure_ = pressure;
  if (pressure != Pressure::kAbove) told_unmet_ = false;
  // It may cross a limit many times a second; only what is worse than before is news.
  if (pressure <= told_pressure_) return;
  told_pressure_ = pressure;
  const std::string bytes = std::to_string(sight.disk_bytes) + " bytes on disk, " +
                            std::to_string(sight.live_bytes) + " of them live: ";
  Tell(CompactionEventType::kEscalated,
       bytes + (pressure == Pressure::kNear
                    ? "close to the space ceiling, compaction runs at full speed"
                    : "above the space ceiling, writers are slowed down"));
}

// --- Jobs -----------------------------------------------------------------------------

void Scheduler::Start(const Decision& decision) {
  HotSwapConfig config;
  config.min_space_saving = decision.min_space_saving;
  config.seal_active = decision.seal_active;
  config.max_input_bytes = decision.max_input_bytes;
  config.step_bytes = config.max_input_bytes;
  config.combine_small = true;
  config.reason = decision.reason;
  job_expired_.clear();
  if (decision.expired_only) {
    config.segments = ExpiredSegments();
    job_expired_.insert(config.segments.begin(), config.segments.end());
    if (config.segments.empty()) return;
  }
  attempt_ = AttemptOf(decision);
  auto job = jobs_.Submit(config);
  if (!job) {
    // A segment may have gone since it was looked at.
    if (job.error().code() != StatusCode::kInvalidArgument) store_.health().Report(job.error());
    return HoldOff(failures_.Grow(), job.error().ToString());
  }
  job_ = *std::move(job);
  SetReason(decision.reason);
  Tell(CompactionEventType::kPlanned, decision.reason);
}

void Scheduler::TakeOutcome() {
  if (job_ == nullptr) return;
  const auto outcome = job_->WaitFor(milliseconds(0));
  if (!outcome) return;
  const auto job = std::move(job_);
  if (!*outcome || (*outcome)->ran) vain_.reset();
  if (!*outcome) {
    const Status& error = outcome->error();
    if (error.code() == StatusCode::kCancelled) return HoldOff(options_.interval, "cancelled");
    return HoldOff(failures_.Grow(), error.ToString());
  }
  failures_.Reset();
  if (!(*outcome)->ran) {
    vain_expired_.merge(job_expired_);
    return NothingToGain(*job, (*outcome)->reason);
  }
  idling_.Reset();
  // Whatever held it off, something can be done.
  const CompactionReport& report = **outcome;
  const bool gave_little =
      report.space_saved < static_cast<std::int64_t>(report.bytes_before) / kLittleGain;
  not_before_ = gave_little ? Clock::now() + kTick : Clock::time_point{};
  base::MutexLock lock(mutex_);
  held_off_until_.reset();
}

void Scheduler::NothingToGain(const JobState& job, const std::string& reason) {
  if (job.config().segments.empty()) vain_ = attempt_;
  const milliseconds wait = idling_.Grow();
  HoldOff(pressure_ == Pressure::kNone ? wait : std::min(wait, kWhenSpaceIsShort),
          "no segment gives enough back: " + reason);
  TellUnmet();
}

void Scheduler::TellUnmet() {
  if (pressure_ != Pressure::kAbove || std::exchange(told_unmet_, true)) return;
  Tell(CompactionEventType::kEscalated,
       "the space ceiling can't be met: nothing is left to reclaim that readers, tombstones or "
       "live records do not hold");
}

void Scheduler::HoldOff(milliseconds time, const std::string& why) {
  not_before_ = Clock::now() + time;
  SetReason(why);
  base::MutexLock lock(mutex_);
  held_off_until_ = not_before_;
}

void Scheduler::Tell(CompactionEventType type, std::string reason) {
  CompactionEvent event;
  event.type = type;
  event.job_id = job_ == nullptr ? 0 : job_->id();
  event.reason = std::move(reason);
  events_.Emit(event);
}

void Scheduler::SetReason(std::string reason) {
  base::MutexLock lock(mutex_);
  reason_ = std::move(reason);
}

}  // namespace freyja::compaction
