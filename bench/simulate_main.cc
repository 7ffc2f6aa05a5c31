// freyja-simulate: write amplification against space amplification of the compaction policies.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <expected>
#include <fstream>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "simulator.h"

namespace freyja::bench {

namespace {

constexpr int kExitFailure = 1;
constexpr int kExitUsage = 2;

bool Contains(const std::vector<std::string>& names, const std::string& name) {
  return std::ranges::find(names, name) != names.end();
}

struct Policy {
  std::string name;
  compaction::Selection selection;
  Placement placement;
};

std::vector<Policy> AllPolicies() {
  using compaction::Selection;
  return {{"age-classes", Selection::kAgeClasses, Placement::kTogether},
          {"age-classes-by-record", Selection::kAgeClasses, Placement::kByRecordAge},
          {"cost-benefit", Selection::kCostBenefit, Placement::kTogether},
          {"greedy", Selection::kGreedy, Placement::kTogether}};
}

struct Arguments {
  SimulationOptions options;
  std::vector<std::string> traces = {"uniform", "zipf:0.99", "hot-cold"};
  std::vector<std::string> policies = {"age-classes", "cost-benefit", "greedy"};
  std::vector<double> ceilings = {1.1, 1.2, 1.3, 1.5, 2.0, 3.0};
  std::uint32_t keys = 1'000'000;
  std::uint64_t seed = 1;
  double warm_up = 5;
  double updates = 10;
  std::string json_file;
  bool quiet = false;
};

void Declare(CLI::App& app, Arguments& arguments) {
  std::vector<std::string> policies;
  for (const Policy& policy : AllPolicies()) policies.push_back(policy.name);
  SimulationOptions& options = arguments.options;
  app.add_option("--keys", arguments.keys, "Different keys (not for a trace from a file)")
      ->check(CLI::Range(1U, 1'000'000'000U))
      ->capture_default_str();
  app.add_option("--segment-records", options.segment_records, "Records in a full segment")
      ->check(CLI::Range(std::uint64_t{2}, std::uint64_t{1} << 32))
      ->capture_default_str();
  app.add_option("--record-bytes", options.record_bytes, "Size of a put's record")
      ->check(CLI::Range(std::uint64_t{8}, std::uint64_t{1} << 30))
      ->capture_default_str();
  app.add_option("--tombstone-bytes", options.tombstone_bytes,
                 "Size of a delete's record, at most that of a put")
      ->check(CLI::Range(std::uint64_t{8}, std::uint64_t{1} << 30))
      ->capture_default_str();
  app.add_option("--step-segments", options.step_segments,
                 "Segments that one step of compaction reads, at most")
      ->check(CLI::Range(1U, 1'000'000U))
      ->capture_default_str();
  app.add_option("--policy", arguments.policies, "Which, separated by commas")
      ->delimiter(',')
      ->check(CLI::IsMember(policies))
      ->default_str(fmt::format("{}", fmt::join(arguments.policies, ",")));
  app.add_option("--trace", arguments.traces,
                 fmt::format("Which, separated by commas: {}; any other name is that of a file "
                             "with one key per line, '-' before the key deletes it",
                             fmt::join(TraceNames(), ", ")))
      ->delimiter(',')
      ->default_str(fmt::format("{}", fmt::join(arguments.traces, ",")));
  app.add_option("--ceiling", arguments.ceilings,
                 "Bounds of space amplification (record bytes held / live), separated by commas")
      ->delimiter(',')
      ->check(CLI::Range(1.01, 1000.0))
      ->default_str(fmt::format("{}", fmt::join(arguments.ceilings, ",")));
  app.add_option("--warm-up", arguments.warm_up,
                 "Updates before counting, in multiples of the keys")
      ->check(CLI::Range(0.0, 1e6))
      ->capture_default_str();
  app.add_option("--updates", arguments.updates,
                 "Updates counted, in multiples of the keys; a file is replayed once to warm up "
                 "and once counted")
      ->check(CLI::Range(0.001, 1e6))
      ->capture_default_str();
  app.add_option("--seed", arguments.seed, "Of all random choices")->capture_default_str();
  app.add_option("--json", arguments.json_file, "Write all figures to this file");
  app.add_flag("--quiet", arguments.quiet, "No progress on standard error");
}

std::expected<std::unique_ptr<Trace>, std::string> OpenTrace(const std::string& name,
                                                             const Arguments& arguments) {
  const bool is_generated = name.starts_with("zipf:") || Contains(TraceNames(), name);
  if (is_generated) return MakeTrace(name, arguments.keys, arguments.seed);
  std::ifstream file(name);
  if (!file) {
    return std::unexpected(fmt::format("\"{}\" is neither a trace ({}) nor a readable file", name,
                                       fmt::join(TraceNames(), ", ")));
  }
  auto trace = ReadTrace(file);
  if (!trace) return std::unexpected(name + ": " + trace.error());
  return trace;
}

struct Point {
  std::string policy;
  double ceiling = 0;
  SimulationResult result;
};

void Print(const std::string& trace, const Point& point) {
  const SimulationCounters& counters = point.result.counters;
  fmt::print("{:<12} {:<22} {:>7.2f} {:>9.3f} {:>9.3f} {:>9.3f} {:>8} {:>8}{}\n", trace,
             point.policy, point.ceiling, counters.WriteAmplification(), counters.highest_space,
             counters.highest_space_peak, point.result.segments, counters.steps,
             counters.over_ceiling == 0 ? "" : "  ceiling missed");
  std::fflush(stdout);
}

void PrintAnalytic(const std::string& trace, std::string_view name, double ceiling, double writes) {
  fmt::print("{:<12} {:<22} {:>7.2f} {:>9.3f}\n", trace, name, ceiling, writes);
}

nlohmann::json ToJson(const std::string& trace, const Point& point) {
  const SimulationCounters& counters = point.result.counters;
  return {{"trace", trace},
          {"policy", point.policy},
          {"ceiling", point.ceiling},
          {"write_amplification", counters.WriteAmplification()},
          {"highest_space", counters.highest_space},
          {"highest_space_in_step", counters.highest_space_peak},
          {"user_bytes", counters.user_bytes},
          {"compaction_bytes", counters.compaction_bytes},
          {"segments", point.result.segments},
          {"steps", counters.steps},
          {"combined", counters.combined},
          {"over_ceiling", counters.over_ceiling}};
}

nlohmann::json AnalyticJson(const std::string& trace, std::string_view name, double ceiling,
                            double writes) {
  return {{"trace", trace},
          {"policy", name},
          {"ceiling", ceiling},
          {"write_amplification", writes},
          {"analytic", true}};
}

// Every policy at every ceiling on one trace; each run starts the trace anew.
void RunTrace(const std::string& name, const Arguments& arguments, nlohmann::json& points) {
  const auto times = [](double factor, std::uint64_t count) {
    return static_cast<std::uint64_t>(factor * static_cast<double>(count));
  };
  std::vector<RateGroup> rates;
  for (const Policy& policy : AllPolicies()) {
    if (!Contains(arguments.policies, policy.name)) continue;
    for (const double ceiling : arguments.ceilings) {
      if (!arguments.quiet) fmt::print(stderr, "{}, {}, {}\n", name, policy.name, ceiling);
      const auto trace = OpenTrace(name, arguments);
      if (!trace) throw CLI::ValidationError("--trace", trace.error());
      rates = (*trace)->rates();
      SimulationOptions options = arguments.options;
      options.ceiling = ceiling;
      options.selection = policy.selection;
      options.placement = policy.placement;
      const std::uint64_t period = (*trace)->period();
      const Point point{
          .policy = policy.name,
          .ceiling = ceiling,
          .result = Simulate(options, **trace,
                             period != 0 ? period : times(arguments.warm_up, arguments.keys),
                             period != 0 ? period : times(arguments.updates, arguments.keys))};
      Print(name, point);
      points.push_back(ToJson(name, point));
    }
  }
  for (const double ceiling : arguments.ceilings) {
    PrintAnalytic(name, "1/r", ceiling, OneOverR(ceiling));
    points.push_back(AnalyticJson(name, "1/r", ceiling, OneOverR(ceiling)));
    const auto separated = SeparatedByRate(rates, ceiling);
    if (!separated) continue;
    PrintAnalytic(name, "known rates", ceiling, *separated);
    points.push_back(AnalyticJson(name, "known rates", ceiling, *separated));
  }
}

void CheckArguments(const Arguments& arguments) {
  if (arguments.options.tombstone_bytes > arguments.options.record_bytes) {
    throw CLI::ValidationError("--tombstone-bytes", "is larger than --record-bytes");
  }
  for (const std::string& name : arguments.traces) {
    const auto trace = OpenTrace(name, arguments);
    if (!trace) throw CLI::ValidationError("--trace", trace.error());
  }
}

int Run(const Arguments& arguments) {
  std::ofstream json_file;
  if (!arguments.json_file.empty()) {
    json_file.open(arguments.json_file, std::ios::trunc);
    if (!json_file) {
      fmt::print(stderr, "freyja-simulate: --json: cannot write {}\n", arguments.json_file);
      return kExitUsage;
    }
  }
  const SimulationOptions& options = arguments.options;
  fmt::print("{} keys, {} records of {} bytes per segment, steps of up to {} segments, seed {}\n",
             arguments.keys, options.segment_records, options.record_bytes, options.step_segments,
             arguments.seed);
  fmt::print("{:<12} {:<22} {:>7} {:>9} {:>9} {:>9} {:>8} {:>8}\n", "trace", "policy", "ceiling",
             "written", "held", "in step", "segments", "steps");
  nlohmann::json points = nlohmann::json::array();
  for (const std::string& name : arguments.traces) RunTrace(name, arguments, points);
  fmt::print(
      "written: record bytes appended by user and compaction / by user; held: record bytes held /\n"
      "live, highest after a step; in step: the same while victims and outputs both exist\n");
  if (!json_file.is_open()) return EXIT_SUCCESS;
  const nlohmann::json all = {{"configuration",
                               {{"keys", arguments.keys},
                                {"segment_records", options.segment_records},
                                {"record_bytes", options.record_bytes},
                                {"tombstone_bytes", options.tombstone_bytes},
                                {"step_segments", options.step_segments},
                                {"warm_up", arguments.warm_up},
                                {"updates", arguments.updates},
                                {"seed", arguments.seed}}},
                              {"points", points}};
  json_file << all.dump(2) << '\n';
  json_file.close();
  if (json_file) return EXIT_SUCCESS;
  fmt::print(stderr, "freyja-simulate: --json: writing {} failed\n", arguments.json_file);
  return kExitFailure;
}

int Main(int argc, char** argv) {
  Arguments arguments;
  CLI::App app(
      "Replays updates through FreyjaDB's compaction planner on a model of the store and prints\n"
      "write amplification against space amplification.\n"
      "Exit status: 0 done; 1 failed; 2 bad option or trace.",
      "freyja-simulate");
  Declare(app, arguments);
  try {
    app.parse(argc, argv);
    CheckArguments(arguments);
    return Run(arguments);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? EXIT_SUCCESS : kExitUsage;
  }
}

}  // namespace

}  // namespace freyja::bench

int main(int argc, char** argv) {
  try {
    return freyja::bench::Main(argc, argv);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "freyja-simulate: %s\n", error.what());
    return 1;
  }
}
