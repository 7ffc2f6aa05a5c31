#include "scheduler_command.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <map>
#include <nlohmann/json.hpp>
#include <system_error>

#include "exit_code.h"
#include "scheduler_report.h"
#include "traces.h"

namespace freyja::bench {

namespace {

const std::map<std::string, Sync> kSyncs = {
    {"none", Sync::kNone}, {"interval", Sync::kInterval}, {"always", Sync::kAlways}};

// Short forms of the traces that the goals are about.
const std::map<std::string, std::string> kShortNames = {{"zipf", "zipf:0.99"},
                                                        {"hotcold", "hot-cold"}};

// CLI::Range lets "nan" pass.
CLI::Validator Between(double low, double high) {
  const auto check = [low, high](const std::string& text) {
    double value = 0;
    if (CLI::detail::lexical_cast(text, value) && value >= low && value <= high) {
      return std::string();
    }
    return fmt::format("{} is not a number from {} to {}", text, low, high);
  };
  return {check, fmt::format("FLOAT in [{} - {}]", low, high)};
}

void DeclareStore(CLI::App& command, SchedulerArguments& arguments) {
  SchedulerPlan& plan = arguments.plan;
  const std::map<std::string, std::uint64_t> units = {{"k", 1'000}, {"M", 1'000'000}};
  command.add_option("--keys", plan.keys, "Keys in the store; 500k, 3M")
      ->transform(CLI::AsNumberWithUnit(units, CLI::AsNumberWithUnit::CASE_SENSITIVE))
      ->check(CLI::Range(1'000U, 1'000'000'000U))
      ->default_str("1200k");
  command.add_option("--value-bytes", plan.value_bytes, "Length of every value")
      ->check(CLI::Range(kFewestVersionedBytes, std::size_t{1} << 20))
      ->capture_default_str();
  command
      .add_option("--segment-bytes", plan.segment_bytes,
                  "Size of a segment; there should be 160 of them or more")
      ->check(CLI::Range(kMinSegmentBytes, kMaxSegmentBytes))
      ->capture_default_str();
  command.add_option("--ceiling", plan.ceiling, "Space amplification that the scheduler keeps to")
      ->check(Between(1.1, 100.0))
      ->capture_default_str();
  command
      .add_option(
          "--dead-share", plan.dead_share,
          "Share of dead bytes from which it compacts below the ceiling, too; default: none")
      ->check(Between(0.01, 1.0));
  command.add_option("--sync", arguments.sync, "none, interval or always; default: the library's")
      ->check(CLI::IsMember(kSyncs));
  command.add_option("--dir", arguments.directory, "Where the temporary directory is made")
      ->check(CLI::ExistingDirectory)
      ->capture_default_str();
}

void DeclareLoad(CLI::App& command, SchedulerPlan& plan) {
  command
      .add_option("--distribution", plan.distribution,
                  "Of the keys: zipf (0.99), zipf:T, hotcold (90/10), uniform, sequential")
      ->capture_default_str();
  command.add_option("--seconds", plan.seconds, "How long is measured")
      ->check(Between(0.5, 1e7))
      ->capture_default_str();
  command.add_option("--warm-up", plan.warm_up, "Overwrites per key before that, unmeasured")
      ->check(Between(0.0, 1e3))
      ->capture_default_str();
  command.add_option("--writes-per-second", plan.writes_per_second, "Of the one writer")
      ->check(Between(1.0, 1e7))
      ->capture_default_str();
  command.add_option("--reads-per-second", plan.reads_per_second, "Of all readers together")
      ->check(Between(1.0, 1e8))
      ->capture_default_str();
  command.add_option("--readers", plan.readers, "Threads that read")
      ->check(CLI::Range(1U, 256U))
      ->capture_default_str();
  command
      .add_option("--slice-seconds", plan.slice_seconds,
                  "Compaction is paused in every fourth slice; 0: chosen by the load")
      ->check(Between(0.0, 3600.0))
      ->capture_default_str();
  command.add_option("--seed", plan.seed, "Of all random choices")->capture_default_str();
}

}  // namespace

CLI::App* DeclareScheduler(CLI::App& app, SchedulerArguments& arguments) {
  arguments.directory = std::filesystem::temp_directory_path().string();
  CLI::App* const command = app.add_subcommand(
      "scheduler",
      "Overwrites a store at a steady rate while it compacts by itself and readers check every\n"
      "answer; prints space and write amplification, and latencies with compaction on and off.\n"
      "Exit status: 0 done; 1 the store failed or gave a wrong answer; 2 bad option; 130\n"
      "interrupted, with the figures up to then.");
  DeclareStore(*command, arguments);
  DeclareLoad(*command, arguments.plan);
  command->add_flag("--json", arguments.json, "One JSON object instead of the table");
  command->add_flag("--quiet", arguments.quiet, "No progress on standard error");
  return command;
}

void ResolveScheduler(SchedulerArguments& arguments) {
  SchedulerPlan& plan = arguments.plan;
  if (const auto found = kShortNames.find(plan.distribution); found != kShortNames.end()) {
    plan.distribution = found->second;
  }
  // Made for a few keys only to see that it can be made.
  const auto trace = MakeTrace(plan.distribution, 8, 1);
  if (!trace) throw CLI::ValidationError("--distribution", trace.error());
  if (plan.distribution == "bulk-delete") {
    throw CLI::ValidationError("--distribution", "\"bulk-delete\" deletes; this load overwrites");
  }
  if (!arguments.sync.empty()) plan.sync = kSyncs.at(arguments.sync);
  if (plan.slice_seconds * Timeline::kCycle > plan.seconds) {
    throw CLI::ValidationError("--slice-seconds", "four slices must fit into --seconds");
  }
  plan.directory = arguments.directory;
  std::error_code error;
  const std::filesystem::space_info space = std::filesystem::space(plan.directory, error);
  if (!error && space.available < EstimatedDiskBytes(plan)) {
    throw CLI::ValidationError(
        "--dir", fmt::format("{} has {} MB free, the run may need {} MB", arguments.directory,
                             space.available >> 20, EstimatedDiskBytes(plan) >> 20));
  }
}

int RunScheduler(const SchedulerArguments& arguments, const std::atomic<bool>& stop) {
  const auto result = RunSchedulerBenchmark(arguments.plan, stop, [&](const std::string& what) {
    if (!arguments.quiet) fmt::print(stderr, "{}\n", what);
  });
  if (!result) {
    fmt::print(stderr, "freyja-bench: {}\n", result.error().ToString());
    return result.error().code() == StatusCode::kCancelled ? kExitInterrupted : kExitFailure;
  }
  if (arguments.json) {
    fmt::print("{}\n", SchedulerJson(arguments.plan, *result).dump(2));
  } else {
    PrintSchedulerReport(stdout, arguments.plan, *result);
  }
  if (!result->AnswersAreRight()) return kExitFailure;
  return result->interrupted ? kExitInterrupted : EXIT_SUCCESS;
}

}  // namespace freyja::bench
