#include "figures.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "keys_values.h"

namespace freyja::bench {

namespace {

constexpr std::string_view kFreyjaId = "freyja";

const StoreResult* FindFreyja(const std::vector<StoreResult>& results) {
  const auto found = std::ranges::find_if(
      results, [](const StoreResult& result) { return result.kind.id == kFreyjaId; });
  return found == results.end() ? nullptr : &*found;
}

}  // namespace

Spread SpreadOf(std::vector<double> values) {
  std::ranges::sort(values);
  const std::size_t middle = values.size() / 2;
  const double median =
      values.size() % 2 == 1 ? values[middle] : (values[middle - 1] + values[middle]) / 2;
  return {median, values.front(), values.back()};
}

std::optional<MeasureFigures> FiguresOf(const std::vector<StoreResult>& results,
                                        const StoreResult& result, const Measure& measure) {
  const StoreResult* const freyja = FindFreyja(results);
  MeasureFigures figures;
  for (std::size_t i = 0; i < result.rounds.size(); ++i) {
    const auto found = result.rounds[i].runs.find(measure);
    if (found == result.rounds[i].runs.end()) return std::nullopt;
    const WorkloadRun& run = found->second;
    const double operations = static_cast<double>(std::max<std::uint64_t>(run.operations, 1));
    figures.per_second.push_back(run.PerSecond());
    figures.thread_cpu_ns.push_back(run.thread_cpu_seconds * 1e9 / operations);
    figures.process_cpu_ns.push_back(run.process_cpu_seconds * 1e9 / operations);
    figures.operations.push_back(run.operations);
    figures.latency.Merge(run.latency);
    figures.cut_short = figures.cut_short || run.cut_short;
    if (freyja == nullptr || freyja == &result) continue;
    // Round by round: both ran within the same stretch of time.
    figures.ratios.push_back(freyja->rounds[i].runs.at(measure).PerSecond() / run.PerSecond());
  }
  if (figures.per_second.empty()) return std::nullopt;
  return figures;
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

std::optional<SustainedSpace> SustainedSpaceOf(const Plan& plan, const StoreResult& result) {
  const double live = static_cast<double>(plan.keys * (kKeyBytes + plan.value_bytes));
  SustainedSpace space;
  for (const StoreRound& round : result.rounds) {
    if (!round.sustained_space) return std::nullopt;
    space.mean.push_back(round.sustained_space->mean_bytes / live);
    space.highest.push_back(static_cast<double>(round.sustained_space->highest_bytes) / live);
  }
  if (space.mean.empty()) return std::nullopt;
  return space;
}

FootprintFigures FiguresOf(const ProbeResult& result, std::uint64_t keys) {
  FootprintFigures figures;
  for (const Footprint& footprint : result.footprints) {
    // Each key was put twice.
    const double put = static_cast<double>(footprint.put_bytes);
    figures.memory_per_key.push_back(footprint.MemoryPerKey(keys));
    figures.resident_per_key.push_back(static_cast<double>(footprint.resident_bytes) /
                                       static_cast<double>(keys));
    figures.cache_bytes.push_back(static_cast<double>(footprint.cache_bytes));
    figures.written_over_put.push_back(static_cast<double>(footprint.written_bytes) / put);
    figures.disk_over_live.push_back(static_cast<double>(footprint.disk_bytes) * 2 / put);
    figures.cpu_ns.push_back(footprint.cpu_seconds * 1e9 /
                             static_cast<double>(footprint.operations));
  }
  return figures;
}

std::vector<double> OpenSeconds(const std::vector<OpenFigures>& opens) {
  std::vector<double> seconds;
  seconds.reserve(opens.size());
  for (const OpenFigures& open : opens) seconds.push_back(open.seconds);
  return seconds;
}

std::uint64_t MissingKeys(const std::vector<OpenFigures>& opens) {
  std::uint64_t missing = 0;
  for (const OpenFigures& open : opens) missing += open.missing;
  return missing;
}

std::string MemoryCapText(const Plan& plan) {
  if (plan.memory_cap == 0) return "";
  return fmt::format("; memory capped at {} MiB, page cache included", plan.memory_cap >> 20);
}

std::string RateText(double per_second) {
  if (per_second >= 1e6) return fmt::format("{:.2f} M", per_second / 1e6);
  if (per_second >= 1e4) return fmt::format("{:.0f} k", per_second / 1e3);
  return fmt::format("{:.0f}", per_second);
}

std::string RateText(const Spread& spread) {
  return fmt::format("{} ({} - {})", RateText(spread.median), RateText(spread.lowest),
                     RateText(spread.highest));
}

std::string RatioText(const Spread& spread) {
  return fmt::format("{:.2f} ({:.2f} - {:.2f})", spread.median, spread.lowest, spread.highest);
}

}  // namespace freyja::bench
