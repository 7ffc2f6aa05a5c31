// Hot-swap compaction: taking back the space of dead records while reads and
// writes go on. docs/hot_swap.md has the process, its guarantees and its limits.
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "freyja/scheduler_options.h"
#include "freyja/status.h"

namespace freyja {

class KVStore;
namespace compaction {
class JobState;
}  // namespace compaction

struct HotSwapConfig {
  // Where outputs are written before they are renamed into the store's
  // directory. Empty: in that directory. Must be on the same file system.
  std::filesystem::path temp_dir = {};
  // Share of a job's input bytes it must be expected to reclaim, 0 to 1. A segment
  // is taken if its own share reaches this. A job never runs without gain.
  double min_space_saving = 0.25;
  // Time limit of a job, after which the step in progress rolls back. 0: none.
  // A step past its commit point is finished, never undone.
  std::chrono::milliseconds compaction_timeout{0};
  // Roll first, so that the garbage of the active segment can be taken as well.
  bool seal_active = false;
  // Input bytes of one job at most, but at least one segment. 0: no bound.
  std::uint64_t max_input_bytes = 0;
  // Input bytes of one step of a job, but at least one segment. Each step is a hot swap that
  // commits by itself; what it reclaimed stays whatever happens to later ones. It bounds the
  // space that a job needs beside its inputs. 0: the whole job is one step.
  std::uint64_t step_bytes = std::uint64_t{256} << 20;
  // Ids (SegmentInfo::id) of the sealed segments that may be compacted. Empty: all.
  // Unknown ones, and ones that are not sealed, are refused with kInvalidArgument.
  std::vector<std::uint64_t> segments = {};
  // Also merge segments of less than a quarter of a full one where that makes them fewer, though
  // nothing in them may be dead.
  bool combine_small = false;
  // Why the job is wanted; stands in front of the reasons in events and reports.
  std::string reason = {};
};

enum class CompactionEventType : std::uint8_t {
  kStarted,
  kProgress,
  kCommitted,  // the manifest lists the outputs; from here the job only goes forward
  kPublished,  // every copied record is read from its new place
  kRetired,    // one victim's file was deleted; may come long after kCompleted, and with a
               // quarantine even after the store was reopened
  kCompleted,
  kUndone,      // an undo's end: what its job had replaced is back; `reason` names the job
  kFailed,      // ended by an error; followed by kRolledBack unless it had committed
  kCancelled,   // ended by Cancel, Close or the time limit; followed by kRolledBack
  kRolledBack,  // outputs removed; store, index and statistics are as before the job
  // Of the scheduler, with job_id 0 where no job is concerned:
  kPlanned,    // it has decided to compact; `reason` says why
  kThrottled,  // the rate of compactions changed by half or more; `reason` has the rate
  kEscalated,  // the space on disk comes near a ceiling, is above it, or can't be brought below
};
std::string_view CompactionEventTypeName(CompactionEventType type);

struct CompactionCounters {
  std::uint64_t records_read = 0;
  std::uint64_t bytes_read = 0;
  std::uint64_t records_copied = 0;  // tombstones kept included
  std::uint64_t bytes_copied = 0;
  std::uint64_t records_dropped = 0;
  std::uint64_t bytes_dropped = 0;
  std::uint64_t records_expired = 0;  // dropped or turned into tombstones by expiry
  std::uint64_t tombstones_kept = 0;
};

// A job reports every step that it makes from kStarted to its end.
struct CompactionEvent {
  CompactionEventType type = CompactionEventType::kStarted;
  std::uint64_t job_id = 0;  // unique among the jobs of an open store and those in quarantine
  std::string reason;        // why the job ran, or why it ended
  std::vector<std::string> input_files;
  std::vector<std::string> output_files;
  CompactionCounters counters;
  std::int64_t space_saved = 0;          // bytes; file bytes before less after
  std::chrono::microseconds duration{};  // since the job started
};

// Called on a thread of the listener's own, in order, never with a lock of the
// store held. Events it is too slow to take are dropped (kProgress first).
// What it throws is swallowed and counted.
using CompactionListener = std::function<void(const CompactionEvent&)>;

struct CompactionProgress {
  std::string_view phase;  // "queued", "planning", "copying", "verifying", ...
  std::uint64_t bytes_total = 0;
  std::uint64_t bytes_done = 0;
};

struct CompactionReport {
  std::uint64_t job_id = 0;
  bool ran = false;         // false: nothing was worth compacting
  std::uint64_t steps = 0;  // that committed
  // kCancelled or kTimedOut if it ended before all was done; the steps it made stay. Ok otherwise.
  Status stopped;
  std::string reason;  // why the segments were chosen, or why none was
  std::vector<std::string> input_files;
  std::vector<std::string> output_files;
  CompactionCounters counters;
  std::uint64_t bytes_before = 0;
  std::uint64_t bytes_after = 0;
  std::int64_t space_saved = 0;
  std::chrono::microseconds duration{};
  std::chrono::microseconds publish_duration{};       // commit to last location
  std::chrono::microseconds longest_publish_pause{};  // longest hold of one page lock
};

// Why a segment's dead bytes stay, or that they are about to go.
struct SegmentPlan {
  std::uint64_t id = 0;
  bool chosen = false;
  std::uint64_t record_bytes = 0;
  std::uint64_t dead_bytes = 0;
  std::string reason;  // why it is not chosen
};

struct CompactionPlan {
  std::vector<SegmentPlan> segments;  // every segment with dead bytes, or chosen, in order of ids
  std::uint64_t bytes_read = 0;
  std::uint64_t bytes_written = 0;    // at most; hints not counted
  std::uint64_t bytes_reclaimed = 0;  // at least
  std::uint64_t disk_bytes_needed = 0;
  std::string reason;
  // At the speed of the jobs since the store was opened, or at the rate limit; zero: not known.
  std::chrono::milliseconds estimated_time{0};
  // Bytes written for each byte reclaimed.
  double write_cost() const {
    return bytes_reclaimed == 0
               ? 0.0
               : static_cast<double>(bytes_written) / static_cast<double>(bytes_reclaimed);
  }
};

// A compaction of which the inputs are still there (Options::quarantine).
struct QuarantinedJob {
  std::uint64_t id = 0;
  std::vector<std::string> input_files;
  std::vector<std::string> output_files;
  std::uint64_t bytes = 0;          // of the input files
  std::uint64_t keep_until_ms = 0;  // since the Unix epoch; 0: no limit by time
  std::string why_not;              // why it can't be undone any more; empty: it can
};

// A job that has ended, as the store remembers it over its opens.
struct CompactionRecord {
  std::uint64_t job_id = 0;
  std::uint64_t ended_at_ms = 0;  // since the Unix epoch, by the wall clock
  std::string outcome;            // "completed", "stopped", "undone", "cancelled" or "failed"
  std::string reason;             // why it ran, or why it ended
  std::uint64_t steps = 0;        // that committed
  std::uint64_t input_files = 0;
  std::uint64_t output_files = 0;
  std::uint64_t bytes_before = 0;
  std::uint64_t bytes_after = 0;
  std::uint64_t bytes_copied = 0;
  std::chrono::microseconds duration{};
  friend bool operator==(const CompactionRecord&, const CompactionRecord&) = default;
};

// Handle of a running or finished job; copies refer to the same job. It may
// outlive the store. Thread-safe.
class CompactionJob {
 public:
  explicit CompactionJob(std::shared_ptr<compaction::JobState> state);

  std::uint64_t id() const;
  // Waits until the job has ended; any number of times, from any thread.
  // A job that was cancelled or ran out of time after its first step has a report, see
  // CompactionReport::stopped. Otherwise kCancelled, kTimedOut, kAborted and errors mean: the
  // step in progress was rolled back and changed nothing unless
  // the store turned read-only (KVStore::GetStats), when a reopen decides which files count;
  // and kOutOfMemory may say that there was no memory for the report alone: wait again.
  [[nodiscard]] Result<CompactionReport> Wait() const;
  // Empty if it has not ended within `timeout`.
  [[nodiscard]] std::optional<Result<CompactionReport>> WaitFor(
      std::chrono::milliseconds timeout) const;
  // Asks the job to end, rolling back the step in progress unless that has committed.
  void Cancel() const;
  [[nodiscard]] CompactionProgress Progress() const;

 private:
  std::shared_ptr<compaction::JobState> state_;
};

// Starts compactions of one store. Several compactors may serve one store; their
// jobs run one after another. Must not be used after the store is closed.
// Thread-safe.
class HotSwapCompactor {
 public:
  explicit HotSwapCompactor(KVStore& store, HotSwapConfig config = {});
  ~HotSwapCompactor();

  // Returns at once. kInvalidArgument: nonsensical config, or temp_dir on another
  // file system; kReadOnly; kClosed.
  [[nodiscard]] Result<CompactionJob> CompactInBackground();
  // The same and wait.
  [[nodiscard]] Result<CompactionReport> Compact();

  // Puts back what a job replaced, as long as it is in quarantine and all that the job wrote is
  // still as it wrote it; whatever was written since stays. Every old record is verified first.
  // Nobody ever misses a key, and a crash leaves it undone or not. Expired records that the
  // job had dropped come back to the files, and to readers only if the wall clock has gone back
  // behind their expiry when the store is opened again. kNotFound: nothing of the job is in
  // quarantine; kAborted: an output of it was compacted since; kCorruption: an old file is
  // damaged. On an error nothing has changed.
  [[nodiscard]] Result<CompactionJob> UndoInBackground(std::uint64_t job_id);
  [[nodiscard]] Result<CompactionReport> Undo(std::uint64_t job_id);
  // The jobs of which inputs are in quarantine, oldest first.
  [[nodiscard]] Result<std::vector<QuarantinedJob>> Quarantine() const;
  // Gives the job's inputs up for good. kNotFound: they are not in quarantine.
  [[nodiscard]] Status EndQuarantine(std::uint64_t job_id);

  // What Compact would do now, and for every other segment why it would be left alone. Changes
  // nothing; reads hints where tombstones matter.
  [[nodiscard]] Result<CompactionPlan> Plan() const;

  // Stops all compaction of the store, wherever it is, until Resume: jobs wait, the scheduler
  // starts none. Cancel and Close still end jobs. Not kept when the store is closed.
  void Pause();
  void Resume();
  // Takes effect at once, on jobs that run as well. kInvalidArgument: nonsensical limits.
  [[nodiscard]] Status SetLimits(const CompactionLimits& limits);
  [[nodiscard]] CompactionLimits limits() const;

  // The latest jobs that did something or failed, oldest first; about a thousand. Kept in the
  // store's directory; the last ones may be missing after a power cut.
  [[nodiscard]] Result<std::vector<CompactionRecord>> History() const;

  // Events of every job of the store, whoever started it. Remove returns when no
  // call to the listener is under way any more; called from within it, at once.
  std::uint64_t AddListener(CompactionListener listener);
  void RemoveListener(std::uint64_t listener_id);

  const HotSwapConfig& config() const { return config_; }

 private:
  KVStore& store_;
  HotSwapConfig config_;
};

}  // namespace freyja
