#include "compact_reports.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <utility>

#include "text.h"

namespace freyja::cli {
namespace {

double Seconds(std::chrono::microseconds duration) {
  return std::chrono::duration<double>(duration).count();
}

}  // namespace

nlohmann::ordered_json ReportJson(const CompactionReport& report) {
  const CompactionCounters& counters = report.counters;
  return {
      {"job", report.job_id},
      {"ran", report.ran},
      {"complete", report.stopped.ok()},
      {"steps", report.steps},
      {"reason", report.reason},
      {"input_files", report.input_files},
      {"output_files", report.output_files},
      {"records_read", counters.records_read},
      {"bytes_read", counters.bytes_read},
      {"records_copied", counters.records_copied},
      {"bytes_copied", counters.bytes_copied},
      {"records_dropped", counters.records_dropped},
      {"bytes_dropped", counters.bytes_dropped},
      {"records_expired", counters.records_expired},
      {"tombstones_kept", counters.tombstones_kept},
      {"bytes_before", report.bytes_before},
      {"bytes_after", report.bytes_after},
      {"space_saved", report.space_saved},
      {"duration_us", report.duration.count()},
      {"publish_duration_us", report.publish_duration.count()},
      {"longest_publish_pause_us", report.longest_publish_pause.count()},
  };
}

std::string ReportText(const CompactionReport& report) {
  if (!report.ran) return fmt::format("nothing to reclaim: {}\n", OneLine(report.reason));
  const CompactionCounters& counters = report.counters;
  std::string kept;
  if (counters.tombstones_kept > 0) {
    kept = fmt::format(", {} of them tombstones that are still needed",
                       HumanCount(counters.tombstones_kept));
  }
  return fmt::format(
      "reclaimed {} in {}: {} -> {}\n"
      "  {} became {}\n"
      "  {} read, {} dropped, {} copied{}\n",
      HumanSignedBytes(report.space_saved), HumanDuration(Seconds(report.duration)),
      HumanBytes(report.bytes_before), HumanBytes(report.bytes_after),
      Counted(report.input_files.size(), "segment"), report.output_files.size(),
      Counted(counters.records_read, "record"), HumanCount(counters.records_dropped),
      HumanCount(counters.records_copied), kept);
}

std::string UndoText(std::uint64_t job, const CompactionReport& report) {
  return fmt::format("undid job {}: {} {} back in the place of {}, in {}: {} -> {}\n", job,
                     Counted(report.output_files.size(), "segment"),
                     report.output_files.size() == 1 ? "is" : "are", report.input_files.size(),
                     HumanDuration(Seconds(report.duration)), HumanBytes(report.bytes_before),
                     HumanBytes(report.bytes_after));
}

nlohmann::ordered_json PlanJson(const CompactionPlan& plan) {
  nlohmann::ordered_json segments = nlohmann::ordered_json::array();
  for (const SegmentPlan& segment : plan.segments) {
    segments.push_back({{"id", segment.id},
                        {"chosen", segment.chosen},
                        {"record_bytes", segment.record_bytes},
                        {"dead_bytes", segment.dead_bytes},
                        {"reason", segment.reason}});
  }
  return {{"reason", plan.reason},
          {"bytes_read", plan.bytes_read},
          {"bytes_written", plan.bytes_written},
          {"bytes_reclaimed", plan.bytes_reclaimed},
          {"bytes_written_per_byte_reclaimed", plan.write_cost()},
          {"disk_bytes_needed", plan.disk_bytes_needed},
          {"estimated_ms", plan.estimated_time.count()},
          {"segments", std::move(segments)}};
}

std::string PlanText(const CompactionPlan& plan) {
  std::string out = fmt::format("{}\nwould read {}, write at most {}, reclaim at least {}\n",
                                OneLine(plan.reason), HumanBytes(plan.bytes_read),
                                HumanBytes(plan.bytes_written), HumanBytes(plan.bytes_reclaimed));
  if (!plan.segments.empty()) {
    out += fmt::format("\n{:>10}  {:>10}  {:>10}  {}\n", "SEGMENT", "SIZE", "DEAD", "PLAN");
  }
  for (const SegmentPlan& segment : plan.segments) {
    out += fmt::format("{:>10}  {:>10}  {:>10}  {}\n", segment.id, HumanBytes(segment.record_bytes),
                       HumanBytes(segment.dead_bytes),
                       segment.chosen ? "compact" : "stays: " + OneLine(segment.reason));
  }
  return out;
}

nlohmann::ordered_json QuarantineJson(std::span<const QuarantinedJob> jobs) {
  auto array = nlohmann::ordered_json::array();
  for (const QuarantinedJob& job : jobs) {
    array.push_back({{"job", job.id},
                     {"input_files", job.input_files},
                     {"output_files", job.output_files},
                     {"bytes", job.bytes},
                     {"keep_until_ms", job.keep_until_ms},
                     {"can_be_undone", job.why_not.empty()},
                     {"why_not", job.why_not}});
  }
  return array;
}

std::string KeptUntil(const QuarantinedJob& job) {
  return job.keep_until_ms == 0 ? "without a limit of time" : "until " + UtcTime(job.keep_until_ms);
}

std::string QuarantineText(std::span<const QuarantinedJob> jobs) {
  if (jobs.empty()) return "nothing is in quarantine: no compaction can be undone\n";
  std::string out =
      fmt::format("{:>10}  {:>8}  {:>10}  {}\n", "JOB", "SEGMENTS", "SIZE", "CAN BE UNDONE");
  for (const QuarantinedJob& job : jobs) {
    out += fmt::format("{:>10}  {:>8}  {:>10}  {}\n", job.id, job.input_files.size(),
                       HumanBytes(job.bytes),
                       job.why_not.empty() ? KeptUntil(job) : "no: " + OneLine(job.why_not));
  }
  return out;
}

nlohmann::ordered_json HistoryJson(std::span<const CompactionRecord> records) {
  auto array = nlohmann::ordered_json::array();
  for (const CompactionRecord& record : records) {
    array.push_back({{"job", record.job_id},
                     {"ended_at_ms", record.ended_at_ms},
                     {"outcome", record.outcome},
                     {"reason", record.reason},
                     {"steps", record.steps},
                     {"input_files", record.input_files},
                     {"output_files", record.output_files},
                     {"bytes_before", record.bytes_before},
                     {"bytes_after", record.bytes_after},
                     {"bytes_copied", record.bytes_copied},
                     {"duration_us", record.duration.count()}});
  }
  return array;
}

std::string HistoryText(std::span<const CompactionRecord> records) {
  if (records.empty()) return "no compaction is remembered\n";
  std::string out =
      fmt::format("{:<23}  {:>6}  {:<9}  {:>8}  {:>10}  {:>10}  {:>10}  {}\n", "ENDED", "JOB",
                  "OUTCOME", "SEGMENTS", "BEFORE", "AFTER", "TOOK", "REASON");
  for (const CompactionRecord& record : records) {
    out += fmt::format("{:<23}  {:>6}  {:<9}  {:>8}  {:>10}  {:>10}  {:>10}  {}\n",
                       UtcTime(record.ended_at_ms), record.job_id, OneLine(record.outcome),
                       fmt::format("{} -> {}", record.input_files, record.output_files),
                       HumanBytes(record.bytes_before), HumanBytes(record.bytes_after),
                       HumanDuration(Seconds(record.duration)), OneLine(record.reason));
  }
  return out;
}

}  // namespace freyja::cli
