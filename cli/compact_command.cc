#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "commands.h"
#include "compact_control.h"
#include "compact_job.h"
#include "compact_reports.h"
#include "compact_undo.h"
#include "file_io.h"
#include "freyja/compaction.h"
#include "interrupt.h"
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
  std::uint64_t keep_seconds = 0;
  std::uint64_t keep_bytes = 0;
  ControlOptions control;
  UndoOptions undo;

  QuarantineOptions quarantine() const {
    return {.keep_for = std::chrono::seconds(keep_seconds), .max_bytes = keep_bytes};
  }
};

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

int ShowPlan(const CompactOptions& options, const Result<CompactionPlan>& plan) {
  if (!plan) return Fail(plan.error(), options.directory);
  return PrintOut(options.json ? JsonLine(PlanJson(*plan)) : PlanText(*plan));
}

// How to take the job back, if that can be done.
std::string KeptText(const CompactOptions& options, std::uint64_t job,
                     const Result<std::vector<QuarantinedJob>>& kept) {
  if (!kept) return "";
  const auto found = std::ranges::find(*kept, job, &QuarantinedJob::id);
  if (found == kept->end()) {
    return options.quarantine().enabled()
               ? "  nothing was kept: it is more than --keep-bytes, or the disk is full\n"
               : "";
  }
  return fmt::format("  the old {} stay {}: 'freyja compact {} --undo {}' puts them back\n",
                     HumanBytes(found->bytes), KeptUntil(*found), OneLine(options.directory), job);
}

template <class Job>
int FinishCompaction(const CompactOptions& options, Result<Job> job, auto& compactor) {
  if (!job) return Fail(job.error(), options.directory);
  const JobView view{.directory = options.directory,
                     .verb = "compacting",
                     .json = options.json,
                     .quiet = options.quiet};
  return FinishJob(view, *job, [&](const CompactionReport& report) {
    if (!report.ran) return ReportText(report);
    return ReportText(report) + KeptText(options, report.job_id, compactor.Quarantine());
  });
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
  return FinishCompaction(options, compactor.CompactInBackground(), compactor);
}

// The store is open in another process, which has its limits and its size of segments.
int Compact(const CompactOptions& options, StoreControl& control) {
  if (options.control.bytes_per_second != 0 || options.segment_bytes != 0 ||
      options.quarantine().enabled()) {
    return Fail(kExitUsage,
                fmt::format("{}: another process has the store open: its limits can be changed "
                            "with --limits; --segment-size, --keep and --keep-bytes are its own",
                            options.directory));
  }
  HotSwapConfig config = ConfigFor(options);
  if (!config.temp_dir.empty()) config.temp_dir = std::filesystem::absolute(config.temp_dir);
  if (options.plan) return ShowPlan(options, control.Plan(config));
  return FinishCompaction(options, control.Compact(config), control);
}

int RunCompact(const CompactOptions& options) {
  if (WantsUndo(options.undo)) {
    return RunUndo(options.undo, options.directory, options.json, options.quiet);
  }
  if (WantsControl(options.control)) {
    if (options.plan) throw CLI::ValidationError("--plan goes with none of the controls");
    return RunControl(options.control, options.directory, options.json);
  }
  const InterruptGuard guard;
  const StoreSettings settings{.segment_bytes = options.segment_bytes,
                               .quarantine = options.quarantine()};
  return WithStoreOrControl(options.directory, Access::kWrite, settings,
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
  AddDuration(*compact, "--keep", &options->keep_seconds,
              "Keep what is replaced for that long, like 90s, 30m, 12h or 7d, so that the job can "
              "be undone");
  AddSize(*compact, "--keep-bytes", &options->keep_bytes,
          "The same, but at most that much of all jobs together, the newest")
      ->check(CLI::PositiveNumber);
  AddControlOptions(*compact, &options->control);
  AddUndoOptions(*compact, &options->undo);
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
      "  freyja compact db --keep 12h\n"
      "  freyja compact db --quarantine\n"
      "  freyja compact db --undo 7\n"
      "  freyja compact db --history 50\n"
      "  freyja compact db --pause\n"
      "  freyja compact db --limits --rate 20MiB --latency-target 0.002\n"
      "  freyja compact db --json | jq .space_saved");
  compact->callback([options, exit_status] { *exit_status = RunCompact(*options); });
}

}  // namespace freyja::cli
