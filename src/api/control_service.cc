#include "api/control_service.h"

#include <algorithm>
#include <array>
#include <chrono>
#include <nlohmann/json.hpp>
#include <utility>

#include "api/store_parts.h"
#include "base/status_macros.h"
#include "control/fields.h"

namespace freyja::api {
namespace {

using control::FromJson;
using control::Json;
using control::Unknown;

constexpr std::size_t kMostRemembered = 256;

Status Invalid(std::string what) { return Status(StatusCode::kInvalidArgument, std::move(what)); }

Status CheckNone(const Json& arguments) {
  return arguments.empty() ? Status::Ok() : Invalid("this command takes no arguments");
}

Result<std::uint64_t> JobId(const Json& arguments) {
  std::uint64_t id = 0;
  if (arguments.size() != 1 || !arguments.contains("id")) {
    return std::unexpected(Invalid("the argument 'id', and no other, is needed"));
  }
  if (!FromJson(arguments.at("id"), Unknown::kRefused, &id).ok()) {
    return std::unexpected(Invalid("'id' is no job's number"));
  }
  return id;
}

Status NoJob(std::uint64_t id) {
  return Status(StatusCode::kNotFound, "there is no job " + std::to_string(id));
}

CompactionJobStatus StatusOf(const compaction::JobState& job) {
  const CompactionProgress progress = job.Progress();
  return {.id = job.id(),
          .reason = job.config().reason,
          .phase = std::string(progress.phase),
          .bytes_total = progress.bytes_total,
          .bytes_done = progress.bytes_done};
}

Result<HotSwapConfig> ConfigIn(const Json& arguments) {
  HotSwapConfig config;
  FREYJA_RETURN_IF_ERROR(FromJson(arguments, Unknown::kRefused, &config));
  if (!config.temp_dir.empty() && !config.temp_dir.is_absolute()) {
    return std::unexpected(Invalid("temp_dir must be absolute"));
  }
  return config;
}

}  // namespace

struct ControlService::Command {
  std::string_view name;
  bool is_slow;
  Result<Json> (ControlService::*run)(const Json& arguments);
};

const ControlService::Command* ControlService::Find(std::string_view name) {
  static constexpr std::array kCommands = {
      Command{"stats", false, &ControlService::GetStats},
      Command{"segments", false, &ControlService::GetSegments},
      Command{"status", false, &ControlService::GetStatus},
      Command{"plan", true, &ControlService::Plan},
      Command{"compact", true, &ControlService::Compact},
      Command{"undo", true, &ControlService::Undo},
      Command{"quarantine", false, &ControlService::GetQuarantine},
      Command{"end_quarantine", true, &ControlService::EndQuarantine},
      Command{"history", true, &ControlService::GetHistory},
      Command{"job", false, &ControlService::GetJob},
      Command{"cancel", false, &ControlService::Cancel},
      Command{"pause", false, &ControlService::Pause},
      Command{"resume", false, &ControlService::Resume},
      Command{"set_limits", false, &ControlService::SetLimits},
  };
  const auto found = std::ranges::find(kCommands, name, &Command::name);
  return found == kCommands.end() ? nullptr : &*found;
}

Result<std::unique_ptr<ControlService>> ControlService::Start(StoreParts& parts) {
  engine::Directory& directory = parts.store->directory();
  if (!directory.file_system().IsNative()) {
    return std::unexpected(Status(StatusCode::kUnsupported,
                                  "Options::control_socket: this file system has no sockets"));
  }
  std::unique_ptr<ControlService> service(new ControlService(parts));
  FREYJA_ASSIGN_OR_RETURN(service->server_, control::Server::Start(directory.path(), *service));
  return service;
}

bool ControlService::IsSlow(std::string_view command) const {
  const Command* const found = Find(command);
  return found != nullptr && found->is_slow;
}

Result<Json> ControlService::Handle(const std::string& command, const Json& arguments) {
  const Command* const found = Find(command);
  if (found != nullptr) return (this->*found->run)(arguments);
  return std::unexpected(Status(StatusCode::kUnsupported, "there is no command '" + command + "'"));
}

Result<Json> ControlService::GetStats(const Json& arguments) {
  FREYJA_RETURN_IF_ERROR(CheckNone(arguments));
  return control::ToJson(parts_.GetStats());
}

Result<Json> ControlService::GetSegments(const Json& arguments) {
  FREYJA_RETURN_IF_ERROR(CheckNone(arguments));
  return control::ToJson(parts_.store->GetSegments());
}

Result<Json> ControlService::GetStatus(const Json& arguments) {
  FREYJA_RETURN_IF_ERROR(CheckNone(arguments));
  CompactionStatus status;
  status.paused = parts_.jobs.throttle().paused();
  status.limits = parts_.scheduler.limits();
  for (const JobPtr& job : parts_.jobs.Unfinished()) status.jobs.push_back(StatusOf(*job));
  return control::ToJson(status);
}

Result<Json> ControlService::Plan(const Json& arguments) {
  FREYJA_ASSIGN_OR_RETURN(const HotSwapConfig config, ConfigIn(arguments));
  FREYJA_ASSIGN_OR_RETURN(const CompactionPlan plan, parts_.Plan(config));
  return control::ToJson(plan);
}

Result<Json> ControlService::Compact(const Json& arguments) {
  FREYJA_ASSIGN_OR_RETURN(const HotSwapConfig config, ConfigIn(arguments));
  FREYJA_ASSIGN_OR_RETURN(const JobPtr job, parts_.jobs.Submit(config));
  return Remember(job);
}

Json ControlService::Remember(const JobPtr& job) {
  base::MutexLock lock(mutex_);
  started_[job->id()] = job;
  if (started_.size() > kMostRemembered) started_.erase(started_.begin());
  return control::ToJson(StatusOf(*job));
}

Result<Json> ControlService::Undo(const Json& arguments) {
  FREYJA_ASSIGN_OR_RETURN(const std::uint64_t id, JobId(arguments));
  FREYJA_ASSIGN_OR_RETURN(const JobPtr job, parts_.jobs.SubmitUndo(id));
  return Remember(job);
}

Result<Json> ControlService::GetQuarantine(const Json& arguments) {
  FREYJA_RETURN_IF_ERROR(CheckNone(arguments));
  return control::ToJson(parts_.GetQuarantine());
}

Result<Json> ControlService::EndQuarantine(const Json& arguments) {
  FREYJA_ASSIGN_OR_RETURN(const std::uint64_t id, JobId(arguments));
  FREYJA_RETURN_IF_ERROR(parts_.EndQuarantine(id));
  return Json::object();
}

// As long as the file, of which the size is bounded.
Result<Json> ControlService::GetHistory(const Json& arguments) {
  FREYJA_RETURN_IF_ERROR(CheckNone(arguments));
  FREYJA_ASSIGN_OR_RETURN(const auto records, parts_.jobs.history().Read());
  return control::ToJson(records);
}

Result<Json> ControlService::GetJob(const Json& arguments) {
  FREYJA_ASSIGN_OR_RETURN(const std::uint64_t id, JobId(arguments));
  JobPtr job;
  {
    base::MutexLock lock(mutex_);
    if (const auto found = started_.find(id); found != started_.end()) job = found->second;
  }
  if (job == nullptr) return std::unexpected(NoJob(id));
  const auto outcome = job->WaitFor(std::chrono::milliseconds(0));
  if (!outcome) return control::ToJson(StatusOf(*job));
  if (!*outcome) return std::unexpected(outcome->error());
  return Json{{"report", control::ToJson(**outcome)}};
}

Result<Json> ControlService::Cancel(const Json& arguments) {
  const std::vector<JobPtr> jobs = parts_.jobs.Unfinished();
  if (arguments.empty()) {
    for (const JobPtr& job : jobs) job->Cancel();
    return Json(jobs.size());
  }
  FREYJA_ASSIGN_OR_RETURN(const std::uint64_t id, JobId(arguments));
  const auto job = std::ranges::find(jobs, id, [](const JobPtr& each) { return each->id(); });
  if (job == jobs.end()) return std::unexpected(NoJob(id));
  (*job)->Cancel();
  return Json(std::uint64_t{1});
}

Result<Json> ControlService::Pause(const Json& arguments) {
  FREYJA_RETURN_IF_ERROR(CheckNone(arguments));
  parts_.scheduler.SetPaused(true);
  return Json::object();
}

Result<Json> ControlService::Resume(const Json& arguments) {
  FREYJA_RETURN_IF_ERROR(CheckNone(arguments));
  parts_.scheduler.SetPaused(false);
  return Json::object();
}

Result<Json> ControlService::SetLimits(const Json& arguments) {
  CompactionLimits limits;
  FREYJA_RETURN_IF_ERROR(FromJson(arguments, Unknown::kRefused, &limits));
  FREYJA_RETURN_IF_ERROR(parts_.scheduler.SetLimits(limits));
  return Json::object();
}

}  // namespace freyja::api
