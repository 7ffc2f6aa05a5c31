#include "demo_report.h"

#include <fmt/format.h>

#include <iterator>
#include <nlohmann/json.hpp>

#include "text.h"

namespace freyja::cli {
namespace {

std::string SyncName(Sync sync) {
  switch (sync) {
    case Sync::kNone:
      return "none";
    case Sync::kAlways:
      return "always";
    default:
      return "interval";
  }
}

void AddLatencies(nlohmann::json& json, const std::string& what, const PhaseLatencies& latencies) {
  struct Named {
    const char* name;
    double fraction;
  };
  for (const Named& percentile : {Named{"p50", 0.5}, Named{"p99", 0.99}, Named{"p999", 0.999}}) {
    const std::string prefix = fmt::format("{}_{}_us_", what, percentile.name);
    json[prefix + "idle"] = latencies.of(DemoPhase::kIdle).PercentileUs(percentile.fraction);
    json[prefix + "compacting"] =
        latencies.of(DemoPhase::kCompacting).PercentileUs(percentile.fraction);
  }
  json[what + "s_measured_idle"] = latencies.of(DemoPhase::kIdle).count();
  json[what + "s_measured_compacting"] = latencies.of(DemoPhase::kCompacting).count();
}

std::string LatencyLine(std::string_view what, const LatencyHistogram& histogram) {
  if (histogram.count() == 0) return fmt::format("    {:<20}not measured\n", what);
  return fmt::format("    {:<20}{:>10.2f}{:>10.2f}{:>10.2f}{:>14}\n", what,
                     histogram.PercentileUs(0.5), histogram.PercentileUs(0.99),
                     histogram.PercentileUs(0.999), HumanCount(histogram.count()));
}

std::string PerSecond(std::uint64_t count, double seconds) {
  if (seconds <= 0) return "0/s";
  return HumanCount(static_cast<std::uint64_t>(static_cast<double>(count) / seconds)) + "/s";
}

std::string Headline(const DemoReport& report) {
  if (!report.passed()) return "FAILED";
  return report.interrupted ? "every check passed (ended early)" : "every check passed";
}

std::string CompactionText(const DemoReport& report) {
  const CompactionTotals& totals = report.compactions;
  std::string text =
      fmt::format("  compactions   {}, {} of files became {}: {} reclaimed\n",
                  HumanCount(totals.completed), HumanBytes(totals.bytes_before),
                  HumanBytes(totals.bytes_after), HumanSignedBytes(totals.bytes_reclaimed));
  text += fmt::format(
      "                {} records moved; longest job {}\n"
      "                longest swap {} (commit to last location), in which it "
      "held a lock {:.0f} us\n"
      "                at a time at most\n",
      HumanCount(totals.records_copied), HumanDuration(totals.longest_job_us / 1e6),
      HumanDuration(totals.longest_publish_us / 1e6), totals.longest_pause_us);
  if (totals.without_gain != 0) {
    text += fmt::format("                {} more found too little garbage\n",
                        HumanCount(totals.without_gain));
  }
  if (totals.rolled_back != 0) {
    text += fmt::format("                {} rolled back, the last one: {}\n", totals.rolled_back,
                        OneLine(totals.last_problem));
  }
  return text;
}

}  // namespace

nlohmann::json ReportAsJson(const DemoReport& report) {
  nlohmann::json json = {
      {"passed", report.passed()},
      {"source", report.source},
      {"seed", report.options.seed},
      {"readers", report.options.readers},
      {"writers", report.options.writers},
      {"segment_bytes", report.options.segment_bytes},
      {"sync", SyncName(report.options.sync)},
      {"write_mib_per_second", report.options.write_mib_per_second},
      {"seconds", report.seconds},
      {"load_seconds", report.load_seconds},
      {"interrupted", report.interrupted},
      {"records", report.records},
      {"record_bytes", report.record_bytes},
      {"records_skipped", report.records_skipped},
      {"reads", report.reads},
      {"reads_during_swap", report.reads_during_swap},
      {"missed", report.missed},
      {"stale", report.stale},
      {"corrupt", report.corrupt},
      {"unchecked", 0},
      {"writes", report.writes},
      {"deletes", report.deletes},
      {"rounds", report.rounds},
      {"iterations", report.iterations},
      {"compactions", report.compactions.completed},
      {"compactions_rolled_back", report.compactions.rolled_back},
      {"compactions_without_gain", report.compactions.without_gain},
      {"last_compaction_reason", report.compactions.last_reason},
      {"records_moved", report.compactions.records_copied},
      {"bytes_before", report.compactions.bytes_before},
      {"bytes_after", report.compactions.bytes_after},
      {"bytes_reclaimed", report.compactions.bytes_reclaimed},
      {"longest_publish_us", report.compactions.longest_pause_us},
      {"longest_swap_us", report.compactions.longest_publish_us},
      {"swaps_us", report.compactions.publish_us},
      {"longest_compaction_us", report.compactions.longest_job_us},
      {"space_amplification_highest", report.space_amplification_highest},
      {"space_amplification", report.space_amplification_final},
      {"write_amplification", report.write_amplification},
      {"background_error", report.background_error},
      {"reopen_matches_model", report.final_check.reopen_matches_model},
      {"check_ok", report.final_check.check_ok},
      {"keys_after_reopen", report.final_check.keys},
      {"reopen_ms", report.final_check.reopen_ms},
      {"problem", report.final_check.problem},
      {"wrong_answers", report.notes},
      {"kept_in", report.kept_in},
  };
  AddLatencies(json, "read", report.read_latencies);
  AddLatencies(json, "write", report.write_latencies);
  return json;
}

std::string ReportAsText(const DemoReport& report) {
  const double seconds = report.seconds;
  std::string text = fmt::format("\nfreyja demo: {}\n\n", Headline(report));
  const auto add = [&text](const std::string& line) { text += line; };
  add(fmt::format("  input         {} records, {}\n                from {}\n",
                  HumanCount(report.records), HumanBytes(report.record_bytes), report.source));
  if (report.records_skipped != 0) {
    add(fmt::format("                {} more left out: longer than this store takes\n",
                    HumanCount(report.records_skipped)));
  }
  add(fmt::format("  reads         {} in {} ({}), {} of them during swaps\n",
                  HumanCount(report.reads), HumanDuration(seconds),
                  PerSecond(report.reads, seconds), HumanCount(report.reads_during_swap)));
  add(fmt::format("  writes        {} puts and {} deletes in {} rounds ({})\n",
                  HumanCount(report.writes), HumanCount(report.deletes), report.rounds,
                  PerSecond(report.writes + report.deletes, seconds)));
  add(fmt::format("  checked       missed {}, stale {}, corrupt {}; {} walks over all keys\n",
                  report.missed, report.stale, report.corrupt, report.iterations));
  add(CompactionText(report));
  add(
      fmt::format("  space         {:.2f} times the live bytes at most, {:.2f} at the end; "
                  "write amplification {:.2f}\n",
                  report.space_amplification_highest, report.space_amplification_final,
                  report.write_amplification));
  add("  latency (us)               p50       p99     p99.9    operations\n");
  add(LatencyLine("read, idle", report.read_latencies.of(DemoPhase::kIdle)));
  add(LatencyLine("read, compacting", report.read_latencies.of(DemoPhase::kCompacting)));
  add(LatencyLine("write, idle", report.write_latencies.of(DemoPhase::kIdle)));
  add(LatencyLine("write, compacting", report.write_latencies.of(DemoPhase::kCompacting)));
  add(fmt::format(
      "  reopened      in {:.0f} ms: {} keys, {}; checksums {}\n", report.final_check.reopen_ms,
      HumanCount(report.final_check.keys),
      report.final_check.reopen_matches_model ? "all as acknowledged" : "NOT as acknowledged",
      report.final_check.check_ok ? "verified" : "NOT verified"));
  if (!report.background_error.empty()) {
    add(fmt::format("  background    {}\n", OneLine(report.background_error)));
  }
  if (!report.final_check.problem.empty()) {
    add(fmt::format("  problem       {}\n", OneLine(report.final_check.problem)));
  }
  for (const std::string& note : report.notes) add(fmt::format("  {}\n", OneLine(note)));
  if (!report.kept_in.empty()) add(fmt::format("  store kept    {}\n", report.kept_in));
  return text;
}

}  // namespace freyja::cli
