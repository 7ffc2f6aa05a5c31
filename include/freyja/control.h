// Control of a store that another process has open: statistics and compaction, through the
// Unix socket that Options::control_socket puts into the store's directory.
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "freyja/compaction.h"
#include "freyja/stats.h"
#include "freyja/status.h"

namespace freyja {

namespace control {
class Connection;
}  // namespace control

// A job that runs or waits for its turn.
struct CompactionJobStatus {
  std::uint64_t id = 0;
  std::string reason;  // why it is wanted, if whoever started it said so
  std::string phase;   // as CompactionProgress
  std::uint64_t bytes_total = 0;
  std::uint64_t bytes_done = 0;
};

struct CompactionStatus {
  bool paused = false;
  CompactionLimits limits;
  std::vector<CompactionJobStatus> jobs;  // the running one first
};

// A job in the other process, started by StoreControl::Compact or Undo. It goes on if this process
// ends. May outlive the StoreControl. Not thread-safe.
class RemoteCompactionJob {
 public:
  RemoteCompactionJob(std::shared_ptr<control::Connection> connection, std::uint64_t id);

  std::uint64_t id() const { return id_; }
  // As CompactionJob; besides, the errors of StoreControl, after which the job may still run.
  [[nodiscard]] std::optional<Result<CompactionReport>> WaitFor(std::chrono::milliseconds timeout);
  // Asks the job to end. That this process was not heard shows in WaitFor.
  void Cancel();
  // As of the latest WaitFor. The phase is valid until the next one.
  [[nodiscard]] CompactionProgress Progress() const;

 private:
  std::shared_ptr<control::Connection> connection_;
  std::uint64_t id_;
  CompactionJobStatus seen_;
};

// One connection to the process that has a store open. Each call asks and waits for the answer.
// Errors of every call, besides those of the same call in that process: kClosed (the store was
// closed, or its process ended), kTimedOut (no answer within the time given to Connect),
// kUnsupported (that process speaks another version), kIoError. After kTimedOut and kIoError the
// connection is closed, and so it is by the other process after 60 seconds without a request;
// the next call makes it anew. Thread-safe; calls are made one after another.
class StoreControl {
 public:
  // kNotFound: no process has the store open with Options::control_socket; kReadOnly or kIoError:
  // this user may not connect.
  [[nodiscard]] static Result<StoreControl> Connect(
      const std::filesystem::path& store,
      std::chrono::milliseconds answer_within = std::chrono::minutes(1));

  [[nodiscard]] Result<Stats> GetStats();
  [[nodiscard]] Result<std::vector<SegmentInfo>> GetSegments();

  // As of HotSwapCompactor. A temp_dir must be absolute, and UTF-8.
  [[nodiscard]] Result<CompactionPlan> Plan(const HotSwapConfig& config);
  [[nodiscard]] Result<RemoteCompactionJob> Compact(const HotSwapConfig& config);
  [[nodiscard]] Status Pause();
  [[nodiscard]] Status Resume();
  [[nodiscard]] Status SetLimits(const CompactionLimits& limits);

  [[nodiscard]] Result<RemoteCompactionJob> Undo(std::uint64_t job_id);
  [[nodiscard]] Result<std::vector<QuarantinedJob>> Quarantine();
  [[nodiscard]] Status EndQuarantine(std::uint64_t job_id);
  [[nodiscard]] Result<std::vector<CompactionRecord>> History();

  [[nodiscard]] Result<CompactionStatus> GetStatus();
  // Asks the job, or all jobs whoever started them, to end; how many were asked. kNotFound: there
  // is no unfinished job of that id.
  [[nodiscard]] Result<std::uint64_t> Cancel(std::optional<std::uint64_t> job_id = {});

 private:
  explicit StoreControl(std::shared_ptr<control::Connection> connection);
  std::shared_ptr<control::Connection> connection_;
};

}  // namespace freyja
