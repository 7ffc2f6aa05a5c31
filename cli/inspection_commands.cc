// stats and segments.
#include <memory>
#include <string>

#include "commands.h"
#include "file_io.h"
#include "remote_store.h"
#include "stats_fields.h"
#include "store_session.h"

namespace freyja::cli {
namespace {

struct InspectionOptions {
  std::string directory;
  bool json = false;
  std::string format;
};

int RunStats(const InspectionOptions& options) {
  if (options.json && !options.format.empty() && options.format != "json") {
    throw CLI::ValidationError("--json and --format " + options.format + " contradict each other");
  }
  return WithStoreOrControl(options.directory, Access::kRead, {}, [&](auto& store) {
    const auto stats = StatsOf(store);
    if (!stats) return Fail(stats.error(), options.directory);
    if (options.format == "prometheus") {
      const auto segments = SegmentsOf(store);
      if (!segments) return Fail(segments.error(), options.directory);
      const auto text = StatsPrometheus(*stats, *segments, options.directory);
      return text ? PrintOut(*text) : Fail(text.error(), options.directory);
    }
    const bool json = options.json || options.format == "json";
    return PrintOut(json ? JsonLine(StatsJson(*stats)) : StatsText(*stats));
  });
}

int RunSegments(const InspectionOptions& options) {
  return WithStoreOrControl(options.directory, Access::kRead, {}, [&](auto& store) {
    const auto segments = SegmentsOf(store);
    if (!segments) return Fail(segments.error(), options.directory);
    if (!options.json) return PrintOut(SegmentsText(*segments));
    auto array = nlohmann::ordered_json::array();
    for (const SegmentInfo& segment : *segments) array.push_back(SegmentJson(segment));
    return PrintOut(JsonLine({{"segments", std::move(array)}}));
  });
}

}  // namespace

void AddInspectionCommands(CLI::App& app, int* exit_status) {
  auto options = std::make_shared<InspectionOptions>();
  CLI::App* stats = app.add_subcommand("stats", "Show how big the store is and how it fares");
  AddDirectory(*stats, &options->directory);
  stats->add_option("--format", options->format, "text (default), json or prometheus")
      ->check(CLI::IsMember({"text", "json", "prometheus"}))
      ->type_name("FORMAT");
  stats->add_flag("--json", options->json, "The same as --format json: one object, sizes in bytes");
  stats->footer(
      "A store that another process has open tells about itself through its control socket.\n"
      "Otherwise it is opened read-only, so that the counters of writes and compactions show\n"
      "what this very open did. In Prometheus' text form every series has the label store,\n"
      "the absolute path of the directory.\n\n"
      "Examples:\n"
      "  freyja stats db\n"
      "  freyja stats db --json | jq .dead_bytes\n"
      "  freyja stats db --format prometheus > metrics.prom");
  stats->callback([options, exit_status] { *exit_status = RunStats(*options); });

  CLI::App* segments = app.add_subcommand("segments", "List the segment files and what they hold");
  AddDirectory(*segments, &options->directory);
  segments->add_flag("--json", options->json, "One JSON object; sizes in bytes");
  segments->footer(
      "Examples:\n"
      "  freyja segments db\n"
      "  freyja segments db --json | jq '.segments[] | select(.dead_bytes > .live_bytes)'");
  segments->callback([options, exit_status] { *exit_status = RunSegments(*options); });
}

}  // namespace freyja::cli
