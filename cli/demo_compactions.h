// Runs hot-swap compaction again and again under the demo's load.
#pragma once

#include <cstdint>
#include <mutex>
#include <optional>
#include <string>

#include "demo_context.h"
#include "freyja/compaction.h"

namespace freyja::cli {

struct CompactionTotals {
  std::uint64_t completed = 0;
  std::uint64_t rolled_back = 0;
  std::uint64_t records_copied = 0;
  std::uint64_t bytes_before = 0;
  std::uint64_t bytes_after = 0;
  std::int64_t bytes_reclaimed = 0;
  double longest_pause_us = 0;    // of a writer by a swap: one page lock's longest hold
  double longest_publish_us = 0;  // from a commit to its last published location
  double publish_us = 0;          // the same, all together
  double longest_job_us = 0;
  std::uint64_t without_gain = 0;  // jobs that found nothing worth doing
  std::string last_reason;         // what the last job says about its choice of segments
  std::string last_problem;        // why a job was rolled back
};

// Alternates windows in which compaction is held off with windows in which jobs run one
// after the other; the load is the same in both. `context.phase` says which it is.
class DemoCompactions {
 public:
  explicit DemoCompactions(DemoContext& context) : context_(context) {}

  void Run();          // on a thread of its own, until stop_writers
  void RunFinalJob();  // takes everything that can be taken, the active segment included
  CompactionTotals Totals() const;                // any thread
  std::optional<CompactionProgress> Now() const;  // of the running job; any thread

 private:
  void HoldOff();
  void RunWindow();
  // Whether the job did anything. An error other than a rollback ends the run.
  bool RunJob(HotSwapCompactor& compactor);
  bool Stopped() const { return context_.stop_writers.load() || context_.error.failed(); }

  DemoContext& context_;
  mutable std::mutex mutex_;
  CompactionTotals totals_;           // guarded by mutex_
  std::optional<CompactionJob> job_;  // guarded by mutex_
};

}  // namespace freyja::cli
