#include <fmt/format.h>

#include <algorithm>
#include <string>
#include <string_view>
#include <vector>

#include "figures.h"
#include "keys_values.h"
#include "report.h"

namespace freyja::bench {

namespace {

// A cell must not end its column.
std::string Escaped(std::string_view text) {
  std::string escaped;
  for (const char c : text) {
    if (c == '|') escaped += '\\';
    escaped += c;
  }
  return escaped;
}

// A row for each measure, a column for each store that `cell` has anything to say of.
template <typename Cell>
std::string MeasureTable(const Section& section, std::string_view corner, Cell cell) {
  std::string head = fmt::format("| {} |", corner);
  std::string rule = "| --- |";
  std::vector<const StoreResult*> columns;
  for (const StoreResult& result : section.results) {
    const bool any = std::ranges::any_of(section.plan.measures, [&](const Measure& measure) {
      const auto figures = FiguresOf(section.results, result, measure);
      return figures && !cell(*figures).empty();
    });
    if (!any) continue;
    columns.push_back(&result);
    head += fmt::format(" {} |", Escaped(result.kind.title));
    rule += " --- |";
  }
  if (columns.empty()) return "";
  std::string text = head + "\n" + rule + "\n";
  for (const Measure& measure : section.plan.measures) {
    text += fmt::format("| {} |", MeasureName(measure));
    for (const StoreResult* const result : columns) {
      const auto figures = FiguresOf(section.results, *result, measure);
      const std::string words = figures ? cell(*figures) : "";
      text += fmt::format(" {} |", words.empty() ? "–" : words);
    }
    text += "\n";
  }
  return text;
}

std::string RatesTable(const Section& section) {
  std::string text = MeasureTable(section, "workload", [](const MeasureFigures& figures) {
    return (figures.cut_short ? "\\*" : "") + RateText(SpreadOf(figures.per_second));
  });
  text += "| disk / live |";
  for (const StoreResult& result : section.results) {
    text += fmt::format(" {:.2f} |", DiskOverLive(section.plan, result).median);
  }
  return text + "\n";
}

// Empty if nothing was sustained.
std::string SustainedSpaceTable(const Section& section) {
  std::string text;
  for (const StoreResult& result : section.results) {
    const auto space = SustainedSpaceOf(section.plan, result);
    if (!space) continue;
    text += fmt::format("| {} | {} | {} |\n", Escaped(result.kind.title),
                        RatioText(SpreadOf(space->mean)), RatioText(SpreadOf(space->highest)));
  }
  if (text.empty()) return "";
  return "| disk / live during `sustained` | mean | highest |\n| --- | --- | --- |\n" + text;
}

std::string RatiosTable(const Section& section) {
  return MeasureTable(section, "FreyjaDB over", [](const MeasureFigures& figures) {
    return figures.ratios.empty() ? "" : RatioText(SpreadOf(figures.ratios));
  });
}

std::string DetailsTable(const Section& section) {
  std::string text = "| workload | store | CPU ns | all CPU ns |";
  std::string rule = "| --- | --- | --- | --- |";
  for (const Quantile& quantile : kQuantiles) {
    text += fmt::format(" {} µs |", quantile.name);
    rule += " --- |";
  }
  text += " max µs |\n" + rule + " --- |\n";
  const double factor = NanosecondsPerTick() / 1e3;
  for (const Measure& measure : section.plan.measures) {
    for (const StoreResult& result : section.results) {
      const auto figures = FiguresOf(section.results, result, measure);
      if (!figures) continue;
      text += fmt::format("| {} | {} | {:.0f} | {:.0f} |", MeasureName(measure),
                          Escaped(result.kind.title), SpreadOf(figures->thread_cpu_ns).median,
                          SpreadOf(figures->process_cpu_ns).median);
      const Histogram& latency = figures->latency;
      for (const Quantile& quantile : kQuantiles) {
        text +=
            latency.count() == 0
                ? " – |"
                : fmt::format(" {:.2f} |",
                              static_cast<double>(latency.Percentile(quantile.percent)) * factor);
      }
      text += latency.count() == 0
                  ? " – |\n"
                  : fmt::format(" {:.0f} |\n", static_cast<double>(latency.max()) * factor);
    }
  }
  return text;
}

std::string SettingsTable(const Section& section) {
  std::string text =
      "| store | settings | what survives | sync always |\n| --- | --- | --- | --- |\n";
  for (const StoreResult& result : section.results) {
    text += fmt::format("| {} | {} | {} | {} |\n", Escaped(result.kind.title),
                        Escaped(result.kind.settings), Escaped(result.kind.durability),
                        Escaped(result.kind.sync_always));
  }
  return text;
}

std::string SectionText(const Section& section) {
  const Plan& plan = section.plan;
  std::string text = fmt::format("## Values of {} bytes, {} keys\n\n", plan.value_bytes, plan.keys);
  text += fmt::format(
      "Keys of {} bytes; {} rounds, the stores in turn in each{}; medians (lowest - highest).\n",
      kKeyBytes, plan.rounds, MemoryCapText(plan));
  text += "\n### Operations per second\n\n" + RatesTable(section);
  text += "\n\\* ended by time; `/2` means two threads, or two writers for sync.\n";
  const std::string ratios = RatiosTable(section);
  if (!ratios.empty()) text += "\n### FreyjaDB as a multiple, round by round\n\n" + ratios;
  const std::string space = SustainedSpaceTable(section);
  if (!space.empty()) text += "\n" + space;
  text += "\n### CPU per operation, and latency of single calls\n\n" + DetailsTable(section);
  text += ProbesMarkdown(section);
  return text;
}

}  // namespace

std::string ToMarkdown(const std::vector<Section>& sections) {
  std::string text = "# freyja-bench\n";
  for (const Section& section : sections) text += "\n" + SectionText(section);
  if (!sections.empty()) text += "\n## Settings\n\n" + SettingsTable(sections.front());
  for (const std::string& line : AbsentPeers()) text += "\n" + line + "\n";
  return text;
}

}  // namespace freyja::bench
