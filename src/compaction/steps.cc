#include "compaction/steps.h"

#include <algorithm>
#include <chrono>
#include <utility>

#include "base/status_macros.h"
#include "compaction/job.h"

namespace freyja::compaction {

namespace {

void Add(const CompactionCounters& step, CompactionCounters& sum) {
  sum.records_read += step.records_read;
  sum.bytes_read += step.bytes_read;
  sum.records_copied += step.records_copied;
  sum.bytes_copied += step.bytes_copied;
  sum.records_dropped += step.records_dropped;
  sum.bytes_dropped += step.bytes_dropped;
  sum.records_expired += step.records_expired;
  sum.tombstones_kept += step.tombstones_kept;
}

void Append(std::vector<std::string>& all, std::vector<std::string>& more) {
  std::ranges::move(more, std::back_inserter(all));
}

void Add(CompactionReport step, CompactionReport& sum) {
  if (sum.steps == 0) sum.reason = std::move(step.reason);
  ++sum.steps;
  sum.ran = true;
  Append(sum.input_files, step.input_files);
  Append(sum.output_files, step.output_files);
  Add(step.counters, sum.counters);
  sum.bytes_before += step.bytes_before;
  sum.bytes_after += step.bytes_after;
  sum.space_saved += step.space_saved;
  sum.publish_duration += step.publish_duration;
  sum.longest_publish_pause = std::max(sum.longest_publish_pause, step.longest_publish_pause);
}

// The smaller of two bounds of which 0 means none.
std::uint64_t Tighter(std::uint64_t a, std::uint64_t b) {
  return a == 0 || b == 0 ? std::max(a, b) : std::min(a, b);
}

bool WasAskedFor(const Status& status) {
  return status.code() == StatusCode::kCancelled || status.code() == StatusCode::kTimedOut;
}

}  // namespace

Result<CompactionReport> RunInSteps(engine::Store& store, const ExpiryClock& expiry,
                                    EventDispatcher& events, JobState& state) {
  const HotSwapConfig& config = state.config();
  Step step = OnlyStep(config);
  step.is_last = config.step_bytes == 0;
  step.quarantine = store.options().quarantine.enabled();
  CompactionReport sum;
  sum.job_id = state.id();
  for (std::uint64_t used = 0;;) {
    const std::uint64_t rest = config.max_input_bytes - std::min(used, config.max_input_bytes);
    step.scope.max_input_bytes = Tighter(
        config.step_bytes, config.max_input_bytes == 0 ? 0 : std::max<std::uint64_t>(rest, 1));
    HotSwapJob hot_swap(store, expiry, events, state, step);
    Result<CompactionReport> report = hot_swap.Run();
    if (!report) {
      if (sum.steps == 0 || !WasAskedFor(report.error())) return report;
      sum.stopped = std::move(report).error();
      break;
    }
    if (!report->ran) {
      if (sum.steps == 0) return report;
      break;
    }
    used += report->counters.bytes_read;
    Add(*std::move(report), sum);
    if (step.is_last || (config.max_input_bytes != 0 && used >= config.max_input_bytes)) break;
    if (step.is_first) step.scope.highest_sequence = hot_swap.planned_at();
    step.is_first = false;
    step.quarantine = hot_swap.quarantined();
    step.scope.never.insert(hot_swap.output_ids().begin(), hot_swap.output_ids().end());
  }
  sum.duration = std::chrono::duration_cast<std::chrono::microseconds>(
      std::chrono::steady_clock::now() - step.job_start);
  return sum;
}

}  // namespace freyja::compaction
