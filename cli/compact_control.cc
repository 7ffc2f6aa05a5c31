#include "compact_control.h"

#include <fmt/format.h>

#include <chrono>
#include <cmath>
#include <nlohmann/json.hpp>
#include <optional>
#include <vector>

#include "commands.h"
#include "exit_code.h"
#include "file_io.h"
#include "freyja/control.h"
#include "remote_store.h"
#include "stats_fields.h"
#include "text.h"

namespace freyja::cli {
namespace {

using Json = nlohmann::ordered_json;

constexpr std::uint64_t kLowestRate = std::uint64_t{1} << 20;
constexpr double kLongestTargetSeconds = 3600;
constexpr double kHighestCeiling = 1e6;

Json LimitsJson(const CompactionLimits& limits) {
  return {{"bytes_per_second", limits.bytes_per_second.value_or(0)},
          {"latency_target_us", limits.latency_target.count()},
          {"space_ceiling", limits.space_ceiling},
          {"bytes_ceiling", limits.bytes_ceiling},
          {"max_write_delay_us", limits.max_write_delay.count()}};
}

std::string LimitsText(const CompactionLimits& limits) {
  std::string text;
  const auto add = [&text](const std::string& limit) {
    text += (text.empty() ? "" : ", ") + limit;
  };
  if (limits.bytes_per_second) add(HumanBytes(*limits.bytes_per_second) + "/s");
  if (limits.latency_target.count() != 0) {
    add("latency up to " +
        HumanDuration(std::chrono::duration<double>(limits.latency_target).count()));
  }
  if (limits.space_ceiling != 0) add(fmt::format("{} times the live bytes", limits.space_ceiling));
  if (limits.bytes_ceiling != 0) add(HumanBytes(limits.bytes_ceiling) + " on disk");
  return text.empty() ? "none" : text;
}

Json StatusJson(const CompactionStatus& status, const SchedulerStats& scheduler) {
  auto jobs = Json::array();
  for (const CompactionJobStatus& job : status.jobs) {
    jobs.push_back({{"id", job.id},
                    {"phase", job.phase},
                    {"bytes_done", job.bytes_done},
                    {"bytes_total", job.bytes_total},
                    {"reason", job.reason}});
  }
  return {{"paused", status.paused},
          {"scheduler_running", scheduler.running},
          {"decision", scheduler.decision},
          {"limits", LimitsJson(status.limits)},
          {"jobs", std::move(jobs)}};
}

std::string StatusText(const CompactionStatus& status, const SchedulerStats& scheduler) {
  std::string text = fmt::format(
      "compaction  {}\nscheduler   {}\nlimits      {}\n",
      status.paused ? "paused" : (status.jobs.empty() ? "idle" : "running"),
      scheduler.running ? OneLine(scheduler.decision) : "off", LimitsText(status.limits));
  for (const CompactionJobStatus& job : status.jobs) {
    text += fmt::format("job {:<7} {}, {} of {} ({}){}\n", job.id, OneLine(job.phase),
                        HumanBytes(job.bytes_done), HumanBytes(job.bytes_total),
                        Percent(job.bytes_done, job.bytes_total),
                        job.reason.empty() ? "" : ": " + OneLine(job.reason));
  }
  return text;
}

int Print(bool json, const Json& object, const std::string& text) {
  return PrintOut(json ? JsonLine(object) : text);
}

int ShowStatus(StoreControl& control, const std::string& directory, bool json) {
  const auto status = control.GetStatus();
  if (!status) return Fail(status.error(), directory);
  const auto stats = control.GetStats();
  if (!stats) return Fail(stats.error(), directory);
  return Print(json, StatusJson(*status, stats->scheduler), StatusText(*status, stats->scheduler));
}

int SetPaused(StoreControl& control, bool paused, const std::string& directory, bool json) {
  const Status done = paused ? control.Pause() : control.Resume();
  if (!done.ok()) return Fail(done, directory);
  return Print(json, {{"paused", paused}}, paused ? "paused\n" : "resumed\n");
}

int CancelJobs(StoreControl& control, std::uint64_t job, const std::string& directory, bool json) {
  const auto count = control.Cancel(job == 0 ? std::nullopt : std::optional(job));
  if (!count) return Fail(count.error(), directory);
  return Print(json, {{"cancelled", *count}},
               *count == 0 ? "no job to cancel\n"
                           : fmt::format("asked {} to end\n", Counted(*count, "job")));
}

int ChangeLimits(StoreControl& control, const ControlOptions& options, const std::string& directory,
                 bool json) {
  const auto status = control.GetStatus();
  if (!status) return Fail(status.error(), directory);
  CompactionLimits limits = options.no_limits ? CompactionLimits() : status->limits;
  if (options.bytes_per_second != 0) limits.bytes_per_second = options.bytes_per_second;
  if (options.latency_target_seconds != 0) {
    limits.latency_target =
        std::chrono::microseconds(std::llround(std::ceil(options.latency_target_seconds * 1e6)));
  }
  if (options.space_ceiling != 0) limits.space_ceiling = options.space_ceiling;
  if (options.bytes_ceiling != 0) limits.bytes_ceiling = options.bytes_ceiling;
  const Status set = control.SetLimits(limits);
  if (!set.ok()) return Fail(set, directory);
  return Print(json, LimitsJson(limits), fmt::format("limits: {}\n", LimitsText(limits)));
}

bool GivesLimits(const ControlOptions& options) {
  return options.latency_target_seconds != 0 || options.space_ceiling != 0 ||
         options.bytes_ceiling != 0;
}

}  // namespace

void AddControlOptions(CLI::App& compact, ControlOptions* options) {
  AddSize(compact, "--rate", &options->bytes_per_second,
          "Read and write at most that much a second, at least 1MiB; default: no limit")
      ->check(CLI::Range(kLowestRate, UINT64_MAX));
  CLI::Option_group* group = compact.add_option_group("Of a store that another process has open");
  group->add_flag("--status", options->status, "Show jobs, limits, and what the scheduler does");
  group->add_flag("--pause", options->pause, "Stop all compaction until --resume");
  group->add_flag("--resume", options->resume, "Let it go on");
  group->add_flag("--cancel", options->cancel, "End the jobs that run or wait, or --job");
  group->add_option("--job", options->job, "With --cancel: this one only")
      ->check(CLI::PositiveNumber)
      ->type_name("ID");
  group->add_flag("--limits", options->limits,
                  "Set the limits that are given by --rate and the following");
  group->add_flag("--no-limits", options->no_limits, "The same, and lift those not given");
  group
      ->add_option("--latency-target", options->latency_target_seconds,
                   "99th percentile of operations above which compaction slows down")
      ->check(NumberWithin(1e-6, kLongestTargetSeconds))
      ->type_name("SECONDS");
  group
      ->add_option("--space-ceiling", options->space_ceiling,
                   "Bytes on disk per live byte, from 1.1 on")
      ->check(NumberWithin(1.1, kHighestCeiling))
      ->type_name("FACTOR");
  AddSize(*group, "--bytes-ceiling", &options->bytes_ceiling, "Bytes on disk");
}

bool WantsControl(const ControlOptions& options) {
  const int wanted = options.status + options.pause + options.resume + options.cancel +
                     (options.limits || options.no_limits);
  if (wanted > 1) {
    throw CLI::ValidationError(
        "--status, --pause, --resume, --cancel and --limits exclude each other");
  }
  if (options.job != 0 && !options.cancel) throw CLI::ValidationError("--job needs --cancel");
  if (GivesLimits(options) && !options.limits && !options.no_limits) {
    throw CLI::ValidationError("limits need --limits");
  }
  return wanted == 1;
}

int RunControl(const ControlOptions& options, const std::string& directory, bool json) {
  auto control = ConnectTo(directory);
  if (!control) return Fail(control.error(), directory);
  if (options.status) return ShowStatus(*control, directory, json);
  if (options.cancel) return CancelJobs(*control, options.job, directory, json);
  if (options.pause || options.resume) return SetPaused(*control, options.pause, directory, json);
  return ChangeLimits(*control, options, directory, json);
}

}  // namespace freyja::cli
