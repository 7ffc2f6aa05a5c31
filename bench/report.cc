#include "report.h"

#include <fmt/format.h>

#include <algorithm>

#include "figures.h"
#include "keys_values.h"

namespace freyja::bench {

namespace {

void PrintMeasure(std::FILE* out, const Section& section, const Measure& measure) {
  const std::uint64_t step = StepOf(measure.workload, section.plan.value_bytes);
  fmt::print(out, "\n{}: {}\n", MeasureName(measure), InfoOf(measure.workload).description);
  fmt::print(out, "{:<22} {:>28} {:>22} {:>9} {:>9}", "store", "operations/s", "FreyjaDB over it",
             "CPU ns", "all CPU");
  for (const Quantile& quantile : kQuantiles) fmt::print(out, " {:>9}", quantile.name);
  fmt::print(out, " {:>9}\n", "max");
  bool cut = false;
  for (const StoreResult& result : section.results) {
    const auto figures = FiguresOf(section.results, result, measure);
    if (!figures) continue;
    cut = cut || figures->cut_short;
    fmt::print(out, "{:<22} {:>28} {:>22} {:>9.0f} {:>9.0f}", result.kind.title,
               (figures->cut_short ? "*" : "") + RateText(SpreadOf(figures->per_second)),
               figures->ratios.empty() ? "" : RatioText(SpreadOf(figures->ratios)),
               SpreadOf(figures->thread_cpu_ns).median, SpreadOf(figures->process_cpu_ns).median);
    if (figures->latency.count() != 0) {
      const double factor = NanosecondsPerTick() / 1e3;
      for (const Quantile& quantile : kQuantiles) {
        fmt::print(out, " {:>9.2f}",
                   static_cast<double>(figures->latency.Percentile(quantile.percent)) * factor);
      }
      fmt::print(out, " {:>9.0f}", static_cast<double>(figures->latency.max()) * factor);
    }
    fmt::print(out, "\n");
  }
  if (step > 1) fmt::print(out, "latencies are those of calls, of {} keys each\n", step);
  if (cut) fmt::print(out, "* ended by time\n");
}

void PrintDisk(std::FILE* out, const Section& section) {
  fmt::print(out, "\nBytes on disk after closing, over those of keys and values\n");
  for (const StoreResult& result : section.results) {
    fmt::print(out, "{:<22} {:>28}\n", result.kind.title,
               RatioText(DiskOverLive(section.plan, result)));
  }
}

void PrintSustainedSpace(std::FILE* out, const Section& section) {
  bool any = false;
  for (const StoreResult& result : section.results) {
    const auto space = SustainedSpaceOf(section.plan, result);
    if (!space) continue;
    if (!any) {
      fmt::print(
          out,
          "\nBytes on disk during sustained, over those of keys and values\n{:<22} {:>28} {:>28}\n",
          "store", "mean", "highest");
    }
    any = true;
    fmt::print(out, "{:<22} {:>28} {:>28}\n", result.kind.title, RatioText(SpreadOf(space->mean)),
               RatioText(SpreadOf(space->highest)));
  }
}

void PrintSection(std::FILE* out, const Section& section) {
  const Plan& plan = section.plan;
  fmt::print(out,
             "{} keys of {} bytes, values of {} bytes; rounds: {}, the stores in turn in each{};\n"
             "random order, a seed of its own for each workload; every value read is checked.\n"
             "Medians (lowest - highest); \"FreyjaDB over it\": FreyjaDB as a multiple of the\n"
             "store, round by round; \"CPU ns\" per operation, of the calling threads and of the\n"
             "whole process; latencies in microseconds over all rounds, of one call in {}.\n",
             plan.keys, kKeyBytes, plan.value_bytes, plan.rounds, MemoryCapText(plan),
             plan.latency_every);
  for (const Measure& measure : plan.measures) PrintMeasure(out, section, measure);
  PrintDisk(out, section);
  PrintSustainedSpace(out, section);
  PrintProbes(out, section);
}

}  // namespace

void PrintReport(std::FILE* out, const std::vector<Section>& sections, bool verbose) {
  for (const Section& section : sections) {
    if (&section != &sections.front()) fmt::print(out, "\n\n");
    PrintSection(out, section);
  }
  fmt::print(out,
             "\nBut for sync, no store calls fsync within a measured operation; what survives "
             "differs\n(--verbose).\n");
  for (const std::string& line : AbsentPeers()) fmt::print(out, "{}\n", line);
  if (!verbose || sections.empty()) return;
  for (const StoreResult& result : sections.front().results) {
    fmt::print(out, "\n{}\n  settings: {}\n  {}\n  sync always: {}\n", result.kind.title,
               result.kind.settings, result.kind.durability, result.kind.sync_always);
  }
}

}  // namespace freyja::bench
