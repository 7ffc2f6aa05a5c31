#include "probes.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include "base/status_macros.h"
#include "child_process.h"
#include "keys_values.h"
#include "page_cache.h"
#include "scratch_directory.h"

namespace freyja::bench {

namespace {

namespace fs = std::filesystem;
using nlohmann::json;

// One store in one round.
class Prober {
 public:
  Prober(const Plan& plan, const ProbePlan& probe_plan, const PeerKind& kind, std::uint64_t seed,
         const std::atomic<bool>& stop)
      : plan_(plan), probe_plan_(probe_plan), kind_(kind), seed_(seed), stop_(stop) {}

  Status Footprint(ProbeResult& result) {
    FREYJA_ASSIGN_OR_RETURN(const ScratchDirectory scratch,
                            ScratchDirectory::Make(plan_.directory));
    FREYJA_ASSIGN_OR_RETURN(const json answer, Ask(kProbeFootprint, scratch.path()));
    result.footprints.push_back(answer.get<bench::Footprint>());
    return Status::Ok();
  }

  Status Opens(ProbeResult& result) {
    FREYJA_ASSIGN_OR_RETURN(const ScratchDirectory closed, ScratchDirectory::Make(plan_.directory));
    FREYJA_ASSIGN_OR_RETURN(const json filled, Ask(kProbeFill, closed.path()));
    FREYJA_RETURN_IF_ERROR(Open(kProbeOpen, closed.path(), OpenKind::kClean, result));
    FREYJA_RETURN_IF_ERROR(Open(kProbeOpen, closed.path(), OpenKind::kCleanCold, result));
    if (!kind_.opening_aids.empty()) {
      FREYJA_RETURN_IF_ERROR(RemoveAids(closed.path()));
      FREYJA_RETURN_IF_ERROR(Open(kProbeOpen, closed.path(), OpenKind::kCleanNoHints, result));
    }
    FREYJA_RETURN_IF_ERROR(OpenKilled(OpenKind::kKilled, result));
    FREYJA_RETURN_IF_ERROR(OpenKilled(OpenKind::kKilledCold, result));
    if (kind_.opening_aids.empty()) return Status::Ok();
    return OpenKilled(OpenKind::kKilledNoHints, result);
  }

 private:
  Status OpenKilled(OpenKind open_kind, ProbeResult& result) {
    FREYJA_ASSIGN_OR_RETURN(const ScratchDirectory scratch,
                            ScratchDirectory::Make(plan_.directory));
    FREYJA_ASSIGN_OR_RETURN(ChildProcess child, Start(kProbeHang, scratch.path()));
    const Result<json> filled = Answer(child);
    if (!filled) return filled.error();
    child.Kill();
    if (open_kind == OpenKind::kKilledNoHints) FREYJA_RETURN_IF_ERROR(RemoveAids(scratch.path()));
    return Open(kProbeOpenAfterKill, scratch.path(), open_kind, result);
  }

  Status Open(std::string_view step, const fs::path& directory, OpenKind open_kind,
              ProbeResult& result) {
    if (open_kind == OpenKind::kCleanCold || open_kind == OpenKind::kKilledCold) {
      FREYJA_RETURN_IF_ERROR(DropFromPageCache(directory));
    }
    FREYJA_ASSIGN_OR_RETURN(const json answer, Ask(step, directory));
    result.opens[open_kind].push_back(answer.get<OpenFigures>());
    return Status::Ok();
  }

  // There may be none: a fill of less than a segment has made none when it is killed.
  Status RemoveAids(const fs::path& directory) {
    std::vector<fs::path> aids;
    std::error_code error;
    for (const fs::directory_entry& entry : fs::recursive_directory_iterator(directory, error)) {
      const std::string name = entry.path().filename().string();
      const auto ends_so = [&](const std::string& ending) { return name.ends_with(ending); };
      if (std::ranges::any_of(kind_.opening_aids, ends_so)) aids.push_back(entry.path());
    }
    for (const fs::path& aid : aids) {
      if (!error) fs::remove(aid, error);
    }
    if (error) return {StatusCode::kIoError, error.message()};
    return Status::Ok();
  }

  Result<ChildProcess> Start(std::string_view step, const fs::path& directory) {
    return ChildProcess::Start(
        probe_plan_.program,
        {"probe", "--step", std::string(step), "--store", kind_.id, "--dir", directory.string(),
         "--keys", std::to_string(plan_.keys), "--value-bytes", std::to_string(plan_.value_bytes),
         "--seed", std::to_string(seed_), "--cache-bytes", std::to_string(plan_.cache_bytes)});
  }

  Result<json> Ask(std::string_view step, const fs::path& directory) {
    FREYJA_ASSIGN_OR_RETURN(ChildProcess child, Start(step, directory));
    Result<json> answer = Answer(child);
    if (!answer) return answer;
    const int status = child.Wait();
    if (status == 0) return answer;
    return std::unexpected(
        Status(StatusCode::kIoError, fmt::format("probe {} ended with status {}", step, status)));
  }

  // One line: an object, which has "error" where the probe failed.
  Result<json> Answer(ChildProcess& child) {
    FREYJA_ASSIGN_OR_RETURN(const std::string line, child.ReadLine(stop_));
    json answer = json::parse(line, nullptr, false);
    if (!answer.is_object()) {
      return std::unexpected(
          Status(StatusCode::kIoError,
                 fmt::format("a probe ended with status {} and no answer", child.Wait())));
    }
    if (!answer.contains("error")) return answer;
    return std::unexpected(Status(StatusCode::kIoError, answer["error"].get<std::string>()));
  }

  const Plan& plan_;
  const ProbePlan& probe_plan_;
  const PeerKind& kind_;
  const std::uint64_t seed_;
  const std::atomic<bool>& stop_;
};

}  // namespace

std::string_view OpenKindName(OpenKind kind) {
  switch (kind) {
    case OpenKind::kClean:
      return "clean";
    case OpenKind::kKilled:
      return "killed";
    case OpenKind::kCleanCold:
      return "clean, cold";
    case OpenKind::kKilledCold:
      return "killed, cold";
    case OpenKind::kCleanNoHints:
      return "clean, no hints";
    case OpenKind::kKilledNoHints:
      return "killed, no hints";
  }
  return "";
}

Result<std::vector<ProbeResult>> RunProbes(const Plan& plan, const ProbePlan& probe_plan,
                                           const std::atomic<bool>& stop,
                                           const TurnListener& on_turn) {
  std::vector<ProbeResult> results;
  results.reserve(plan.stores.size());
  for (const PeerKind& kind : plan.stores) results.push_back({kind, {}, {}});
  if (!probe_plan.footprint && !probe_plan.opens) return results;
  for (unsigned number = 0; number < plan.rounds; ++number) {
    for (std::size_t i = 0; i < results.size(); ++i) {
      ProbeResult& result = results[(i + number) % results.size()];
      on_turn(number + 1, result.kind);
      Prober prober(plan, probe_plan, result.kind, Mix(plan.seed * 1000 + number), stop);
      Status status;
      if (probe_plan.footprint) status = prober.Footprint(result);
      if (status.ok() && probe_plan.opens && !result.kind.is_limit) status = prober.Opens(result);
      if (!status.ok()) {
        return std::unexpected(Status(status.code(), result.kind.title + ": " + status.message()));
      }
    }
  }
  return results;
}

}  // namespace freyja::bench
