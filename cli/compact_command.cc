#include <fmt/format.h>

#include <chrono>
#include <cmath>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "commands.h"
#include "compact_control.h"
#include "file_io.h"
#include "freyja/compaction.h"
#include "interrupt.h"
#include "progress.h"
#include "remote_store.h"
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
  std::vector<std::uint64_t> segments;
  std::uint64_t max_bytes = 0;
  std::uint64_t step_bytes = HotSwapConfig().step_bytes;
  bool plan = false;
  bool json = false;
  bool quiet = false;
  std::uint64_t segment_bytes = 0;
  ControlOptions control;
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
  config.segments = options.segments;
  config.max_input_bytes = options.max_bytes;
  config.step_bytes = options.step_bytes;
  config.seal_active = options.segments.empty();
  return config;
}

// Waits for the job (a CompactionJob, or one of another process), showing how far it is and
// passing an interrupt on.
template <class Job>
Result<CompactionReport> WaitForJob(Job& job, bool quiet) {
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
      {"complete", report.stopped.ok()},
      {"steps", report.steps},
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

nlohmann::ordered_json PlanJson(const CompactionPlan& plan) {
  nlohmann::ordered_json segments = nlohmann::ordered_json::array();
  for (const SegmentPlan& segment : plan.segments) {
    segments.push_back({{"id", segment.id},
                        {"chosen", segment.chosen},
                        {"record_bytes", segment.record_bytes},
                        {"dead_bytes", segment.dead_bytes},
                        {"reason", segment.reason}});
  }
  return {{"reason", plan.reason},
          {"bytes_read", plan.bytes_read},
          {"bytes_written", plan.bytes_written},
          {"bytes_reclaimed", plan.bytes_reclaimed},
          {"bytes_written_per_byte_reclaimed", plan.write_cost()},
          {"disk_bytes_needed", plan.disk_bytes_needed},
          {"estimated_ms", plan.estimated_time.count()},
          {"segments", std::move(segments)}};
}

std::string PlanText(const CompactionPlan& plan) {
  std::string out = fmt::format("{}\nwould read {}, write at most {}, reclaim at least {}\n",
                                OneLine(plan.reason), HumanBytes(plan.bytes_read),
                                HumanBytes(plan.bytes_written), HumanBytes(plan.bytes_reclaimed));
  if (!plan.segments.empty()) {
    out += fmt::format("\n{:>10}  {:>10}  {:>10}  {}\n", "SEGMENT", "SIZE", "DEAD", "PLAN");
  }
  for (const SegmentPlan& segment : plan.segments) {
    out += fmt::format("{:>10}  {:>10}  {:>10}  {}\n", segment.id, HumanBytes(segment.record_bytes),
                       HumanBytes(segment.dead_bytes),
                       segment.chosen ? "compact" : "stays: " + OneLine(segment.reason));
  }
  return out;
}

int ShowPlan(const CompactOptions& options, const Result<CompactionPlan>& plan) {
  if (!plan) return Fail(plan.error(), options.directory);
  return PrintOut(options.json ? JsonLine(PlanJson(*plan)) : PlanText(*plan));
}

// Why a job ended before all was done; what its steps reclaimed stays.
int FailStopped(const CompactOptions& options, const Status& status, bool changed) {
  const std::string_view what =
      changed ? "the steps it had made stay" : "it was rolled back and nothing has changed";
  if (status.code() == StatusCode::kCancelled && InterruptGuard::Interrupted()) {
    return Fail(kExitInterrupted, fmt::format("{}: interrupted; {}", options.directory, what));
  }
  return Fail(status, options.directory);
}

template <class Job>
int FinishJob(const CompactOptions& options, Result<Job> job) {
  if (!job) return Fail(job.error(), options.directory);
  const auto report = WaitForJob(*job, options.quiet);
  if (!report) return FailStopped(options, report.error(), /*changed=*/false);
  const int printed = PrintOut(options.json ? JsonLine(ReportJson(*report)) : ReportText(*report));
  if (report->stopped.ok()) return printed;
  return FailStopped(options, report->stopped, /*changed=*/true);
}

int Compact(const CompactOptions& options, KVStore& store) {
  HotSwapCompactor compactor(store, ConfigFor(options));
  if (options.plan) return ShowPlan(options, compactor.Plan());
  if (options.control.bytes_per_second != 0) {
    CompactionLimits limits;
    limits.bytes_per_second = options.control.bytes_per_second;
    const Status set = compactor.SetLimits(limits);
    if (!set.ok()) return Fail(set, options.directory);
  }
  return FinishJob(options, compactor.CompactInBackground());
}

// The store is open in another process, which has its limits and its size of segments.
int Compact(const CompactOptions& options, StoreControl& control) {
  if (options.control.bytes_per_second != 0 || options.segment_bytes != 0) {
    return Fail(kExitUsage,
                fmt::format("{}: another process has the store open: its limits can be changed "
                            "with --limits, and --segment-size is its own",
                            options.directory));
  }
  HotSwapConfig config = ConfigFor(options);
  if (!config.temp_dir.empty()) config.temp_dir = std::filesystem::absolute(config.temp_dir);
  if (options.plan) return ShowPlan(options, control.Plan(config));
  return FinishJob(options, control.Compact(config));
}

int RunCompact(const CompactOptions& options) {
  if (WantsControl(options.control)) {
    if (options.plan) throw CLI::ValidationError("--plan goes with none of the controls");
    return RunControl(options.control, options.directory, options.json);
  }
  const InterruptGuard guard;
  return WithStoreOrControl(options.directory, Access::kWrite, options.segment_bytes,
                            [&](auto& store) { return Compact(options, store); });
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
                   "Stop if it takes longer than this; default 0: no limit")
      ->check(NumberWithin(0, kMaxTimeoutSeconds))
      ->type_name("SECONDS");
  compact
      ->add_option("--segments", options->segments,
                   "Compact these segments and no others, by the numbers that 'freyja segments' "
                   "shows")
      ->delimiter(',')
      ->type_name("ID,...");
  AddSize(*compact, "--max-bytes", &options->max_bytes,
          "Stop after reading that much; default: no limit");
  AddSize(*compact, "--step", &options->step_bytes,
          "Commit whenever about that much has been read (default 256MiB); 0: only at the end");
  compact->add_flag("--plan", options->plan, "Show what would be done, and change nothing");
  compact->add_flag("--json", options->json, "One JSON object; sizes in bytes");
  compact->add_flag("-q,--quiet", options->quiet, "No progress");
  AddSegmentSize(*compact, &options->segment_bytes);
  AddControlOptions(*compact, &options->control);
  compact->footer(
      "The segment being written is sealed first, so that its dead records go as well. That\n"
      "there is nothing to reclaim is no failure: the exit code is 0. Ctrl-C or a time limit\n"
      "loses the step in progress, and the exit code is 130 or 4; the next run goes on.\n"
      "If another process has the store open, with a control socket, that process does it.\n\n"
      "Examples:\n"
      "  freyja compact db\n"
      "  freyja compact db --plan\n"
      "  freyja compact db --min-saving 0.3 --timeout 600 --rate 50MiB\n"
      "  freyja compact db --segments 3,7\n"
      "  freyja compact db --pause\n"
      "  freyja compact db --limits --rate 20MiB --latency-target 0.002\n"
      "  freyja compact db --json | jq .space_saved");
  compact->callback([options, exit_status] { *exit_status = RunCompact(*options); });
}

}  // namespace freyja::cli
