#include "driver.h"

#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>
#include <chrono>
#include <system_error>
#include <utility>

#include "base/status_macros.h"
#include "scratch_directory.h"

namespace freyja::bench {

namespace {

namespace fs = std::filesystem;

// What the files occupy, not their length: LMDB's is sparse, others preallocate.
std::uint64_t AllocatedBytes(const fs::path& directory) {
  std::uint64_t bytes = 0;
  std::error_code ignored;
  for (const fs::directory_entry& entry : fs::recursive_directory_iterator(directory, ignored)) {
    struct stat info = {};
    if (::lstat(entry.path().c_str(), &info) == 0 && S_ISREG(info.st_mode)) {
      bytes += static_cast<std::uint64_t>(info.st_blocks) * 512;
    }
  }
  return bytes;
}

bool Wanted(const Plan& plan, Workload workload) {
  return workload == Workload::kFill ||
         std::ranges::find(plan.workloads, workload) != plan.workloads.end();
}

Status RunWorkloads(const Plan& plan, const RunParameters& parameters, Peer& peer,
                    StoreRound& round) {
  for (const Workload workload : kAllWorkloads) {
    if (!Wanted(plan, workload)) continue;
    Result<WorkloadRun> run = RunWorkload(peer, workload, parameters);
    if (!run) {
      return {run.error().code(),
              fmt::format("{}: {}", WorkloadName(workload), run.error().message())};
    }
    round.runs.emplace(workload, *std::move(run));
  }
  const auto overwrite = round.runs.find(Workload::kOverwrite);
  const std::uint64_t overwrites = overwrite == round.runs.end() ? 0 : overwrite->second.operations;
  Status status = CheckContents(peer, parameters, overwrites);
  if (!status.ok()) status = {status.code(), "check at the end: " + status.message()};
  return status;
}

Result<StoreRound> RunTurn(const Plan& plan, const PeerKind& kind, unsigned number,
                           const std::atomic<bool>& stop) {
  FREYJA_ASSIGN_OR_RETURN(const ScratchDirectory scratch, ScratchDirectory::Make(plan.directory));
  const std::unique_ptr<Peer> peer = kind.make();
  FREYJA_RETURN_IF_ERROR(peer->Open({.directory = scratch.path(),
                                     .keys = plan.keys,
                                     .writes = plan.keys * 2,
                                     .key_bytes = kKeyBytes,
                                     .value_bytes = plan.value_bytes}));
  // The seed depends on the round only: within a round all stores see the same operations.
  const RunParameters parameters = {.keys = plan.keys,
                                    .value_bytes = plan.value_bytes,
                                    .seed = Mix(plan.seed * 1000 + number),
                                    .seconds = plan.seconds,
                                    .latency_every = plan.latency_every,
                                    .stop = &stop};
  StoreRound round;
  Status status = RunWorkloads(plan, parameters, *peer, round);
  const auto before_close = std::chrono::steady_clock::now();
  const Status closed = peer->Close();
  if (status.ok() && !closed.ok()) status = {closed.code(), "close: " + closed.message()};
  FREYJA_RETURN_IF_ERROR(std::move(status));
  round.close_seconds =
      std::chrono::duration<double>(std::chrono::steady_clock::now() - before_close).count();
  round.disk_bytes = AllocatedBytes(scratch.path());
  return round;
}

}  // namespace

Result<std::vector<StoreResult>> RunPlan(const Plan& plan, const std::atomic<bool>& stop,
                                         const TurnListener& on_turn) {
  std::vector<StoreResult> results;
  results.reserve(plan.stores.size());
  for (const PeerKind& kind : plan.stores) results.push_back({kind, {}});
  for (unsigned number = 0; number < plan.rounds; ++number) {
    for (std::size_t i = 0; i < results.size(); ++i) {
      if (stop.load()) return std::unexpected(Status(StatusCode::kCancelled, "interrupted"));
      StoreResult& result = results[(i + number) % results.size()];
      on_turn(number + 1, result.kind);
      Result<StoreRound> round = RunTurn(plan, result.kind, number, stop);
      if (!round) {
        return std::unexpected(
            Status(round.error().code(), result.kind.title + ": " + round.error().message()));
      }
      result.rounds.push_back(*std::move(round));
    }
  }
  return results;
}

std::uint64_t EstimatedDiskBytes(const Plan& plan) {
  // Twice the keys are written, and the most wasteful store takes three times its data;
  // FreyjaDB also preallocates segments and a reserve.
  constexpr std::uint64_t kPreallocated = std::uint64_t{1} << 30;
  return plan.keys * 2 * (kKeyBytes + plan.value_bytes + 40) * 3 + kPreallocated;
}

}  // namespace freyja::bench
