// freyja-bench: FreyjaDB beside other embedded stores, in one run on one machine.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <atomic>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <filesystem>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <system_error>
#include <vector>

#include "driver.h"
#include "exit_code.h"
#include "report.h"
#include "scheduler_command.h"

namespace freyja::bench {

namespace {

// Set by the signal handler, which can reach nothing that is not static.
std::atomic<bool> stop_requested = false;
static_assert(std::atomic<bool>::is_always_lock_free);

void InstallSignalHandlers() {
  struct sigaction action = {};
  action.sa_handler = [](int) { stop_requested.store(true); };
  // A second signal ends the process at once.
  action.sa_flags = static_cast<int>(SA_RESETHAND);
  for (const int signal : {SIGINT, SIGTERM, SIGHUP}) ::sigaction(signal, &action, nullptr);
}

struct Arguments {
  Plan plan;
  std::vector<std::string> stores;
  std::vector<std::string> workloads;
  std::string directory = std::filesystem::temp_directory_path().string();
  std::string json_file;
  bool verbose = false;
  bool quiet = false;
};

std::vector<std::string> Ids(const std::vector<PeerKind>& kinds) {
  std::vector<std::string> ids;
  ids.reserve(kinds.size());
  for (const PeerKind& kind : kinds) ids.push_back(kind.id);
  return ids;
}

void Declare(CLI::App& app, Arguments& arguments, const std::vector<PeerKind>& built) {
  Plan& plan = arguments.plan;
  const std::map<std::string, std::uint64_t> units = {{"k", 1'000}, {"M", 1'000'000}};
  app.add_option("--keys", plan.keys, "Keys to fill and operations per workload; 500k, 3M")
      ->transform(CLI::AsNumberWithUnit(units, CLI::AsNumberWithUnit::CASE_SENSITIVE))
      ->check(CLI::Range(std::uint64_t{1}, std::uint64_t{1'000'000'000}))
      ->default_str("500k");
  app.add_option("--value-bytes", plan.value_bytes, "Length of every value")
      ->check(CLI::Range(std::size_t{0}, std::size_t{16} << 20))
      ->capture_default_str();
  app.add_option("--rounds", plan.rounds, "Turns of every store; medians are over these")
      ->check(CLI::Range(1U, 1'000U))
      ->capture_default_str();
  app.add_option(
         "--stores", arguments.stores,
         fmt::format("Which, separated by commas; default: all ({})", fmt::join(Ids(built), ",")))
      ->delimiter(',');
  app.add_option("--workloads", arguments.workloads,
                 "Which to report, separated by commas; default: fill,get,miss,overwrite")
      ->delimiter(',');
  app.add_option("--seconds", plan.seconds,
                 "End each workload but fill after that many; 0: no bound")
      ->check(CLI::Range(0.0, 1e6))
      ->capture_default_str();
  app.add_option("--latency-every", plan.latency_every,
                 "Time single operations in one block of 256 out of so many; 0: no latencies")
      ->check(CLI::Range(0U, 1'000'000U))
      ->capture_default_str();
  app.add_option("--seed", plan.seed, "Of all random choices")->capture_default_str();
  app.add_option("--dir", arguments.directory, "Where the temporary directories are made")
      ->check(CLI::ExistingDirectory)
      ->capture_default_str();
  app.add_option("--json", arguments.json_file, "Write everything measured to this file");
  app.add_flag("--verbose", arguments.verbose,
               "CPU times, and the settings and durability of every store");
  app.add_flag("--quiet", arguments.quiet, "No progress on standard error");
}

// Throws CLI::ValidationError, as CLI11's own checks do.
void Resolve(Arguments& arguments, const std::vector<PeerKind>& built) {
  Plan& plan = arguments.plan;
  if (arguments.stores.empty()) arguments.stores = Ids(built);
  for (const std::string& id : arguments.stores) {
    const auto found = std::ranges::find(built, id, &PeerKind::id);
    if (found == built.end()) {
      throw CLI::ValidationError("--stores", fmt::format("no store \"{}\" in this build; it has {}",
                                                         id, fmt::join(Ids(built), ", ")));
    }
    if (std::ranges::count(arguments.stores, id) > 1) {
      throw CLI::ValidationError("--stores", fmt::format("\"{}\" is named twice", id));
    }
    plan.stores.push_back(*found);
  }
  if (arguments.workloads.empty()) {
    plan.workloads.assign(kAllWorkloads.begin(), kAllWorkloads.end());
  }
  for (const std::string& name : arguments.workloads) {
    const std::optional<Workload> workload = WorkloadFromName(name);
    if (!workload) {
      throw CLI::ValidationError(
          "--workloads",
          fmt::format("no workload \"{}\"; there are fill, get, miss, overwrite", name));
    }
    if (std::ranges::count(arguments.workloads, name) > 1) {
      throw CLI::ValidationError("--workloads", fmt::format("\"{}\" is named twice", name));
    }
    plan.workloads.push_back(*workload);
  }
  plan.directory = arguments.directory;
  std::error_code error;
  const std::filesystem::space_info space = std::filesystem::space(plan.directory, error);
  if (!error && space.available < EstimatedDiskBytes(plan)) {
    throw CLI::ValidationError(
        "--dir",
        fmt::format("{} has {} MB free, the run may need {} MB; choose fewer --keys, "
                    "smaller --value-bytes or another --dir",
                    arguments.directory, space.available >> 20, EstimatedDiskBytes(plan) >> 20));
  }
}

int Run(const Arguments& arguments) {
  std::ofstream json_file;
  if (!arguments.json_file.empty()) {
    // Opened first: nobody wants to learn after ten minutes that it can't be written.
    json_file.open(arguments.json_file, std::ios::trunc);
    if (!json_file) {
      fmt::print(stderr, "freyja-bench: --json: cannot write {}\n", arguments.json_file);
      return kExitUsage;
    }
  }
  const Plan& plan = arguments.plan;
  const auto results = RunPlan(plan, stop_requested, [&](unsigned round, const PeerKind& kind) {
    if (arguments.quiet) return;
    fmt::print(stderr, "round {}/{}: {}\n", round, plan.rounds, kind.title);
  });
  if (!results) {
    fmt::print(stderr, "freyja-bench: {}\n", results.error().ToString());
    return results.error().code() == StatusCode::kCancelled ? kExitInterrupted : kExitFailure;
  }
  PrintReport(stdout, plan, *results, arguments.verbose);
  if (json_file.is_open()) {
    json_file << ToJson(plan, *results).dump(2) << '\n';
    json_file.close();
    if (!json_file) {
      fmt::print(stderr, "freyja-bench: --json: writing {} failed\n", arguments.json_file);
      return kExitFailure;
    }
  }
  return EXIT_SUCCESS;
}

int Main(int argc, char** argv) {
  const std::vector<PeerKind> built = BuiltPeers();
  Arguments arguments;
  CLI::App app(
      "Compares FreyjaDB with other embedded stores: fill, get, missing get, overwrite.\n"
      "Runs them in turn on the same keys and prints rates, latencies and ratios.\n"
      "Exit status: 0 done; 1 a store failed or gave a wrong answer; 2 bad option; "
      "130 interrupted.",
      "freyja-bench");
  Declare(app, arguments, built);
  SchedulerArguments scheduler_arguments;
  const CLI::App* const scheduler = DeclareScheduler(app, scheduler_arguments);
  try {
    app.parse(argc, argv);
    scheduler->parsed() ? ResolveScheduler(scheduler_arguments) : Resolve(arguments, built);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? EXIT_SUCCESS : kExitUsage;
  }
  InstallSignalHandlers();
  if (scheduler->parsed()) return RunScheduler(scheduler_arguments, stop_requested);
  return Run(arguments);
}

}  // namespace

}  // namespace freyja::bench

int main(int argc, char** argv) {
  try {
    return freyja::bench::Main(argc, argv);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "freyja-bench: %s\n", error.what());
    return 1;
  }
}
