// Runs the compactions of one store, one after another, on a thread of their own.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <thread>

#include "base/mutex.h"
#include "compaction/events.h"
#include "compaction/expiry.h"
#include "compaction/job_state.h"
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
  // Cancels all jobs and waits for the running one.
  void Shutdown() FREYJA_EXCLUDES(mutex_);

  EventDispatcher& events() { return events_; }

 private:
  Status CheckConfig(const HotSwapConfig& config) const;
  void Run() FREYJA_EXCLUDES(mutex_);

  engine::Store& store_;
  EventDispatcher& events_;
  const ExpiryClock expiry_;

  base::Mutex mutex_;
  base::CondVar changed_;
  std::thread thread_ FREYJA_GUARDED_BY(mutex_);
  std::deque<std::shared_ptr<JobState>> queue_ FREYJA_GUARDED_BY(mutex_);
  std::shared_ptr<JobState> running_ FREYJA_GUARDED_BY(mutex_);
  std::uint64_t next_id_ FREYJA_GUARDED_BY(mutex_) = 1;
  bool stopped_ FREYJA_GUARDED_BY(mutex_) = false;
};

}  // namespace freyja::compaction
