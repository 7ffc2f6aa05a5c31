#include "comparison_command.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>
#include <system_error>
#include <utility>

#include "base/status_macros.h"
#include "exit_code.h"
#include "keys_values.h"
#include "memory_cap.h"

namespace freyja::bench {

namespace {

using Units = std::map<std::string, std::uint64_t>;

// Less is not enough for the stores' own buffers.
constexpr std::uint64_t kLeastMemoryCap = std::uint64_t{128} << 20;

std::vector<std::string> Ids(const std::vector<PeerKind>& kinds) {
  std::vector<std::string> ids;
  ids.reserve(kinds.size());
  for (const PeerKind& kind : kinds) ids.push_back(kind.id);
  return ids;
}

void DeclareData(CLI::App& app, ComparisonArguments& arguments) {
  const Units units = {{"k", 1'000}, {"M", 1'000'000}};
  const Units byte_units = {
      {"KiB", std::uint64_t{1} << 10}, {"MiB", std::uint64_t{1} << 20}, {"GiB", 1 << 30}};
  app.add_option("--keys", arguments.keys,
                 "Keys to fill and operations per workload, a section for each; 500k, 1M,10M")
      ->delimiter(',')
      ->transform(CLI::AsNumberWithUnit(units, CLI::AsNumberWithUnit::CASE_SENSITIVE))
      ->check(CLI::Range(std::uint64_t{1}, std::uint64_t{1'000'000'000}))
      ->default_str("500k");
  app.add_option("--value-bytes", arguments.value_bytes,
                 "Lengths of values, a section of the report for each; 16,100,1KiB,16KiB,1MiB")
      ->delimiter(',')
      ->transform(CLI::AsNumberWithUnit(byte_units, CLI::AsNumberWithUnit::CASE_SENSITIVE))
      ->check(CLI::Range(std::size_t{0}, std::size_t{16} << 20))
      ->default_str("100");
  app.add_option("--live-bytes", arguments.live_bytes,
                 "Keys and values together, at most: long values get fewer keys")
      ->transform(CLI::AsNumberWithUnit(byte_units, CLI::AsNumberWithUnit::CASE_SENSITIVE))
      ->check(CLI::Range(std::uint64_t{1}, std::uint64_t{1} << 50))
      ->default_str("1GiB");
  app.add_option("--memory-cap", arguments.plan.memory_cap,
                 "Bytes of memory for all of a store, its part of the page cache included; needs "
                 "the right to make a control group. Caches get half of it; default: no cap, "
                 "caches of 2 GiB")
      ->transform(CLI::AsNumberWithUnit(byte_units, CLI::AsNumberWithUnit::CASE_SENSITIVE))
      ->check(CLI::Range(kLeastMemoryCap, std::uint64_t{1} << 50));
  app.add_option("--seed", arguments.plan.seed, "Of all random choices")->capture_default_str();
  app.add_option("--dir", arguments.directory, "Where the temporary directories are made")
      ->check(CLI::ExistingDirectory)
      ->capture_default_str();
}

void DeclareWork(CLI::App& app, ComparisonArguments& arguments,
                 const std::vector<PeerKind>& built) {
  Plan& plan = arguments.plan;
  app.add_option("--rounds", plan.rounds, "Turns of every store; medians are over these")
      ->check(CLI::Range(1U, 1'000U))
      ->capture_default_str();
  app.add_option(
         "--stores", arguments.stores,
         fmt::format("Which, separated by commas; default: all ({})", fmt::join(Ids(built), ",")))
      ->delimiter(',');
  app.add_option("--workloads", arguments.workloads,
                 fmt::format("Which to report, separated by commas; default: all ({})",
                             fmt::join(WorkloadNames(), ",")))
      ->delimiter(',');
  app.add_option("--probes", arguments.probes,
                 "Besides, each in a process of its own: footprint (memory, bytes written, CPU), "
                 "open (seconds, after a clean close and after a kill); none")
      ->delimiter(',')
      ->check(CLI::IsMember({"footprint", "open", "none"}))
      ->default_str("footprint,open");
  app.add_option("--threads", arguments.threads,
                 "Of get, miss, zipf, mixed and overwrite: each with so many; 1,2")
      ->delimiter(',')
      ->check(CLI::Range(1U, 256U))
      ->default_str("1");
  app.add_option("--sync-writers", arguments.sync_writers, "The same of sync")
      ->delimiter(',')
      // LMDB has room for 126 readers, WiredTiger for 100 sessions.
      ->check(CLI::Range(1U, 64U))
      ->default_str("1,8,32");
  app.add_option("--seconds", plan.seconds,
                 "End each workload but fill, sync and sustained after that many; 0: no bound")
      ->check(CLI::Range(0.0, 1e6))
      ->capture_default_str();
  app.add_option("--sync-seconds", plan.sync_seconds, "End sync after that many")
      ->check(CLI::Range(0.001, 1e6))
      ->capture_default_str();
  app.add_option("--sustained-seconds", plan.sustained_seconds, "End sustained after that many")
      ->check(CLI::Range(0.001, 1e6))
      ->capture_default_str();
  app.add_option("--latency-every", plan.latency_every,
                 "Time single calls in one block of 256 operations out of so many; 0: none")
      ->check(CLI::Range(0U, 1'000'000U))
      ->capture_default_str();
}

void DeclareOutput(CLI::App& app, ComparisonArguments& arguments) {
  app.add_option("--json", arguments.json_file, "Write everything measured to this file");
  app.add_option("--markdown", arguments.markdown_file, "Write the tables to this file");
  app.add_flag("--verbose", arguments.verbose, "Print settings and durability of every store");
  app.add_flag("--quiet", arguments.quiet, "No progress on standard error");
}

void ResolveStores(ComparisonArguments& arguments, const std::vector<PeerKind>& built) {
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
    arguments.plan.stores.push_back(*found);
  }
}

void ResolveWorkloads(ComparisonArguments& arguments) {
  std::vector<Workload> workloads;
  for (const WorkloadInfo& info : AllWorkloads()) {
    if (arguments.workloads.empty()) workloads.push_back(info.workload);
  }
  for (const std::string& name : arguments.workloads) {
    const std::optional<Workload> workload = WorkloadFromName(name);
    if (!workload) {
      throw CLI::ValidationError(
          "--workloads",
          fmt::format("no workload \"{}\"; there are {}", name, fmt::join(WorkloadNames(), ", ")));
    }
    if (std::ranges::count(arguments.workloads, name) > 1) {
      throw CLI::ValidationError("--workloads", fmt::format("\"{}\" is named twice", name));
    }
    workloads.push_back(*workload);
  }
  arguments.plan.measures = MakeMeasures(workloads, arguments.threads, arguments.sync_writers);
}

void ResolveProbes(ComparisonArguments& arguments) {
  const auto has = [&arguments](std::string_view name) {
    return std::ranges::find(arguments.probes, name) != arguments.probes.end();
  };
  if (has("none") && arguments.probes.size() > 1) {
    throw CLI::ValidationError("--probes", "\"none\" stands alone");
  }
  arguments.probe_plan.footprint = has("footprint");
  arguments.probe_plan.opens = has("open");
}

void CheckSpace(const Plan& plan) {
  std::error_code error;
  const std::filesystem::space_info space = std::filesystem::space(plan.directory, error);
  if (error || space.available >= EstimatedDiskBytes(plan)) return;
  throw CLI::ValidationError(
      "--dir",
      fmt::format("{} has {} MB free, the run may need {} MB; choose fewer --keys, fewer "
                  "--live-bytes or another --dir",
                  plan.directory.string(), space.available >> 20, EstimatedDiskBytes(plan) >> 20));
}

Result<Section> RunSection(const ComparisonArguments& arguments, const Plan& plan,
                           const std::atomic<bool>& stop) {
  const auto say = [&](std::string_view what) {
    return [&arguments, &plan, what](unsigned round, const PeerKind& kind) {
      if (arguments.quiet) return;
      fmt::print(stderr, "{} keys, values of {} bytes, {}, round {}/{}: {}\n", plan.keys,
                 plan.value_bytes, what, round, plan.rounds, kind.title);
    };
  };
  FREYJA_ASSIGN_OR_RETURN(std::vector<StoreResult> results, RunPlan(plan, stop, say("workloads")));
  FREYJA_ASSIGN_OR_RETURN(std::vector<ProbeResult> probes,
                          RunProbes(plan, arguments.probe_plan, stop, say("probes")));
  return Section{plan, std::move(results), std::move(probes)};
}

// Opened before the run: nobody wants to learn after ten minutes that it can't be written.
bool OpenFile(std::string_view option, const std::string& path, std::ofstream& file) {
  if (path.empty()) return true;
  file.open(path, std::ios::trunc);
  if (!file) fmt::print(stderr, "freyja-bench: {}: cannot write {}\n", option, path);
  return file.is_open();
}

bool WriteFile(std::string_view option, const std::string& text, std::ofstream& file) {
  if (!file.is_open()) return true;
  file << text;
  file.close();
  if (!file) fmt::print(stderr, "freyja-bench: {}: writing failed\n", option);
  return !file.fail();
}

}  // namespace

void DeclareComparison(CLI::App& app, ComparisonArguments& arguments,
                       const std::vector<PeerKind>& built) {
  arguments.directory = std::filesystem::temp_directory_path().string();
  DeclareData(app, arguments);
  DeclareWork(app, arguments, built);
  DeclareOutput(app, arguments);
}

void ResolveComparison(ComparisonArguments& arguments, const std::vector<PeerKind>& built) {
  ResolveStores(arguments, built);
  ResolveWorkloads(arguments);
  ResolveProbes(arguments);
  arguments.plan.directory = arguments.directory;
  if (arguments.plan.memory_cap != 0) arguments.plan.cache_bytes = arguments.plan.memory_cap / 2;
  for (const std::size_t value_bytes : arguments.value_bytes) {
    std::set<std::uint64_t> different;
    for (const std::uint64_t keys : arguments.keys) {
      Plan plan = arguments.plan;
      plan.value_bytes = value_bytes;
      plan.keys =
          std::clamp<std::uint64_t>(arguments.live_bytes / (kKeyBytes + value_bytes), 1, keys);
      // Long values may leave the same number of several.
      if (!different.insert(plan.keys).second) continue;
      CheckSpace(plan);
      arguments.sections.push_back(std::move(plan));
    }
  }
}

int RunComparison(const ComparisonArguments& arguments, const std::atomic<bool>& stop) {
  std::ofstream json_file;
  std::ofstream markdown_file;
  if (!OpenFile("--json", arguments.json_file, json_file) ||
      !OpenFile("--markdown", arguments.markdown_file, markdown_file)) {
    return kExitUsage;
  }
  std::optional<MemoryCap> cap;
  if (arguments.plan.memory_cap != 0) {
    auto applied = MemoryCap::Apply(arguments.plan.memory_cap);
    if (!applied) {
      fmt::print(stderr, "freyja-bench: --memory-cap: {}\n", applied.error().message());
      return kExitFailure;
    }
    cap.emplace(*std::move(applied));
  }
  std::vector<Section> sections;
  for (const Plan& plan : arguments.sections) {
    auto section = RunSection(arguments, plan, stop);
    if (!section) {
      fmt::print(stderr, "freyja-bench: {}\n", section.error().ToString());
      return section.error().code() == StatusCode::kCancelled ? kExitInterrupted : kExitFailure;
    }
    sections.push_back(*std::move(section));
  }
  PrintReport(stdout, sections, arguments.verbose);
  const bool written = WriteFile("--json", ToJson(sections).dump(2) + "\n", json_file) &&
                       WriteFile("--markdown", ToMarkdown(sections), markdown_file);
  return written ? EXIT_SUCCESS : kExitFailure;
}

}  // namespace freyja::bench
