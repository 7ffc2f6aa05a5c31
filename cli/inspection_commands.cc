// stats and segments.
#include <memory>
#include <string>

#include "commands.h"
#include "file_io.h"
#include "stats_fields.h"
#include "store_session.h"

namespace freyja::cli {
namespace {

struct InspectionOptions {
  std::string directory;
  bool json = false;
};

int RunStats(const InspectionOptions& options) {
  return WithStore(options.directory, Access::kRead, 0, [&](KVStore& store) {
    const Stats stats = store.GetStats();
    return PrintOut(options.json ? JsonLine(StatsJson(stats)) : StatsText(stats));
  });
}

int RunSegments(const InspectionOptions& options) {
  return WithStore(options.directory, Access::kRead, 0, [&](KVStore& store) {
    const std::vector<SegmentInfo> segments = store.GetSegments();
    if (!options.json) return PrintOut(SegmentsText(segments));
    auto array = nlohmann::ordered_json::array();
    for (const SegmentInfo& segment : segments) array.push_back(SegmentJson(segment));
    return PrintOut(JsonLine({{"segments", std::move(array)}}));
  });
}

}  // namespace

void AddInspectionCommands(CLI::App& app, int* exit_status) {
  auto options = std::make_shared<InspectionOptions>();
  CLI::App* stats = app.add_subcommand("stats", "Show how big the store is and how it fares");
  AddDirectory(*stats, &options->directory);
  stats->add_flag("--json", options->json, "One JSON object; sizes in bytes");
  stats->footer(
      "The store is opened read-only, so that the counters of writes and compactions show\n"
      "what this very open did.\n\n"
      "Examples:\n"
      "  freyja stats db\n"
      "  freyja stats db --json | jq .dead_bytes");
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
