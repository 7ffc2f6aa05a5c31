#include "driver.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <optional>
#include <utility>

#include "base/status_macros.h"
#include "keys_values.h"
#include "scratch_directory.h"

namespace freyja::bench {

namespace {

namespace fs = std::filesystem;

constexpr double kSustainedCeiling = 1.5;
constexpr double kMostPutsPerSecond = 1.5e6;
constexpr std::chrono::milliseconds kSpaceEvery{100};

// Measures that share a store, from its making to its removal.
struct Turn {
  std::vector<Measure> measures;
  RunParameters parameters;
  bool sync_always = false;
  bool sustained = false;
  bool main = false;  // its disk space and its close are those reported
};

std::vector<Turn> MakeTurns(const Plan& plan, const RunParameters& parameters) {
  Turn main = {.measures = {{Workload::kFill, 1}}, .parameters = parameters, .main = true};
  Turn deletes = {.measures = {{Workload::kFill, 1}}, .parameters = parameters};
  Turn syncs = {.measures = {}, .parameters = parameters, .sync_always = true};
  syncs.parameters.seconds = plan.sync_seconds;
  Turn sustained = {
      .measures = {{Workload::kFill, 1}}, .parameters = parameters, .sustained = true};
  sustained.parameters.seconds = plan.sustained_seconds;
  for (const Measure& measure : plan.measures) {
    if (measure.workload == Workload::kFill) continue;
    Turn& turn = measure.workload == Workload::kDelete      ? deletes
                 : measure.workload == Workload::kSync      ? syncs
                 : measure.workload == Workload::kSustained ? sustained
                                                            : main;
    turn.measures.push_back(measure);
  }
  std::vector<Turn> turns = {std::move(main)};
  if (deletes.measures.size() > 1) turns.push_back(std::move(deletes));
  if (!syncs.measures.empty()) turns.push_back(std::move(syncs));
  if (sustained.measures.size() > 1) turns.push_back(std::move(sustained));
  return turns;
}

// Puts of all measures together, at most, and different keys.
OpenParameters ToOpen(const Plan& plan, const Turn& turn, const fs::path& directory) {
  std::uint64_t fills = 0;
  std::uint64_t percent = 0;
  for (const Measure& measure : turn.measures) {
    percent += InfoOf(measure.workload).writes_percent;
    if (measure.workload == Workload::kFill || measure.workload == Workload::kSync) ++fills;
  }
  const std::uint64_t keys = turn.parameters.keys;
  // A share of random draws is never exactly the share.
  constexpr std::uint64_t kMargin = 128;
  std::uint64_t writes = keys * percent / 100 + keys / 50 + kMargin;
  if (turn.sustained) {
    writes += static_cast<std::uint64_t>(turn.parameters.seconds * kMostPutsPerSecond);
  }
  return {.directory = directory,
          .keys = keys * fills,
          .writes = writes,
          .key_bytes = kKeyBytes,
          .value_bytes = turn.parameters.value_bytes,
          .sync_always = turn.sync_always,
          .space_ceiling = turn.sustained ? kSustainedCeiling : 0,
          .cache_bytes = plan.cache_bytes};
}

Status RunMeasures(const Turn& turn, const fs::path& directory, Peer& peer, History& history,
                   StoreRound& round) {
  for (const Measure& measure : turn.measures) {
    std::optional<DiskSampler> sampler;
    if (measure.workload == Workload::kSustained) sampler.emplace(directory, kSpaceEvery);
    Result<WorkloadRun> run = RunMeasure(peer, measure, turn.parameters, history);
    if (sampler) round.sustained_space = sampler->Stop();
    if (!run) {
      return {run.error().code(),
              fmt::format("{}: {}", MeasureName(measure), run.error().message())};
    }
    // The fill of a store that is made for deletes is not the one that is reported.
    round.runs.emplace(measure, *std::move(run));
  }
  Status status = CheckContents(peer, turn.parameters, history);
  if (status.ok() && turn.main) status = CheckDeletes(peer, turn.parameters);
  if (!status.ok()) status = {status.code(), "check at the end: " + status.message()};
  return status;
}

// That what was synced is still there when the store has been opened again.
Status CheckReopened(const Plan& plan, const Turn& turn, const fs::path& directory, Peer& peer,
                     const History& history) {
  FREYJA_RETURN_IF_ERROR(peer.Open(ToOpen(plan, turn, directory)));
  Status status = CheckContents(peer, turn.parameters, history);
  if (!status.ok()) status = {status.code(), "check after reopening: " + status.message()};
  const Status closed = peer.Close();
  return status.ok() ? closed : status;
}

Status RunTurn(const Plan& plan, const PeerKind& kind, const Turn& turn, StoreRound& round) {
  FREYJA_ASSIGN_OR_RETURN(const ScratchDirectory scratch, ScratchDirectory::Make(plan.directory));
  const std::unique_ptr<Peer> peer = kind.make();
  FREYJA_RETURN_IF_ERROR(peer->Open(ToOpen(plan, turn, scratch.path())));
  History history;
  Status status = RunMeasures(turn, scratch.path(), *peer, history, round);
  const auto before_close = std::chrono::steady_clock::now();
  const Status closed = peer->Close();
  if (status.ok() && !closed.ok()) status = {closed.code(), "close: " + closed.message()};
  FREYJA_RETURN_IF_ERROR(std::move(status));
  if (turn.main) {
    round.close_seconds =
        std::chrono::duration<double>(std::chrono::steady_clock::now() - before_close).count();
    round.disk_bytes = AllocatedBytes(scratch.path());
  }
  if (turn.main || kind.is_limit) return Status::Ok();
  return CheckReopened(plan, turn, scratch.path(), *peer, history);
}

Result<StoreRound> RunTurns(const Plan& plan, const PeerKind& kind,
                            const std::vector<Turn>& turns) {
  StoreRound round;
  for (const Turn& turn : turns) {
    if (turn.sync_always && kind.sync_always.empty()) continue;
    if (turn.sustained && kind.is_limit) continue;
    FREYJA_RETURN_IF_ERROR(RunTurn(plan, kind, turn, round));
  }
  return round;
}

}  // namespace

Result<std::vector<StoreResult>> RunPlan(const Plan& plan, const std::atomic<bool>& stop,
                                         const TurnListener& on_turn) {
  std::vector<StoreResult> results;
  results.reserve(plan.stores.size());
  for (const PeerKind& kind : plan.stores) results.push_back({kind, {}});
  const bool zipf = std::ranges::any_of(
      plan.measures, [](const Measure& measure) { return measure.workload == Workload::kZipfGet; });
  for (unsigned number = 0; number < plan.rounds; ++number) {
    // The seed depends on the round only: within a round all stores see the same operations.
    RunParameters parameters = {.keys = plan.keys,
                                .value_bytes = plan.value_bytes,
                                .seed = Mix(plan.seed * 1000 + number),
                                .seconds = plan.seconds,
                                .latency_every = plan.latency_every,
                                .stop = &stop};
    std::vector<std::uint32_t> draws;
    if (zipf) draws = ZipfDraws(plan.keys, parameters.seed);
    parameters.zipf = zipf ? &draws : nullptr;
    const std::vector<Turn> turns = MakeTurns(plan, parameters);
    for (std::size_t i = 0; i < results.size(); ++i) {
      if (stop.load()) return std::unexpected(Status(StatusCode::kCancelled, "interrupted"));
      StoreResult& result = results[(i + number) % results.size()];
      on_turn(number + 1, result.kind);
      Result<StoreRound> round = RunTurns(plan, result.kind, turns);
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
  // The most wasteful store takes three times its data; FreyjaDB also preallocates segments and
  // a reserve.
  constexpr std::uint64_t kPreallocated = std::uint64_t{1} << 30;
  std::uint64_t most = 0;
  for (const Turn& turn : MakeTurns(plan, {.keys = plan.keys, .value_bytes = plan.value_bytes})) {
    // What is sustained stays within a few times its keys.
    most =
        std::max(most, turn.sustained ? turn.parameters.keys * 4 : ToOpen(plan, turn, {}).writes);
  }
  return most * (kKeyBytes + plan.value_bytes + 40) * 3 + kPreallocated;
}

}  // namespace freyja::bench
