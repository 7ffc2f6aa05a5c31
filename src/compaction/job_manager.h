// Runs the compactions of one store, one after another, on a thread of their own.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "base/mutex.h"
#include "compaction/events.h"
#include "compaction/expiry.h"
#include "compaction/history.h"
#include "compaction/job_state.h"
#include "compaction/survey.h"
#include "engine/store.h"

namespace freyja::compaction {

// Thread safety: all members may be called from any thread.
class JobManager {
 public:
  JobManager(engine::Store& store, EventDispatcher& events);
  ~JobManager() { Shutdown(); }
  JobManager(const JobManager&) = delete;
  JobManager& operator=(const JobManager&) = delete;

  // Checks the config against the store and queues a job.
  Result<std::shared_ptr<JobState>> Submit(const HotSwapConfig& config) FREYJA_EXCLUDES(mutex_);
  // Queues the undo of a job. kNotFound: nothing of it is in quarantine; kAborted: too late.
  Result<std::shared_ptr<JobState>> SubmitUndo(std::uint64_t job_id) FREYJA_EXCLUDES(mutex_);
  // What a job with this config would do now (dry_run.cc).
  Result<CompactionPlan> DryRun(const HotSwapConfig& config);
  // Cancels all jobs and waits for the running one.
  void Shutdown() FREYJA_EXCLUDES(mutex_);

  // Of all jobs; to be slowed down, paused and resumed.
  Throttle& throttle() { return *throttle_; }
  const ExpiryClock& expiry() const { return expiry_; }
  const History& history() const { return history_; }
  // Whether a job runs or is queued.
  bool busy() const FREYJA_EXCLUDES(mutex_) {
    base::MutexLock lock(mutex_);
    return running_ != nullptr || !queue_.empty();
  }
  // `on_idle` is called whenever a job has ended and none waits, with a lock held that busy(),
  // Submit() and their like need, and not any more once another, or none, was set.
  void SetOnIdle(std::function<void()> on_idle) FREYJA_EXCLUDES(mutex_) {
    base::MutexLock lock(mutex_);
    on_idle_ = std::move(on_idle);
  }
  // That one first, then those that wait, in order.
  std::vector<std::shared_ptr<JobState>> Unfinished() const FREYJA_EXCLUDES(mutex_);

 private:
  Status CheckConfig(const HotSwapConfig& config) const;
  Result<std::shared_ptr<JobState>> Queue(const HotSwapConfig& config, std::uint64_t undoes)
      FREYJA_EXCLUDES(mutex_);
  Status CheckSegments(const std::vector<std::uint64_t>& ids) const;
  std::string WhyNot(const SegmentInfo& segment, const Survey& survey,
                     const PlanScope& scope) const;
  std::string WhyRetiredStays(const SegmentInfo& segment) const;
  std::string WhyQuarantined(std::uint64_t id) const;
  std::string WhyUnavailable(std::uint64_t id) const;
  std::string WhyTombstonesStay(std::uint64_t id, const Plan& plan) const;
  // What jobs have managed so far, or the limit; 0: not known.
  std::uint64_t BytesPerSecond() const;
  void Run() FREYJA_EXCLUDES(mutex_);
  void SkipUsedIds() FREYJA_REQUIRES(mutex_);
  void Remember(const JobState& job, const Result<CompactionReport>& result);

  engine::Store& store_;
  EventDispatcher& events_;
  const ExpiryClock expiry_;
  History history_;
  const std::shared_ptr<Throttle> throttle_ = std::make_shared<Throttle>();  // jobs may outlive us

  mutable base::Mutex mutex_;
  base::CondVar changed_;
  std::thread thread_ FREYJA_GUARDED_BY(mutex_);
  std::deque<std::shared_ptr<JobState>> queue_ FREYJA_GUARDED_BY(mutex_);
  std::shared_ptr<JobState> running_ FREYJA_GUARDED_BY(mutex_);
  std::function<void()> on_idle_ FREYJA_GUARDED_BY(mutex_);
  std::uint64_t next_id_ FREYJA_GUARDED_BY(mutex_) = 1;
  bool stopped_ FREYJA_GUARDED_BY(mutex_) = false;
};

}  // namespace freyja::compaction
