#include "compaction/job_manager.h"

#include <algorithm>
#include <exception>
#include <set>
#include <system_error>
#include <utility>

#include "base/status_macros.h"
#include "compaction/steps.h"
#include "compaction/undo.h"

namespace freyja::compaction {

JobManager::JobManager(engine::Store& store, EventDispatcher& events)
    : store_(store), events_(events), expiry_(store.clock()), history_(store.directory()) {}

Status JobManager::CheckSegments(const std::vector<std::uint64_t>& ids) const {
  if (ids.empty()) return Status::Ok();
  std::set<std::uint64_t> rest(ids.begin(), ids.end());
  store_.segments().ForEach([&](const engine::Segment& segment) {
    if (segment.state() == SegmentState::kSealed) rest.erase(segment.id());
  });
  if (rest.empty()) return Status::Ok();
  return Status(StatusCode::kInvalidArgument,
                "there is no sealed segment " + std::to_string(*rest.begin()));
}

Status JobManager::CheckConfig(const HotSwapConfig& config) const {
  FREYJA_RETURN_IF_ERROR(store_.CheckWritable());
  if (!(config.min_space_saving >= 0.0 && config.min_space_saving <= 1.0)) {
    return Status(StatusCode::kInvalidArgument, "min_space_saving is " +
                                                    std::to_string(config.min_space_saving) +
                                                    "; it must be from 0 to 1");
  }
  if (config.compaction_timeout.count() < 0) {
    return Status(StatusCode::kInvalidArgument, "compaction_timeout is negative");
  }
  FREYJA_RETURN_IF_ERROR(CheckSegments(config.segments));
  if (config.temp_dir.empty()) return Status::Ok();
  io::FileSystem& fs = store_.directory().file_system();
  FREYJA_ASSIGN_OR_RETURN(const bool exists, fs.Exists(config.temp_dir));
  if (!exists) {
    return Status(StatusCode::kInvalidArgument,
                  "temp_dir " + config.temp_dir.string() + " does not exist");
  }
  // Stray outputs are removed from it, so it must not be where data files count: this store's
  // directory under any name, or a copy of the store.
  FREYJA_ASSIGN_OR_RETURN(const bool is_store, fs.Exists(config.temp_dir / format::kManifestName));
  if (is_store) {
    return Status(StatusCode::kInvalidArgument,
                  "temp_dir " + config.temp_dir.string() + " is the directory of a store");
  }
  FREYJA_ASSIGN_OR_RETURN(const bool same,
                          fs.SameFileSystem(config.temp_dir, store_.directory().path()));
  if (!same) {
    return Status(StatusCode::kInvalidArgument,
                  "temp_dir " + config.temp_dir.string() + " is on another file system than " +
                      store_.directory().path().string() + "; outputs are moved by renaming");
  }
  return Status::Ok();
}

Result<std::shared_ptr<JobState>> JobManager::Submit(const HotSwapConfig& config) {
  FREYJA_RETURN_IF_ERROR(CheckConfig(config));
  return Queue(config, 0);
}

Result<std::shared_ptr<JobState>> JobManager::SubmitUndo(std::uint64_t job_id) {
  FREYJA_RETURN_IF_ERROR(store_.CheckWritable());
  const auto job = FindUndoable(store_.manifest().Current(), job_id);
  if (!job) return std::unexpected(job.error());
  return Queue({.reason = UndoReason(job_id)}, job_id);
}

Result<std::shared_ptr<JobState>> JobManager::Queue(const HotSwapConfig& config,
                                                    std::uint64_t undoes) {
  base::MutexLock lock(mutex_);
  if (stopped_) return std::unexpected(Status(StatusCode::kClosed, "the store was closed"));
  if (!thread_.joinable()) {
    SkipUsedIds();
    try {
      thread_ = std::thread([this] { Run(); });
    } catch (const std::system_error&) {
      return std::unexpected(Status(StatusCode::kOutOfMemory, "no thread for the compaction"));
    }
  }
  auto job = std::make_shared<JobState>(next_id_++, config, throttle_, undoes);
  queue_.push_back(job);
  changed_.NotifyOne();
  return job;
}

std::vector<std::shared_ptr<JobState>> JobManager::Unfinished() const {
  base::MutexLock lock(mutex_);
  std::vector<std::shared_ptr<JobState>> jobs;
  if (running_) jobs.push_back(running_);
  jobs.insert(jobs.end(), queue_.begin(), queue_.end());
  return jobs;
}

// Jobs are undone, and remembered, by their ids, also after a reopen.
void JobManager::SkipUsedIds() {
  for (const format::QuarantinedJob& job : store_.quarantine().Jobs()) {
    next_id_ = std::max(next_id_, job.id + 1);
  }
  const auto remembered = history_.Read();
  if (!remembered) return store_.health().Report(remembered.error());
  for (const CompactionRecord& job : *remembered) next_id_ = std::max(next_id_, job.job_id + 1);
}

void JobManager::Shutdown() {
  std::thread thread;
  {
    base::MutexLock lock(mutex_);
    stopped_ = true;
    for (const auto& job : queue_) job->Cancel();
    if (running_) running_->Cancel();
    changed_.NotifyAll();
    thread = std::move(thread_);
  }
  if (thread.joinable()) thread.join();
}

void JobManager::Run() {
  for (;;) {
    std::shared_ptr<JobState> job;
    {
      base::MutexLock lock(mutex_);
      const bool ended = std::exchange(running_, nullptr) != nullptr;
      if (ended && queue_.empty() && on_idle_) on_idle_();
      while (queue_.empty() && !stopped_) changed_.Wait(mutex_);
      if (queue_.empty()) return;
      job = std::move(queue_.front());
      queue_.pop_front();
      running_ = job;
    }
    try {
      Result<CompactionReport> result = job->undoes() == 0
                                            ? RunInSteps(store_, expiry_, events_, *job)
                                            : UndoJob(store_, events_, *job).Run();
      Remember(*job, result);
      job->Finish(std::move(result));
    } catch (const std::exception&) {
      job->Finish(std::unexpected(Status(StatusCode::kOutOfMemory, "no memory")));
    }
  }
}

// Only for people to read: what goes wrong here is no failure of the job.
void JobManager::Remember(const JobState& job, const Result<CompactionReport>& result) try {
  if (!store_.options().compaction_history || (result && !result->ran)) return;
  CompactionRecord record;
  record.job_id = job.id();
  record.ended_at_ms = store_.clock().WallMs();
  if (result) {
    record.outcome = job.undoes() != 0 ? "undone" : result->stopped.ok() ? "completed" : "stopped";
    record.reason = result->stopped.ok() ? result->reason : result->stopped.ToString();
    record.steps = result->steps;
    record.input_files = result->input_files.size();
    record.output_files = result->output_files.size();
    record.bytes_before = result->bytes_before;
    record.bytes_after = result->bytes_after;
    record.bytes_copied = result->counters.bytes_copied;
    record.duration = result->duration;
  } else {
    record.outcome = WasStopped(result.error()) ? "cancelled" : "failed";
    record.reason = result.error().ToString();
  }
  const Status remembered = history_.Append(record);
  if (!remembered.ok()) store_.health().Report(remembered);
} catch (const std::bad_alloc&) {
  return;
}

}  // namespace freyja::compaction
