// Decides, while a store is open, when its compactions run, and how fast they go.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <thread>

#include "base/mutex.h"
#include "compaction/events.h"
#include "compaction/job_manager.h"
#include "compaction/policy.h"
#include "engine/latency.h"
#include "engine/store.h"
#include "freyja/scheduler_options.h"
#include "freyja/stats.h"

namespace freyja::compaction {

// Looks at the store every interval, when a job has ended, and ten times a second while one runs:
// whoever started it, its rate follows the limits. Below a ceiling it looks as often whenever the
// log has rolled or, close to the ceiling, has grown at all. Its own jobs are short, so that
// each look decides about a few segments only. What to do is decided in policy.h; which
// segments, by the planner.
//
// Thread safety: all members may be called from any thread.
class Scheduler {
 public:
  Scheduler(engine::Store& store, JobManager& jobs, EventDispatcher& events,
            engine::LatencySampler& latencies, SchedulerOptions options);
  ~Scheduler();
  Scheduler(const Scheduler&) = delete;
  Scheduler& operator=(const Scheduler&) = delete;

  // Without it, limits and pauses still count for jobs that others start. kOutOfMemory: no thread.
  Status Start() FREYJA_EXCLUDES(mutex_);
  void Shutdown() FREYJA_EXCLUDES(mutex_);

  // Looks now, without waiting for the interval to pass.
  void Wake() FREYJA_EXCLUDES(mutex_);
  // A pause stops the job that runs, wherever it is, and starts no other.
  void SetPaused(bool paused) FREYJA_EXCLUDES(mutex_);
  Status SetLimits(const CompactionLimits& limits) FREYJA_EXCLUDES(mutex_);
  CompactionLimits limits() const FREYJA_EXCLUDES(mutex_);

  // To be called before every write.
  void DelayWriter() {
    const std::uint32_t delay = write_delay_us_.load(std::memory_order_relaxed);  // a hint
    if (delay != 0) Delay(delay);
  }

  SchedulerStats stats() const FREYJA_EXCLUDES(mutex_);

 private:
  using Clock = std::chrono::steady_clock;

  // What a job was to gain from, and from what. Without a change it need not be tried again.
  struct Attempt {
    double min_space_saving = 0;
    bool seal_active = false;
    std::uint64_t appended = 0;
    std::uint64_t manifest_generation = 0;
  };

  void Run() FREYJA_EXCLUDES(mutex_);
  std::chrono::milliseconds NapTime() const;
  bool IsDue() const;
  void SetDue();
  void MindReaders(const Sight& sight);
  void Look();
  void Act(const Sight& sight);
  Sight See();
  void Steer(const Sight& sight, bool compacting);
  void MakeRoom();
  std::optional<std::chrono::nanoseconds> ForegroundP99(bool compacting);
  void TellPressure(Pressure pressure, const Sight& sight);
  void TellUnmet();
  void TellRate(std::uint64_t rate);
  void TakeOutcome();
  void Start(const Decision& decision);
  Attempt AttemptOf(const Decision& decision);
  void NothingToGain(const JobState& job, const std::string& reason);
  void HoldOff(std::chrono::milliseconds time, const std::string& why);
  std::vector<std::uint64_t> ExpiredSegments() const;
  void Delay(std::uint32_t microseconds);
  void Tell(CompactionEventType type, std::string reason);
  void SetReason(std::string reason) FREYJA_EXCLUDES(mutex_);

  engine::Store& store_;
  JobManager& jobs_;
  EventDispatcher& events_;
  engine::LatencySampler& latencies_;
  const SchedulerOptions options_;

  // Of the scheduler's thread alone.
  std::shared_ptr<JobState> job_;
  std::set<std::uint64_t> job_expired_;   // segments that job_ takes because they have expired
  std::set<std::uint64_t> vain_expired_;  // those that gave nothing back to earlier ones
  RateController controller_;
  GrowthRate writes_;
  Backoff failures_;
  Backoff idling_;
  Clock::time_point not_before_{};
  Clock::time_point due_{};         // the next look, whatever happens
  bool watches_ceiling_ = true;     // there is one, or nobody has looked yet
  bool is_close_ = false;           // to the ceiling
  bool waits_for_readers_ = false;  // as the last look did
  std::uint64_t seen_rolls_ = 0;    // of the log, at the last look
  std::uint64_t seen_appended_ = 0;
  Attempt attempt_;              // job_'s
  std::optional<Attempt> vain_;  // the last one, if nothing was to gain
  engine::LatencyCounts seen_latencies_;
  Clock::time_point latencies_seen_at_{};
  Clock::time_point compacted_at_{};  // a job was seen
  Pressure pressure_ = Pressure::kNone;
  Pressure told_pressure_ = Pressure::kNone;  // until the ceiling is far again
  bool told_unmet_ = false;

  std::atomic<std::uint32_t> write_delay_us_{0};
  std::atomic<std::uint64_t> write_delays_{0};
  std::atomic<std::uint64_t> write_delay_total_us_{0};

  mutable base::Mutex mutex_;
  base::CondVar changed_;
  std::thread thread_ FREYJA_GUARDED_BY(mutex_);
  bool stopped_ FREYJA_GUARDED_BY(mutex_) = false;
  bool woken_ FREYJA_GUARDED_BY(mutex_) = false;
  CompactionLimits limits_ FREYJA_GUARDED_BY(mutex_);
  std::string reason_ FREYJA_GUARDED_BY(mutex_) = "not looked yet";
  std::optional<Clock::time_point> held_off_until_ FREYJA_GUARDED_BY(mutex_);
};

}  // namespace freyja::compaction
