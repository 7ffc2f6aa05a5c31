#include <exception>
#include <new>
#include <utility>

#include "api/store_parts.h"
#include "base/status_macros.h"
#include "freyja/compaction.h"

namespace freyja {

namespace {

// The job has ended, but its report can't be copied.
Result<CompactionReport> NoMemoryForReport() {
  return std::unexpected(Status(StatusCode::kOutOfMemory, "out of memory"));
}

}  // namespace

std::string_view CompactionEventTypeName(CompactionEventType type) {
  switch (type) {
    case CompactionEventType::kStarted:
      return "started";
    case CompactionEventType::kProgress:
      return "progress";
    case CompactionEventType::kCommitted:
      return "committed";
    case CompactionEventType::kPublished:
      return "published";
    case CompactionEventType::kRetired:
      return "retired";
    case CompactionEventType::kCompleted:
      return "completed";
    case CompactionEventType::kUndone:
      return "undone";
    case CompactionEventType::kFailed:
      return "failed";
    case CompactionEventType::kCancelled:
      return "cancelled";
    case CompactionEventType::kRolledBack:
      return "rolled_back";
    case CompactionEventType::kPlanned:
      return "planned";
    case CompactionEventType::kThrottled:
      return "throttled";
    case CompactionEventType::kEscalated:
      return "escalated";
  }
  return "unknown";
}

CompactionJob::CompactionJob(std::shared_ptr<compaction::JobState> state)
    : state_(std::move(state)) {}
std::uint64_t CompactionJob::id() const { return state_->id(); }
Result<CompactionReport> CompactionJob::Wait() const {
  try {
    return state_->Wait();
  } catch (const std::bad_alloc&) {
    return NoMemoryForReport();
  }
}
std::optional<Result<CompactionReport>> CompactionJob::WaitFor(
    std::chrono::milliseconds timeout) const {
  try {
    return state_->WaitFor(timeout);
  } catch (const std::bad_alloc&) {
    return NoMemoryForReport();
  }
}
void CompactionJob::Cancel() const { state_->Cancel(); }
CompactionProgress CompactionJob::Progress() const { return state_->Progress(); }

HotSwapCompactor::HotSwapCompactor(KVStore& store, HotSwapConfig config)
    : store_(store), config_(std::move(config)) {}
HotSwapCompactor::~HotSwapCompactor() = default;

Result<CompactionJob> HotSwapCompactor::CompactInBackground() {
  try {
    FREYJA_ASSIGN_OR_RETURN(auto state, store_.parts().jobs.Submit(config_));
    store_.parts().scheduler.Wake();  // to steer it
    return CompactionJob(std::move(state));
  } catch (const std::exception& error) {
    return std::unexpected(Status(StatusCode::kOutOfMemory, error.what()));
  }
}

Result<CompactionReport> HotSwapCompactor::Compact() {
  FREYJA_ASSIGN_OR_RETURN(const CompactionJob job, CompactInBackground());
  return job.Wait();
}

Result<CompactionPlan> HotSwapCompactor::Plan() const {
  try {
    return store_.parts().Plan(config_);
  } catch (const std::exception& error) {
    return std::unexpected(Status(StatusCode::kOutOfMemory, error.what()));
  }
}

Result<CompactionJob> HotSwapCompactor::UndoInBackground(std::uint64_t job_id) {
  try {
    FREYJA_ASSIGN_OR_RETURN(auto state, store_.parts().jobs.SubmitUndo(job_id));
    return CompactionJob(std::move(state));
  } catch (const std::exception& error) {
    return std::unexpected(Status(StatusCode::kOutOfMemory, error.what()));
  }
}

Result<CompactionReport> HotSwapCompactor::Undo(std::uint64_t job_id) {
  FREYJA_ASSIGN_OR_RETURN(const CompactionJob job, UndoInBackground(job_id));
  return job.Wait();
}

Result<std::vector<QuarantinedJob>> HotSwapCompactor::Quarantine() const {
  try {
    return store_.parts().GetQuarantine();
  } catch (const std::exception& error) {
    return std::unexpected(Status(StatusCode::kOutOfMemory, error.what()));
  }
}

Status HotSwapCompactor::EndQuarantine(std::uint64_t job_id) {
  try {
    return store_.parts().EndQuarantine(job_id);
  } catch (const std::exception& error) {
    return Status(StatusCode::kOutOfMemory, error.what());
  }
}

Result<std::vector<CompactionRecord>> HotSwapCompactor::History() const {
  try {
    return store_.parts().jobs.history().Read();
  } catch (const std::exception& error) {
    return std::unexpected(Status(StatusCode::kOutOfMemory, error.what()));
  }
}

void HotSwapCompactor::Pause() { store_.parts().scheduler.SetPaused(true); }
void HotSwapCompactor::Resume() { store_.parts().scheduler.SetPaused(false); }
Status HotSwapCompactor::SetLimits(const CompactionLimits& limits) {
  return store_.parts().scheduler.SetLimits(limits);
}
CompactionLimits HotSwapCompactor::limits() const { return store_.parts().scheduler.limits(); }

std::uint64_t HotSwapCompactor::AddListener(CompactionListener listener) {
  return store_.parts().events.Add(std::move(listener));
}

void HotSwapCompactor::RemoveListener(std::uint64_t listener_id) {
  store_.parts().events.Remove(listener_id);
}

}  // namespace freyja
