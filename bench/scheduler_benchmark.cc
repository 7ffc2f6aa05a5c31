#include "scheduler_benchmark.h"

#include <fmt/format.h>
#include <sys/resource.h>

#include <algorithm>
#include <cmath>
#include <fstream>
#include <memory>
#include <thread>
#include <utility>

#include "base/status_macros.h"
#include "freyja/compaction.h"
#include "freyja/kv_store.h"
#include "scratch_directory.h"
#include "sustained_load.h"

namespace freyja::bench {

namespace {

constexpr std::chrono::milliseconds kSamplePeriod{100};
constexpr std::uint64_t kProgressOperations = 1 << 16;

Status Cancelled() { return {StatusCode::kCancelled, "interrupted"}; }

Options StoreOptions(const SchedulerPlan& plan) {
  Options options;
  options.create_if_missing = true;
  options.sync = plan.sync;
  options.segment_bytes = plan.segment_bytes;
  options.scheduler.limits.space_ceiling = plan.ceiling;
  options.scheduler.dead_share = plan.dead_share;
  return options;
}

double CpuSeconds() {
  rusage usage = {};
  ::getrusage(RUSAGE_SELF, &usage);
  const auto seconds = [](const timeval& time) {
    return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) * 1e-6;
  };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

// What this process had the kernel write to storage; empty if that is not known.
std::optional<std::uint64_t> BytesWrittenToStorage() {
  std::ifstream in("/proc/self/io");
  std::string name;
  std::uint64_t value = 0;
  while (in >> name >> value) {
    if (name == "write_bytes:") return value;
  }
  return std::nullopt;
}

// --- Space ----------------------------------------------------------------------------

class SpaceSampler {
 public:
  explicit SpaceSampler(double ceiling) : ceiling_(ceiling) {}

  void Take(const Stats& stats) {
    const auto now = SteadyClock::now();
    const double live = static_cast<double>(std::max<std::uint64_t>(stats.live_bytes, 1));
    const double records = static_cast<double>(stats.live_bytes + stats.dead_bytes) / live;
    const double files = stats.space_amplification();
    // The time since the last sample is as that was.
    if (above_)
      figures_.seconds_above_ceiling += std::chrono::duration<double>(now - last_).count();
    above_ = files > ceiling_;
    last_ = now;
    ++figures_.samples;
    figures_.highest = std::max(figures_.highest, files);
    figures_.highest_records = std::max(figures_.highest_records, records);
    sum_ += files;
    sum_records_ += records;
  }

  SpaceFigures figures() const {
    SpaceFigures figures = figures_;
    const double samples = static_cast<double>(std::max<std::uint64_t>(figures.samples, 1));
    figures.mean = sum_ / samples;
    figures.mean_records = sum_records_ / samples;
    return figures;
  }

 private:
  const double ceiling_;
  SpaceFigures figures_;
  double sum_ = 0;
  double sum_records_ = 0;
  bool above_ = false;
  SteadyClock::time_point last_;
};

// --- Before and after -----------------------------------------------------------------

// Puts keys, `next()` each time, `count` times, as fast as it goes.
template <typename Next>
Status PutMany(VersionedWriter& writer, std::uint64_t count, const std::atomic<bool>& stop,
               Next next) {
  for (std::uint64_t i = 0; i < count; ++i) {
    if (i % kProgressOperations == 0 && stop.load()) return Cancelled();
    FREYJA_RETURN_IF_ERROR(writer.Put(next(i)));
  }
  return Status::Ok();
}

// Waits until the scheduler, which looks every second or so, has found nothing to do for longer
// than that: a warm-up without pauses can leave the store above its ceiling.
Status WaitUntilCaughtUp(const KVStore& store, const std::atomic<bool>& stop) {
  const SchedulerOptions defaults;
  const auto quiet = defaults.interval + defaults.jitter + kSamplePeriod;
  constexpr std::chrono::seconds kLongest{60};
  const auto begin = SteadyClock::now();
  auto last_change = begin;
  std::uint64_t jobs = store.GetStats().compactions_completed;
  for (auto now = begin; now - last_change < quiet && now - begin < kLongest;
       now = SteadyClock::now()) {
    if (!SleepUntil(now + kSamplePeriod, &stop)) return Cancelled();
    const std::uint64_t completed = store.GetStats().compactions_completed;
    if (completed != std::exchange(jobs, completed)) last_change = SteadyClock::now();
  }
  return Status::Ok();
}

Status FillAndWarmUp(const SchedulerPlan& plan, KVStore& store, Contents& contents,
                     const std::atomic<bool>& stop, const ProgressListener& on_progress) {
  VersionedWriter writer(store, contents);
  on_progress(fmt::format("filling {} keys", plan.keys));
  FREYJA_RETURN_IF_ERROR(PutMany(writer, plan.keys, stop, [](std::uint64_t i) { return i; }));
  const auto overwrites = static_cast<std::uint64_t>(plan.warm_up * plan.keys);
  // A stream of its own: the measured overwrites are not those of the warm-up again.
  FREYJA_ASSIGN_OR_RETURN(KeyDraw draw, KeyDraw::Make(plan, plan.readers + 1));
  on_progress(fmt::format("warm-up: {} overwrites", overwrites));
  FREYJA_RETURN_IF_ERROR(
      PutMany(writer, overwrites, stop, [&](std::uint64_t) { return draw.Next(); }));
  return WaitUntilCaughtUp(store, stop);
}

// Reads every key of the store after another open.
Result<Answers> CheckReopened(const SchedulerPlan& plan, const std::filesystem::path& path,
                              const Contents& contents) {
  Options options = StoreOptions(plan);
  options.scheduler.enabled = false;
  FREYJA_ASSIGN_OR_RETURN(const std::unique_ptr<KVStore> store, KVStore::Open(path, options));
  CheckedReader reader(*store, contents);
  for (std::uint64_t key = 0; key < plan.keys; ++key) FREYJA_RETURN_IF_ERROR(reader.Get(key));
  FREYJA_RETURN_IF_ERROR(store->Close());
  return reader.answers();
}

// --- The measured seconds -------------------------------------------------------------

WriteFigures WritesBetween(const Stats& begin, const Stats& half, const Stats& end,
                           std::optional<std::uint64_t> device_begin) {
  const auto records = [](const Stats& from, const Stats& to) {
    Stats change;
    change.log_bytes_written = to.log_bytes_written - from.log_bytes_written;
    change.compaction_bytes_written = to.compaction_bytes_written - from.compaction_bytes_written;
    return change.write_amplification();
  };
  WriteFigures figures{.records = records(begin, end),
                       .first_half = records(begin, half),
                       .second_half = records(half, end),
                       .device = std::nullopt};
  const std::optional<std::uint64_t> device_end = BytesWrittenToStorage();
  const std::uint64_t log = end.log_bytes_written - begin.log_bytes_written;
  if (device_begin && device_end && log != 0) {
    figures.device = static_cast<double>(*device_end - *device_begin) / static_cast<double>(log);
  }
  return figures;
}

// Whether a job is at work, as far as its events have arrived: some 100 us late.
class JobWatch {
 public:
  explicit JobWatch(HotSwapCompactor& compactor) : compactor_(compactor) {
    listener_ = compactor_.AddListener([this](const CompactionEvent& event) {
      if (event.type == CompactionEventType::kStarted) at_work_.store(true);
      if (event.type == CompactionEventType::kCompleted ||
          event.type == CompactionEventType::kFailed ||
          event.type == CompactionEventType::kCancelled) {
        at_work_.store(false);
      }
    });
  }
  ~JobWatch() { compactor_.RemoveListener(listener_); }
  JobWatch(const JobWatch&) = delete;
  JobWatch& operator=(const JobWatch&) = delete;

  const std::atomic<bool>& at_work() const { return at_work_; }

 private:
  HotSwapCompactor& compactor_;
  std::atomic<bool> at_work_ = false;
  std::uint64_t listener_ = 0;
};

// Pauses and resumes by the timeline, samples the space, says how far it is.
class Conductor {
 public:
  Conductor(const SchedulerPlan& plan, KVStore& store, HotSwapCompactor& compactor,
            const Timeline& timeline, SteadyClock::time_point end)
      : plan_(plan),
        store_(store),
        compactor_(compactor),
        timeline_(timeline),
        end_(end),
        space_(plan.ceiling) {}

  // Until the end, or `stop` is set, or the load has stopped.
  void Run(const SustainedLoad& load, const std::atomic<bool>& stop,
           const ProgressListener& on_progress) {
    for (;;) {
      const auto now = SteadyClock::now();
      if (now >= end_ || stop.load() || load.stopped()) break;
      FollowTimeline(now);
      if (now >= next_sample_) Sample(now, on_progress);
      const auto next_slice = timeline_.BeginOf(timeline_.IndexAt(now) + 1);
      SleepUntil(std::min({end_, next_slice, next_sample_}), &stop);
    }
    compactor_.Resume();
  }

  SpaceFigures space() const { return space_.figures(); }
  const Stats& half() const { return half_; }

 private:
  void FollowTimeline(SteadyClock::time_point now) {
    const bool pause = Timeline::IsPaused(timeline_.IndexAt(now));
    if (pause == paused_) return;
    paused_ = pause;
    pause ? compactor_.Pause() : compactor_.Resume();
  }

  void Sample(SteadyClock::time_point now, const ProgressListener& on_progress) {
    next_sample_ = now + kSamplePeriod;
    const Stats stats = store_.GetStats();
    space_.Take(stats);
    if (now - timeline_.start < (end_ - timeline_.start) / 2) half_ = stats;
    if (now < next_progress_) return;
    next_progress_ = now + std::chrono::seconds(5);
    on_progress(fmt::format("{:.0f} of {:.0f} s, space amplification {:.3f}, {} jobs; {}",
                            std::chrono::duration<double>(now - timeline_.start).count(),
                            plan_.seconds, stats.space_amplification(), stats.compactions_completed,
                            stats.scheduler.decision));
  }

  const SchedulerPlan& plan_;
  KVStore& store_;
  HotSwapCompactor& compactor_;
  const Timeline timeline_;
  const SteadyClock::time_point end_;
  SpaceSampler space_;
  Stats half_;
  bool paused_ = false;
  SteadyClock::time_point next_sample_;
  SteadyClock::time_point next_progress_;
};

SteadyClock::duration Seconds(double seconds) {
  return std::chrono::duration_cast<SteadyClock::duration>(std::chrono::duration<double>(seconds));
}

Result<SchedulerResult> Measure(const SchedulerPlan& plan, KVStore& store, Contents& contents,
                                SustainedLoad::Draws draws, const std::atomic<bool>& stop,
                                const ProgressListener& on_progress) {
  HotSwapCompactor compactor(store);
  const JobWatch jobs(compactor);
  SchedulerResult result;
  result.slice_seconds = SliceSeconds(plan);
  const Stats before = store.GetStats();
  const std::optional<std::uint64_t> device_before = BytesWrittenToStorage();
  const double cpu_before = CpuSeconds();
  const Timeline timeline{.start = SteadyClock::now() + std::chrono::milliseconds(10),
                          .slice = Seconds(result.slice_seconds)};
  const auto end = timeline.start + Seconds(plan.seconds);
  SleepUntil(timeline.start, nullptr);
  Conductor conductor(plan, store, compactor, timeline, end);
  SustainedLoad load(plan, store, contents, std::move(draws), timeline, end, jobs.at_work());
  conductor.Run(load, stop, on_progress);
  if (SteadyClock::now() < end) load.Stop();
  FREYJA_RETURN_IF_ERROR(load.Join());

  const auto ended = std::min(end, SteadyClock::now());
  result.seconds = std::chrono::duration<double>(ended - timeline.start).count();
  result.interrupted = stop.load();
  const Stats after = store.GetStats();
  result.reads = load.reads();
  result.writes = load.writes();
  result.answers = load.answers();
  result.space = conductor.space();
  result.write_amplification = WritesBetween(before, conductor.half(), after, device_before);
  if (result.interrupted) {  // half of the time that was meant
    result.write_amplification.first_half.reset();
    result.write_amplification.second_half.reset();
  }
  result.job_share = load.job_share();
  result.swaps = after.compactions_completed - before.compactions_completed;
  result.failed_jobs = after.compactions_failed - before.compactions_failed;
  result.delayed_writes = after.scheduler.delayed_writes - before.scheduler.delayed_writes;
  result.longest_publish_us = after.publish_us_longest;
  result.publish_p9999 = after.publish_p9999;
  result.segments = after.segments;
  result.background_error = after.background_error;
  result.cpu_share = (CpuSeconds() - cpu_before) / result.seconds /
                     std::max(1U, std::thread::hardware_concurrency());
  return result;
}

}  // namespace

double SliceSeconds(const SchedulerPlan& plan) {
  if (plan.slice_seconds > 0) return plan.slice_seconds;
  constexpr double kMostDead = 0.01;
  const double dead = kMostDead * plan.keys / plan.writes_per_second;
  return std::clamp(std::min(plan.seconds / (2 * Timeline::kCycle), dead), 0.1, 2.0);
}

std::uint64_t EstimatedDiskBytes(const SchedulerPlan& plan) {
  // A record's header, its hint, rounding; one half above the ceiling while a step runs or the
  // warm-up outruns it; what is allocated ahead.
  const double record = static_cast<double>(kKeyBytes + plan.value_bytes + 80);
  const double all = record * plan.keys * plan.ceiling * 1.5;
  return static_cast<std::uint64_t>(all) + 8 * plan.segment_bytes;
}

Result<SchedulerResult> RunSchedulerBenchmark(const SchedulerPlan& plan,
                                              const std::atomic<bool>& stop,
                                              const ProgressListener& on_progress) {
  FREYJA_ASSIGN_OR_RETURN(SustainedLoad::Draws draws, SustainedLoad::MakeDraws(plan));
  FREYJA_ASSIGN_OR_RETURN(const ScratchDirectory scratch, ScratchDirectory::Make(plan.directory));
  const std::filesystem::path path = scratch.path() / "store";
  Contents contents(plan);
  FREYJA_ASSIGN_OR_RETURN(std::unique_ptr<KVStore> store, KVStore::Open(path, StoreOptions(plan)));
  FREYJA_RETURN_IF_ERROR(FillAndWarmUp(plan, *store, contents, stop, on_progress));
  on_progress("measuring");
  FREYJA_ASSIGN_OR_RETURN(SchedulerResult result,
                          Measure(plan, *store, contents, std::move(draws), stop, on_progress));
  FREYJA_RETURN_IF_ERROR(store->Close());
  store.reset();  // which unlocks the directory
  on_progress("opening again, to read every key");
  FREYJA_ASSIGN_OR_RETURN(result.reopened, CheckReopened(plan, path, contents));
  return result;
}

}  // namespace freyja::bench
