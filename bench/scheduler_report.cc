#include "scheduler_report.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "report.h"

namespace freyja::bench {

namespace {

using nlohmann::json;

double Microseconds(std::chrono::duration<double, std::micro> duration) { return duration.count(); }

struct Quantile {
  const char* name;
  double percent;
};
constexpr std::array kQuantiles = {Quantile{"p50", 50}, Quantile{"p99", 99},
                                   Quantile{"p99.9", 99.9}, Quantile{"p99.99", 99.99}};

// A figure beside its goal, which is an upper bound.
struct Goal {
  const char* name;
  double value;
  double goal;
  bool met() const { return value <= goal; }
};

std::vector<Goal> GoalsOf(const SchedulerPlan& plan, const SchedulerResult& result) {
  std::vector<Goal> goals = {{"space_amplification", result.space.highest, plan.ceiling}};
  if (const auto goal = WriteGoal(plan.distribution)) {
    goals.push_back({"write_amplification", result.write_amplification.records, *goal});
  }
  const auto add_ratio = [&](const char* name, const std::vector<double>& ratios) {
    if (ratios.size() < kFewestPairs) return;
    goals.push_back({name, MedianIntervalOf(ratios).median, kLatencyGoal});
  };
  add_ratio("read_p999_ratio", result.reads.ratios.response_p999);
  add_ratio("write_p999_ratio", result.writes.ratios.response_p999);
  goals.push_back(
      {"wrong_answers", static_cast<double>(result.answers.wrong() + result.reopened.wrong()), 0});
  return goals;
}

// --- Table ----------------------------------------------------------------------------

void PrintHistogram(std::FILE* out, std::string_view what, const Histogram& nanoseconds) {
  fmt::print(out, "{:<32}", what);
  for (const Quantile& quantile : kQuantiles) {
    fmt::print(out, " {:>9.1f}",
               static_cast<double>(nanoseconds.Percentile(quantile.percent)) / 1e3);
  }
  fmt::print(out, " {:>9.0f} {:>10}\n", static_cast<double>(nanoseconds.max()) / 1e3,
             nanoseconds.count());
}

void PrintLatencies(std::FILE* out, std::string_view kind, const OperationFigures& figures) {
  PrintHistogram(out, fmt::format("{}, compaction on", kind), figures.on.response);
  PrintHistogram(out, fmt::format("{}, off", kind), figures.off.response);
  PrintHistogram(out, fmt::format("{}, beside a job", kind), figures.beside_job.response);
  PrintHistogram(out, fmt::format("{}, on, call alone", kind), figures.on.call);
  PrintHistogram(out, fmt::format("{}, off, call alone", kind), figures.off.call);
  PrintHistogram(out, fmt::format("{}, beside a job, call", kind), figures.beside_job.call);
}

void PrintRatio(std::FILE* out, std::string_view what, const std::vector<double>& ratios) {
  fmt::print(out, "{:<32}", what);
  if (ratios.empty()) {
    fmt::print(out, " no pair of slices was completed\n");
    return;
  }
  const MedianInterval median = MedianIntervalOf(ratios);
  fmt::print(out, " {:.3f}", median.median);
  if (median.interval) {
    fmt::print(out, " ({:.3f} - {:.3f})", (*median.interval)[0], (*median.interval)[1]);
  }
  fmt::print(out, ", {} pairs{}\n", ratios.size(),
             ratios.size() < kFewestPairs ? "; too few to judge by" : "");
}

void PrintAnswers(std::FILE* out, std::string_view what, const Answers& answers) {
  fmt::print(out, "{:<32} {} checked: {} missed, {} stale, {} corrupt\n", what, answers.checked,
             answers.missed, answers.stale, answers.corrupt);
  if (!answers.first_wrong.empty()) fmt::print(out, "  first: {}\n", answers.first_wrong);
}

void PrintSpaceAndWrites(std::FILE* out, const SchedulerPlan& plan, const SchedulerResult& result) {
  const SpaceFigures& space = result.space;
  fmt::print(out, "{:<32} {:.3f} at most, {:.3f} on average; ceiling {}, {:.1f} s above it\n",
             "space amplification", space.highest, space.mean, plan.ceiling,
             space.seconds_above_ceiling);
  fmt::print(out, "{:<32} {:.3f} at most, {:.3f} on average\n", "  of record bytes alone",
             space.highest_records, space.mean_records);
  const WriteFigures& writes = result.write_amplification;
  fmt::print(out, "{:<32} {:.3f}", "write amplification, records", writes.records);
  if (writes.first_half && writes.second_half) {
    fmt::print(out, "; first half {:.3f}, second half {:.3f}", *writes.first_half,
               *writes.second_half);
  }
  fmt::print(out, "\n");
  if (writes.device) {
    fmt::print(out, "{:<32} {:.3f}\n", "  all that went to the disk", *writes.device);
  }
  fmt::print(out, "{:<32} {} swaps, {} failed jobs; a job ran beside {:.1f} % of operations\n",
             "compaction", result.swaps, result.failed_jobs, result.job_share * 100);
  fmt::print(
      out,
      "{:<32} {} writes delayed by the ceiling; publication lock p99.99 {:.1f} us, longest {} us\n",
      "", result.delayed_writes, Microseconds(result.publish_p9999), result.longest_publish_us);
}

// --- JSON -----------------------------------------------------------------------------

json HistogramJson(const Histogram& histogram) {
  json object = {{"samples", histogram.count()}, {"max", histogram.max()}};
  for (const Quantile& quantile : kQuantiles) {
    object[quantile.name] = histogram.Percentile(quantile.percent);
  }
  return object;
}

json LatenciesJson(const Latencies& latencies) {
  return {{"response_ns", HistogramJson(latencies.response)},
          {"call_ns", HistogramJson(latencies.call)}};
}

json RatioJson(const std::vector<double>& ratios) {
  json object = {{"pairs", ratios.size()}, {"median", nullptr}, {"interval", nullptr}};
  if (ratios.empty()) return object;
  const MedianInterval median = MedianIntervalOf(ratios);
  object["median"] = median.median;
  if (median.interval) object["interval"] = *median.interval;
  return object;
}

json OperationsJson(const OperationFigures& figures, double offered_per_second) {
  return {{"operations", figures.operations},
          {"offered_per_second", offered_per_second},
          {"per_second", {{"on", figures.per_second_on}, {"off", figures.per_second_off}}},
          {"on", LatenciesJson(figures.on)},
          {"off", LatenciesJson(figures.off)},
          {"beside_job", LatenciesJson(figures.beside_job)},
          {"p999_ratio",
           {{"response", RatioJson(figures.ratios.response_p999)},
            {"call", RatioJson(figures.ratios.call_p999)}}}};
}

json AnswersJson(const Answers& answers) {
  return {{"checked", answers.checked},
          {"missed", answers.missed},
          {"stale", answers.stale},
          {"corrupt", answers.corrupt},
          {"overlapping_swap", answers.overlapping_swap},
          {"first_wrong", answers.first_wrong}};
}

json ConfigurationJson(const SchedulerPlan& plan, const SchedulerResult& result) {
  return {{"keys", plan.keys},
          {"value_bytes", plan.value_bytes},
          {"distribution", plan.distribution},
          {"segment_bytes", plan.segment_bytes},
          {"ceiling", plan.ceiling},
          {"dead_share", plan.dead_share ? json(*plan.dead_share) : json(nullptr)},
          {"seconds", plan.seconds},
          {"warm_up", plan.warm_up},
          {"readers", plan.readers},
          {"slice_seconds", result.slice_seconds},
          {"seed", plan.seed}};
}

json WritesJson(const WriteFigures& writes) {
  const auto or_null = [](const std::optional<double>& value) {
    return value ? json(*value) : json(nullptr);
  };
  return {{"records", writes.records},
          {"first_half", or_null(writes.first_half)},
          {"second_half", or_null(writes.second_half)},
          {"device", or_null(writes.device)}};
}

}  // namespace

std::optional<double> WriteGoal(std::string_view distribution) {
  if (distribution == "hot-cold") return 1.45;
  if (distribution == "zipf:0.99") return 1.65;
  if (distribution == "uniform") return 1.75;
  return std::nullopt;
}

void PrintSchedulerReport(std::FILE* out, const SchedulerPlan& plan,
                          const SchedulerResult& result) {
  fmt::print(out,
             "{} keys, values of {} bytes, {}; {:.0f} writes/s and {:.0f} reads/s of {} readers; "
             "{} segments of {} KiB\n{:.1f} s measured{}, {:.0f} % of all cores used\n\n",
             plan.keys, plan.value_bytes, plan.distribution, plan.writes_per_second,
             plan.reads_per_second, plan.readers, result.segments, plan.segment_bytes >> 10,
             result.seconds, result.interrupted ? " (interrupted)" : "", result.cpu_share * 100);
  PrintSpaceAndWrites(out, plan, result);
  fmt::print(out, "{:<32} writes {:.0f} on, {:.0f} off; reads {:.0f} on, {:.0f} off\n",
             "operations per second", result.writes.per_second_on, result.writes.per_second_off,
             result.reads.per_second_on, result.reads.per_second_off);
  PrintAnswers(out, "answers", result.answers);
  fmt::print(out, "{:<32} {}\n", "  overlapping a swap", result.answers.overlapping_swap);
  PrintAnswers(out, "answers after another open", result.reopened);

  fmt::print(out, "\n{:<32}", "microseconds from when it was due");
  for (const Quantile& quantile : kQuantiles) fmt::print(out, " {:>9}", quantile.name);
  fmt::print(out, " {:>9} {:>10}\n", "max", "samples");
  PrintLatencies(out, "reads", result.reads);
  PrintLatencies(out, "writes", result.writes);
  fmt::print(out, "\np99.9 on over off, median of pairs of slices of {} s (95 % interval)\n",
             result.slice_seconds);
  PrintRatio(out, "reads", result.reads.ratios.response_p999);
  PrintRatio(out, "writes", result.writes.ratios.response_p999);
  PrintRatio(out, "reads, call alone", result.reads.ratios.call_p999);
  PrintRatio(out, "writes, call alone", result.writes.ratios.call_p999);

  fmt::print(out, "\n{:<32} {:>9} {:>9}\n", "goal", "at most", "measured");
  for (const Goal& goal : GoalsOf(plan, result)) {
    fmt::print(out, "{:<32} {:>9} {:>9.4g} {}\n", goal.name, goal.goal, goal.value,
               goal.met() ? "met" : "NOT met");
  }
  if (!result.background_error.ok()) {
    fmt::print(out, "background error: {}\n", result.background_error.ToString());
  }
}

json SchedulerJson(const SchedulerPlan& plan, const SchedulerResult& result) {
  const SpaceFigures& space = result.space;
  json goals = json::object();
  for (const Goal& goal : GoalsOf(plan, result)) {
    goals[goal.name] = {{"at_most", goal.goal}, {"measured", goal.value}, {"met", goal.met()}};
  }
  return {{"configuration", ConfigurationJson(plan, result)},
          {"machine", MachineJson()},
          {"interrupted", result.interrupted},
          {"seconds", result.seconds},
          {"cpu_share", result.cpu_share},
          {"segments", result.segments},
          {"space_amplification",
           {{"highest", space.highest},
            {"mean", space.mean},
            {"highest_records", space.highest_records},
            {"mean_records", space.mean_records},
            {"samples", space.samples},
            {"seconds_above_ceiling", space.seconds_above_ceiling}}},
          {"write_amplification", WritesJson(result.write_amplification)},
          {"compaction",
           {{"swaps", result.swaps},
            {"failed_jobs", result.failed_jobs},
            {"job_share", result.job_share},
            {"delayed_writes", result.delayed_writes},
            {"publish_p9999_us", Microseconds(result.publish_p9999)},
            {"longest_publish_us", result.longest_publish_us}}},
          {"reads", OperationsJson(result.reads, plan.reads_per_second)},
          {"writes", OperationsJson(result.writes, plan.writes_per_second)},
          {"answers", AnswersJson(result.answers)},
          {"reopened", AnswersJson(result.reopened)},
          {"background_error", result.background_error.ToString()},
          {"goals", std::move(goals)}};
}

}  // namespace freyja::bench
