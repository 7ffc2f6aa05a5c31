#include "report.h"

#include <fmt/format.h>
#include <sys/utsname.h>

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>
#include <optional>
#include <thread>

namespace freyja::bench {

namespace {

using nlohmann::json;

constexpr std::string_view kFreyjaId = "freyja";

struct Quantile {
  std::string_view name;
  double percent;
};
constexpr std::array kQuantiles = {Quantile{"p50", 50}, Quantile{"p99", 99},
                                   Quantile{"p99.9", 99.9}, Quantile{"p99.99", 99.99}};

const StoreResult* FindStore(const std::vector<StoreResult>& results, std::string_view id) {
  const auto found = std::ranges::find_if(
      results, [id](const StoreResult& result) { return result.kind.id == id; });
  return found == results.end() ? nullptr : &*found;
}

std::vector<double> PerSecond(const StoreResult& result, Workload workload) {
  std::vector<double> values;
  values.reserve(result.rounds.size());
  for (const StoreRound& round : result.rounds) {
    values.push_back(round.runs.at(workload).PerSecond());
  }
  return values;
}

std::vector<double> CpuNanoseconds(const StoreResult& result, Workload workload) {
  std::vector<double> values;
  values.reserve(result.rounds.size());
  for (const StoreRound& round : result.rounds) {
    const WorkloadRun& run = round.runs.at(workload);
    values.push_back(run.cpu_seconds * 1e9 / static_cast<double>(run.operations));
  }
  return values;
}

// FreyjaDB over the other, round by round: both ran within the same stretch of time.
std::vector<double> Ratios(const StoreResult& freyja, const StoreResult& other, Workload workload) {
  const std::vector<double> ours = PerSecond(freyja, workload);
  std::vector<double> ratios = PerSecond(other, workload);
  for (std::size_t i = 0; i < ratios.size(); ++i) ratios[i] = ours[i] / ratios[i];
  return ratios;
}

bool AnyCutShort(const StoreResult& result, Workload workload) {
  return std::ranges::any_of(result.rounds, [workload](const StoreRound& round) {
    return round.runs.at(workload).cut_short;
  });
}

Histogram MergedLatency(const StoreResult& result, Workload workload) {
  Histogram merged;
  for (const StoreRound& round : result.rounds) merged.Merge(round.runs.at(workload).latency);
  return merged;
}

Spread DiskOverLive(const Plan& plan, const StoreResult& result) {
  const double live = static_cast<double>(plan.keys * (kKeyBytes + plan.value_bytes));
  std::vector<double> values;
  values.reserve(result.rounds.size());
  for (const StoreRound& round : result.rounds) {
    values.push_back(static_cast<double>(round.disk_bytes) / live);
  }
  return SpreadOf(std::move(values));
}

std::string Rate(double per_second) {
  if (per_second >= 1e6) return fmt::format("{:.2f} M", per_second / 1e6);
  return fmt::format("{:.0f} k", per_second / 1e3);
}

void PrintHeading(std::FILE* out, const Plan& plan, std::string_view title) {
  fmt::print(out, "\n{}\n{:<24}", title, "store");
  for (const Workload workload : plan.workloads) fmt::print(out, " {:>24}", WorkloadName(workload));
}

void PrintThroughput(std::FILE* out, const Plan& plan, const std::vector<StoreResult>& results) {
  PrintHeading(out, plan,
               fmt::format("Operations per second, median of {} (lowest - highest)", plan.rounds));
  fmt::print(out, " {:>9}\n", "disk/live");
  bool cut = false;
  for (const StoreResult& result : results) {
    fmt::print(out, "{:<24}", result.kind.title);
    for (const Workload workload : plan.workloads) {
      const Spread rate = SpreadOf(PerSecond(result, workload));
      const bool cut_here = AnyCutShort(result, workload);
      cut = cut || cut_here;
      fmt::print(out, " {:>24}",
                 fmt::format("{}{} ({} - {})", cut_here ? "*" : "", Rate(rate.median),
                             Rate(rate.lowest), Rate(rate.highest)));
    }
    fmt::print(out, " {:>9.2f}\n", DiskOverLive(plan, result).median);
  }
  if (cut) fmt::print(out, "* ended by --seconds\n");
}

// Steadier than the throughput on a machine that has other work to do.
void PrintCpuTime(std::FILE* out, const Plan& plan, const std::vector<StoreResult>& results) {
  PrintHeading(out, plan,
               "CPU time of the calling thread per operation, ns: median (lowest - highest)");
  fmt::print(out, "\n");
  for (const StoreResult& result : results) {
    fmt::print(out, "{:<24}", result.kind.title);
    for (const Workload workload : plan.workloads) {
      const Spread time = SpreadOf(CpuNanoseconds(result, workload));
      fmt::print(out, " {:>24}",
                 fmt::format("{:.0f} ({:.0f} - {:.0f})", time.median, time.lowest, time.highest));
    }
    fmt::print(out, "\n");
  }
}

void PrintRatios(std::FILE* out, const Plan& plan, const std::vector<StoreResult>& results) {
  const StoreResult* const freyja = FindStore(results, kFreyjaId);
  if (freyja == nullptr || results.size() < 2) return;
  PrintHeading(out, plan, "FreyjaDB as a multiple of, round by round: median (lowest - highest)");
  fmt::print(out, "\n");
  for (const StoreResult& result : results) {
    if (&result == freyja) continue;
    fmt::print(out, "{:<24}", result.kind.title);
    for (const Workload workload : plan.workloads) {
      const Spread ratio = SpreadOf(Ratios(*freyja, result, workload));
      fmt::print(
          out, " {:>24}",
          fmt::format("{:.2f} ({:.2f} - {:.2f})", ratio.median, ratio.lowest, ratio.highest));
    }
    fmt::print(out, "\n");
  }
}

void PrintLatencies(std::FILE* out, const Plan& plan, const std::vector<StoreResult>& results) {
  if (plan.latency_every == 0) return;
  fmt::print(out, "\nLatency in microseconds over all rounds, of one operation in {}\n{:<24}{:<10}",
             plan.latency_every, "store", "");
  for (const Quantile& quantile : kQuantiles) fmt::print(out, " {:>10}", quantile.name);
  fmt::print(out, " {:>10}\n", "max");
  const double factor = NanosecondsPerTick() / 1e3;
  for (const Workload workload : plan.workloads) {
    for (const StoreResult& result : results) {
      const Histogram latency = MergedLatency(result, workload);
      fmt::print(out, "{:<24}{:<10}", result.kind.title, WorkloadName(workload));
      for (const Quantile& quantile : kQuantiles) {
        fmt::print(out, " {:>10.2f}",
                   static_cast<double>(latency.Percentile(quantile.percent)) * factor);
      }
      fmt::print(out, " {:>10.0f}\n", static_cast<double>(latency.max()) * factor);
    }
  }
}

json ToJson(const Spread& spread, const std::vector<double>& rounds) {
  return {{"median", spread.median},
          {"lowest", spread.lowest},
          {"highest", spread.highest},
          {"rounds", rounds}};
}

json LatencyJson(const Histogram& latency) {
  const double factor = NanosecondsPerTick();
  json object = {{"samples", latency.count()},
                 {"max", static_cast<double>(latency.max()) * factor}};
  for (const Quantile& quantile : kQuantiles) {
    object[std::string(quantile.name)] =
        static_cast<double>(latency.Percentile(quantile.percent)) * factor;
  }
  return object;
}

json StoreJson(const Plan& plan, const StoreResult& result) {
  json workloads = json::object();
  for (const Workload workload : plan.workloads) {
    const std::vector<double> rates = PerSecond(result, workload);
    json& entry = workloads[std::string(WorkloadName(workload))];
    entry["operations_per_second"] = ToJson(SpreadOf(rates), rates);
    const std::vector<double> cpu = CpuNanoseconds(result, workload);
    entry["cpu_ns_per_operation"] = ToJson(SpreadOf(cpu), cpu);
    entry["cut_short"] = AnyCutShort(result, workload);
    for (const StoreRound& round : result.rounds) {
      entry["operations"].push_back(round.runs.at(workload).operations);
    }
    if (plan.latency_every != 0) entry["latency_ns"] = LatencyJson(MergedLatency(result, workload));
  }
  json object = {{"id", result.kind.id},
                 {"title", result.kind.title},
                 {"settings", result.kind.settings},
                 {"durability", result.kind.durability},
                 {"is_limit", result.kind.is_limit},
                 {"disk_over_live", DiskOverLive(plan, result).median},
                 {"workloads", std::move(workloads)}};
  for (const StoreRound& round : result.rounds) {
    object["disk_bytes"].push_back(round.disk_bytes);
    object["close_seconds"].push_back(round.close_seconds);
  }
  return object;
}

}  // namespace

json MachineJson() {
  json machine = {{"cores", std::thread::hardware_concurrency()}};
  utsname info = {};
  if (::uname(&info) == 0) {
    machine["kernel"] = info.release;
    machine["architecture"] = info.machine;
  }
  return machine;
}

Spread SpreadOf(std::vector<double> values) {
  std::ranges::sort(values);
  const std::size_t middle = values.size() / 2;
  const double median =
      values.size() % 2 == 1 ? values[middle] : (values[middle - 1] + values[middle]) / 2;
  return {median, values.front(), values.back()};
}

void PrintReport(std::FILE* out, const Plan& plan, const std::vector<StoreResult>& results,
                 bool verbose) {
  fmt::print(
      out,
      "{} keys of {} bytes, values of {} bytes; one thread, one operation per call; rounds: {},\n"
      "the stores in turn in each; random order, a seed of its own for each workload; every\n"
      "value read is checked\n",
      plan.keys, kKeyBytes, plan.value_bytes, plan.rounds);
  PrintThroughput(out, plan, results);
  if (verbose) PrintCpuTime(out, plan, results);
  PrintLatencies(out, plan, results);
  PrintRatios(out, plan, results);
  fmt::print(out,
             "\nNo store calls fsync within a measured operation; what survives differs "
             "(--verbose).\n");
  for (const std::string& line : AbsentPeers()) fmt::print(out, "{}\n", line);
  if (!verbose) return;
  for (const StoreResult& result : results) {
    fmt::print(out, "\n{}\n  settings: {}\n  {}\n", result.kind.title, result.kind.settings,
               result.kind.durability);
  }
}

json ToJson(const Plan& plan, const std::vector<StoreResult>& results) {
  json object = {{"configuration",
                  {{"keys", plan.keys},
                   {"key_bytes", kKeyBytes},
                   {"value_bytes", plan.value_bytes},
                   {"rounds", plan.rounds},
                   {"seed", plan.seed},
                   {"seconds", plan.seconds},
                   {"latency_every", plan.latency_every}}},
                 {"machine", MachineJson()},
                 {"left_out", AbsentPeers()},
                 {"stores", json::array()},
                 {"ratios", json::object()}};
  for (const StoreResult& result : results) object["stores"].push_back(StoreJson(plan, result));
  const StoreResult* const freyja = FindStore(results, kFreyjaId);
  if (freyja == nullptr) return object;
  for (const StoreResult& result : results) {
    if (&result == freyja) continue;
    for (const Workload workload : plan.workloads) {
      const std::vector<double> ratios = Ratios(*freyja, result, workload);
      object["ratios"][result.kind.id][std::string(WorkloadName(workload))] =
          ToJson(SpreadOf(ratios), ratios);
    }
  }
  return object;
}

}  // namespace freyja::bench
