#include "api/store_parts.h"

#include <chrono>
#include <string>

#include "base/status_macros.h"
#include "compaction/undo.h"

namespace freyja::api {
namespace {

using Kind = engine::LatencySampler::Kind;
static_assert(kLatencySampleInterval == engine::LatencySampler::kOneIn);

LatencySummary Summarise(const engine::LatencyCounts& counts) {
  LatencySummary summary;
  if (counts.samples == 0) return summary;
  summary.samples = counts.samples;
  summary.mean = std::chrono::nanoseconds(counts.sum_ns / counts.samples);
  summary.p50 = counts.Quantile(0.5);
  summary.p99 = counts.Quantile(0.99);
  summary.p999 = counts.Quantile(0.999);
  return summary;
}

}  // namespace

Stats StoreParts::GetStats() const {
  Stats stats = store->GetStats();
  stats.scheduler = scheduler.stats();
  stats.latency.reads = Summarise(latencies.Counts(Kind::kRead, false));
  stats.latency.writes = Summarise(latencies.Counts(Kind::kWrite, false));
  stats.latency.reads_compacting = Summarise(latencies.Counts(Kind::kRead, true));
  stats.latency.writes_compacting = Summarise(latencies.Counts(Kind::kWrite, true));
  return stats;
}

Result<CompactionPlan> StoreParts::Plan(const HotSwapConfig& config) {
  FREYJA_ASSIGN_OR_RETURN(CompactionPlan plan, jobs.DryRun(config));
  const SchedulerStats by_itself = scheduler.stats();
  if (by_itself.running && by_itself.backoff.count() > 0) {
    plan.reason += "; the scheduler (" + by_itself.decision + ") tries again in " +
                   std::to_string(by_itself.backoff.count()) + " ms";
  }
  return plan;
}

std::vector<QuarantinedJob> StoreParts::GetQuarantine() const {
  return compaction::DescribeQuarantine(store->manifest().Current());
}

Status StoreParts::EndQuarantine(std::uint64_t job_id) {
  FREYJA_RETURN_IF_ERROR(store->CheckWritable());
  return store->quarantine().GiveUp(job_id);
}

}  // namespace freyja::api
