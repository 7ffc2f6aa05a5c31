#include <fmt/format.h>

#include <algorithm>
#include <cstddef>
#include <string>

#include "figures.h"
#include "report.h"

namespace freyja::bench {

namespace {

bool AnyFootprint(const Section& section) {
  return std::ranges::any_of(section.probes,
                             [](const ProbeResult& result) { return !result.footprints.empty(); });
}

bool AnyOpen(const Section& section) {
  return std::ranges::any_of(section.probes,
                             [](const ProbeResult& result) { return !result.opens.empty(); });
}

std::string OpenText(const ProbeResult& result, OpenKind kind) {
  const auto found = result.opens.find(kind);
  if (found == result.opens.end()) return "";
  const Spread spread = SpreadOf(OpenSeconds(found->second));
  std::string text =
      fmt::format("{:.4f} ({:.4f} - {:.4f})", spread.median, spread.lowest, spread.highest);
  const std::uint64_t missing = MissingKeys(found->second);
  if (missing != 0) text += fmt::format(", {} lost", missing);
  return text;
}

}  // namespace

void PrintProbes(std::FILE* out, const Section& section) {
  if (AnyFootprint(section)) {
    fmt::print(out,
               "\nIn a process of its own: fill, get, overwrite, each of all keys. Medians;\n"
               "memory: anonymous and page tables, less the cache in use; CPU: all threads, with\n"
               "opening and closing\n{:<22} {:>13} {:>13} {:>10} {:>12} {:>12} {:>9}\n",
               "store", "memory/key B", "resident/key", "cache MiB", "written/put", "disk/live",
               "CPU ns");
    for (const ProbeResult& result : section.probes) {
      if (result.footprints.empty()) continue;
      const FootprintFigures figures = FiguresOf(result, section.plan.keys);
      fmt::print(out, "{:<22} {:>13.1f} {:>13.1f} {:>10.1f} {:>12.2f} {:>12.2f} {:>9.0f}\n",
                 result.kind.title, SpreadOf(figures.memory_per_key).median,
                 SpreadOf(figures.resident_per_key).median,
                 SpreadOf(figures.cache_bytes).median / (1 << 20),
                 SpreadOf(figures.written_over_put).median, SpreadOf(figures.disk_over_live).median,
                 SpreadOf(figures.cpu_ns).median);
    }
  }
  if (!AnyOpen(section)) return;
  fmt::print(out, "\nSeconds to open a filled store and get one key: median (lowest - highest)\n");
  fmt::print(out, "{:<22}", "store");
  for (const OpenKind kind : kOpenKinds) fmt::print(out, " {:>28}", OpenKindName(kind));
  fmt::print(out, "\n");
  for (const ProbeResult& result : section.probes) {
    if (result.opens.empty()) continue;
    fmt::print(out, "{:<22}", result.kind.title);
    for (const OpenKind kind : kOpenKinds) fmt::print(out, " {:>28}", OpenText(result, kind));
    fmt::print(out, "\n");
  }
}

std::string ProbesMarkdown(const Section& section) {
  std::string text;
  if (AnyFootprint(section)) {
    text +=
        "\n### Memory, bytes written and CPU of a process of its own\n\n"
        "| store | memory per key, bytes | resident per key, bytes | cache, MiB | written / put | "
        "disk / live | CPU ns per operation |\n| --- | --- | --- | --- | --- | --- | --- |\n";
    for (const ProbeResult& result : section.probes) {
      if (result.footprints.empty()) continue;
      const FootprintFigures figures = FiguresOf(result, section.plan.keys);
      text +=
          fmt::format("| {} | {} | {} | {:.1f} | {} | {} | {:.0f} |\n", result.kind.title,
                      RatioText(SpreadOf(figures.memory_per_key)),
                      RatioText(SpreadOf(figures.resident_per_key)),
                      SpreadOf(figures.cache_bytes).median / (1 << 20),
                      RatioText(SpreadOf(figures.written_over_put)),
                      RatioText(SpreadOf(figures.disk_over_live)), SpreadOf(figures.cpu_ns).median);
    }
  }
  if (!AnyOpen(section)) return text;
  text += "\n### Seconds to open and get one key\n\n| store |";
  for (const OpenKind kind : kOpenKinds) text += fmt::format(" {} |", OpenKindName(kind));
  text += "\n|";
  for (std::size_t i = 0; i <= kOpenKinds.size(); ++i) text += " --- |";
  text += "\n";
  for (const ProbeResult& result : section.probes) {
    if (result.opens.empty()) continue;
    text += fmt::format("| {} |", result.kind.title);
    for (const OpenKind kind : kOpenKinds) {
      const std::string cell = OpenText(result, kind);
      text += fmt::format(" {} |", cell.empty() ? "–" : cell);
    }
    text += "\n";
  }
  return text;
}

}  // namespace freyja::bench
