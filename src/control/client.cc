// The public face of a connection (freyja/control.h).
#include <algorithm>
#include <exception>
#include <nlohmann/json.hpp>
#include <thread>
#include <utility>

#include "base/status_macros.h"
#include "control/connection.h"
#include "control/fields.h"
#include "freyja/control.h"

namespace freyja {
namespace {

using control::Connection;
using control::Json;

constexpr std::chrono::milliseconds kAskAgainAfter{50};

// Nothing is thrown across the API.
template <class Work>
auto Guarded(Work&& work) -> decltype(work()) {
  try {
    return work();
  } catch (const std::exception&) {
    return base::ErrorReturn(Status(StatusCode::kOutOfMemory, "out of memory"));
  }
}

Status WithoutResult(const Result<Json>& reply) { return reply ? Status::Ok() : reply.error(); }

template <class Value>
Result<Value> Read(const Json& json) {
  Value value;
  const Status read = control::FromJson(json, control::Unknown::kIgnored, &value);
  if (read.ok()) return value;
  return std::unexpected(Status(StatusCode::kIoError, "the store's answer: " + read.message()));
}

template <class Value>
Result<Value> Ask(Connection& connection, std::string_view command,
                  const Json& arguments = Json::object()) {
  return Guarded([&]() -> Result<Value> {
    FREYJA_ASSIGN_OR_RETURN(const Json json, connection.Call(command, arguments));
    return Read<Value>(json);
  });
}

Result<RemoteCompactionJob> StartJob(const std::shared_ptr<Connection>& connection,
                                     std::string_view command, const Json& arguments) {
  FREYJA_ASSIGN_OR_RETURN(const auto job,
                          Ask<CompactionJobStatus>(*connection, command, arguments));
  return RemoteCompactionJob(connection, job.id);
}

Status CheckTempDir(const HotSwapConfig& config) {
  if (config.temp_dir.empty() || config.temp_dir.is_absolute()) return Status::Ok();
  return Status(StatusCode::kInvalidArgument,
                "temp_dir " + config.temp_dir.string() +
                    " must be absolute: the store is open in another process");
}

}  // namespace

// --- StoreControl ---------------------------------------------------------------------

StoreControl::StoreControl(std::shared_ptr<Connection> connection)
    : connection_(std::move(connection)) {}

Result<StoreControl> StoreControl::Connect(const std::filesystem::path& store,
                                           std::chrono::milliseconds answer_within) {
  return Guarded([&]() -> Result<StoreControl> {
    auto connection = std::make_shared<Connection>(store, answer_within);
    FREYJA_RETURN_IF_ERROR(connection->Open());
    return StoreControl(std::move(connection));
  });
}

Result<Stats> StoreControl::GetStats() { return Ask<Stats>(*connection_, "stats"); }

Result<std::vector<SegmentInfo>> StoreControl::GetSegments() {
  return Ask<std::vector<SegmentInfo>>(*connection_, "segments");
}

Result<CompactionPlan> StoreControl::Plan(const HotSwapConfig& config) {
  FREYJA_RETURN_IF_ERROR(CheckTempDir(config));
  return Guarded(
      [&] { return Ask<CompactionPlan>(*connection_, "plan", control::ToJson(config)); });
}

Result<RemoteCompactionJob> StoreControl::Compact(const HotSwapConfig& config) {
  FREYJA_RETURN_IF_ERROR(CheckTempDir(config));
  return Guarded([&] { return StartJob(connection_, "compact", control::ToJson(config)); });
}

Result<RemoteCompactionJob> StoreControl::Undo(std::uint64_t job_id) {
  return Guarded([&] { return StartJob(connection_, "undo", {{"id", job_id}}); });
}

Result<std::vector<QuarantinedJob>> StoreControl::Quarantine() {
  return Ask<std::vector<QuarantinedJob>>(*connection_, "quarantine");
}

Status StoreControl::EndQuarantine(std::uint64_t job_id) {
  return Guarded(
      [&] { return WithoutResult(connection_->Call("end_quarantine", {{"id", job_id}})); });
}

Result<std::vector<CompactionRecord>> StoreControl::History() {
  return Ask<std::vector<CompactionRecord>>(*connection_, "history");
}

Status StoreControl::Pause() {
  return Guarded([&] { return WithoutResult(connection_->Call("pause", Json::object())); });
}

Status StoreControl::Resume() {
  return Guarded([&] { return WithoutResult(connection_->Call("resume", Json::object())); });
}

Status StoreControl::SetLimits(const CompactionLimits& limits) {
  return Guarded(
      [&] { return WithoutResult(connection_->Call("set_limits", control::ToJson(limits))); });
}

Result<CompactionStatus> StoreControl::GetStatus() {
  return Ask<CompactionStatus>(*connection_, "status");
}

Result<std::uint64_t> StoreControl::Cancel(std::optional<std::uint64_t> job_id) {
  return Guarded([&] {
    Json arguments = Json::object();
    if (job_id) arguments["id"] = *job_id;
    return Ask<std::uint64_t>(*connection_, "cancel", arguments);
  });
}

// --- RemoteCompactionJob --------------------------------------------------------------

RemoteCompactionJob::RemoteCompactionJob(std::shared_ptr<Connection> connection, std::uint64_t id)
    : connection_(std::move(connection)), id_(id) {
  seen_.phase = "queued";
}

std::optional<Result<CompactionReport>> RemoteCompactionJob::WaitFor(
    std::chrono::milliseconds timeout) {
  using Outcome = std::optional<Result<CompactionReport>>;
  using Clock = std::chrono::steady_clock;
  const auto deadline =
      Clock::now() + std::min<std::chrono::milliseconds>(timeout, std::chrono::hours(24 * 365));
  try {
    for (;;) {
      Result<Json> reply = connection_->Call("job", {{"id", id_}});
      if (!reply) return Outcome(std::unexpected(std::move(reply).error()));
      if (reply->is_object() && reply->contains("report")) {
        return Outcome(Read<CompactionReport>(reply->at("report")));
      }
      Result<CompactionJobStatus> status = Read<CompactionJobStatus>(*reply);
      if (!status) return Outcome(std::unexpected(std::move(status).error()));
      seen_ = *std::move(status);
      const auto rest = deadline - Clock::now();
      if (rest.count() <= 0) return std::nullopt;
      std::this_thread::sleep_for(std::min<Clock::duration>(rest, kAskAgainAfter));
    }
  } catch (const std::exception&) {
    return Outcome(std::unexpected(Status(StatusCode::kOutOfMemory, "out of memory")));
  }
}

void RemoteCompactionJob::Cancel() {
  // Where it fails, the caller sees that the job goes on.
  const Status ignored =
      Guarded([&] { return WithoutResult(connection_->Call("cancel", {{"id", id_}})); });
  static_cast<void>(ignored);
}

CompactionProgress RemoteCompactionJob::Progress() const {
  return {.phase = seen_.phase, .bytes_total = seen_.bytes_total, .bytes_done = seen_.bytes_done};
}

}  // namespace freyja
