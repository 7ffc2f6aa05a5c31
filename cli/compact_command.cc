#include <fmt/format.h>

#include <chrono>
#include <cmath>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "commands.h"
#include "file_io.h"
#include "freyja/compaction.h"
#include "interrupt.h"
#include "progress.h"
#include "stats_fields.h"
#include "store_session.h"
#include "text.h"

namespace freyja::cli {
namespace {

struct CompactOptions {
  std::string directory;
  double min_saving = 0;
  std::string temp_dir;
  double timeout_seconds = 0;
  bool json = false;
  bool quiet = false;
  std::uint64_t segment_bytes = 0;
};

constexpr std::chrono::milliseconds kPollInterval{50};
constexpr double kMaxTimeoutSeconds = 1e9;

HotSwapConfig ConfigFor(const CompactOptions& options) {
  HotSwapConfig config;
  config.temp_dir = options.temp_dir;
  config.min_space_saving = options.min_saving;
  // Rounded up: a limit that was asked for must not become "none".
  config.compaction_timeout =
      std::chrono::milliseconds(std::llround(std::ceil(options.timeout_seconds * 1000)));
  config.seal_active = true;
  return config;
}

// Waits for the job, showing how far it is and passing an interrupt on.
Result<CompactionReport> WaitForJob(const CompactionJob& job, bool quiet) {
  std::optional<Progress> progress;
  bool cancelled = false;
  for (;;) {
    if (auto outcome = job.WaitFor(kPollInterval)) return *std::move(outcome);
    if (InterruptGuard::Interrupted() && !cancelled) {
      job.Cancel();
      cancelled = true;
    }
    const CompactionProgress now = job.Progress();
    if (!progress && now.bytes_total > 0) {
      progress.emplace("compacting", now.bytes_total, Progress::Unit::kBytes,
                       quiet ? Progress::Show::kNever : Progress::Show::kAuto);
    }
    if (progress) progress->Update(now.bytes_done, now.phase);
  }
}

nlohmann::ordered_json ReportJson(const CompactionReport& report) {
  const CompactionCounters& counters = report.counters;
  return {
      {"ran", report.ran},
      {"reason", report.reason},
      {"input_files", report.input_files},
      {"output_files", report.output_files},
      {"records_read", counters.records_read},
      {"bytes_read", counters.bytes_read},
      {"records_copied", counters.records_copied},
      {"bytes_copied", counters.bytes_copied},
      {"records_dropped", counters.records_dropped},
      {"bytes_dropped", counters.bytes_dropped},
      {"records_expired", counters.records_expired},
      {"tombstones_kept", counters.tombstones_kept},
      {"bytes_before", report.bytes_before},
      {"bytes_after", report.bytes_after},
      {"space_saved", report.space_saved},
      {"duration_us", report.duration.count()},
      {"publish_duration_us", report.publish_duration.count()},
      {"longest_publish_pause_us", report.longest_publish_pause.count()},
  };
}

std::string ReportText(const CompactionReport& report) {
  if (!report.ran) return fmt::format("nothing to reclaim: {}\n", OneLine(report.reason));
  const CompactionCounters& counters = report.counters;
  std::string kept;
  if (counters.tombstones_kept > 0) {
    kept = fmt::format(", {} of them tombstones that are still needed",
                       HumanCount(counters.tombstones_kept));
  }
  return fmt::format(
      "reclaimed {} in {}: {} -> {}\n"
      "  {} became {}\n"
      "  {} read, {} dropped, {} copied{}\n",
      HumanSignedBytes(report.space_saved),
      HumanDuration(std::chrono::duration<double>(report.duration).count()),
      HumanBytes(report.bytes_before), HumanBytes(report.bytes_after),
      Counted(report.input_files.size(), "segment"), report.output_files.size(),
      Counted(counters.records_read, "record"), HumanCount(counters.records_dropped),
      HumanCount(counters.records_copied), kept);
}

int Compact(const CompactOptions& options, KVStore& store) {
  HotSwapCompactor compactor(store, ConfigFor(options));
  auto job = compactor.CompactInBackground();
  if (!job) return Fail(job.error(), options.directory);
  const auto report = WaitForJob(*job, options.quiet);
  if (report) {
    return PrintOut(options.json ? JsonLine(ReportJson(*report)) : ReportText(*report));
  }
  const Status& status = report.error();
  if (status.code() == StatusCode::kCancelled && InterruptGuard::Interrupted()) {
    return Fail(kExitInterrupted, options.directory +
                                      ": interrupted; the compaction was rolled back and nothing "
                                      "has changed");
  }
  return Fail(status, options.directory);
}

int RunCompact(const CompactOptions& options) {
  const InterruptGuard guard;
  return WithStore(options.directory, Access::kWrite, options.segment_bytes,
                   [&](KVStore& store) { return Compact(options, store); });
}

}  // namespace

void AddCompactCommand(CLI::App& app, int* exit_status) {
  auto options = std::make_shared<CompactOptions>();
  CLI::App* compact = app.add_subcommand("compact", "Take back the space of dead records");
  AddDirectory(*compact, &options->directory);
  compact
      ->add_option("--min-saving", options->min_saving,
                   "Leave segments of which less than this share (0 to 1) is dead; default 0: "
                   "take any gain")
      ->check(NumberWithin(0, 1))
      ->type_name("SHARE");
  compact
      ->add_option("--temp-dir", options->temp_dir,
                   "Write new segments here first; must be on the store's file system")
      ->type_name("DIR");
  compact
      ->add_option("--timeout", options->timeout_seconds,
                   "Roll back if it takes longer than this; default 0: no limit")
      ->check(NumberWithin(0, kMaxTimeoutSeconds))
      ->type_name("SECONDS");
  compact->add_flag("--json", options->json, "One JSON object; sizes in bytes");
  compact->add_flag("-q,--quiet", options->quiet, "No progress");
  AddSegmentSize(*compact, &options->segment_bytes);
  compact->footer(
      "The segment being written is sealed first, so that its dead records go as well. That\n"
      "there is nothing to reclaim is no failure: the exit code is 0. Ctrl-C or a time limit\n"
      "rolls back: nothing has changed then, and the exit code is 130 or 4.\n\n"
      "Examples:\n"
      "  freyja compact db\n"
      "  freyja compact db --min-saving 0.3 --timeout 600\n"
      "  freyja compact db --json | jq .space_saved");
  compact->callback([options, exit_status] { *exit_status = RunCompact(*options); });
}

}  // namespace freyja::cli
