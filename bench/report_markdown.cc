#include <fmt/format.h>

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

std::string RatesTable(const Section& section) {
  std::string text = "| store |";
  std::string rule = "| --- |";
  for (const Measure& measure : section.plan.measures) {
    text += fmt::format(" {} |", MeasureName(measure));
    rule += " --- |";
  }
  text += " disk / live |\n" + rule + " --- |\n";
  for (const StoreResult& result : section.results) {
    text += fmt::format("| {} |", Escaped(result.kind.title));
    for (const Measure& measure : section.plan.measures) {
      const auto figures = FiguresOf(section.results, result, measure);
      text += figures ? fmt::format(" {}{} |", figures->cut_short ? "\\*" : "",
                                    RateText(SpreadOf(figures->per_second)))
                      : " – |";
    }
    text += fmt::format(" {:.2f} |\n", DiskOverLive(section.plan, result).median);
  }
  return text;
}

std::string RatiosTable(const Section& section) {
  std::string text = "| FreyjaDB over |";
  std::string rule = "| --- |";
  for (const Measure& measure : section.plan.measures) {
    text += fmt::format(" {} |", MeasureName(measure));
    rule += " --- |";
  }
  text += "\n" + rule + "\n";
  bool any = false;
  for (const StoreResult& result : section.results) {
    std::string row = fmt::format("| {} |", Escaped(result.kind.title));
    bool any_here = false;
    for (const Measure& measure : section.plan.measures) {
      const auto figures = FiguresOf(section.results, result, measure);
      const bool has = figures && !figures->ratios.empty();
      row += has ? fmt::format(" {} |", RatioText(SpreadOf(figures->ratios))) : " – |";
      any_here = any_here || has;
    }
    if (any_here) text += row + "\n";
    any = any || any_here;
  }
  return any ? text : "";
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
  std::string text = fmt::format("## Values of {} bytes\n\n", plan.value_bytes);
  text += fmt::format(
      "{} keys of {} bytes; {} rounds, the stores in turn in each; medians (lowest - highest).\n",
      plan.keys, kKeyBytes, plan.rounds);
  text += "\n### Operations per second\n\n" + RatesTable(section);
  text += "\n\\* ended by time; `/2` means two threads, or two writers for sync.\n";
  const std::string ratios = RatiosTable(section);
  if (!ratios.empty()) text += "\n### FreyjaDB as a multiple, round by round\n\n" + ratios;
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
