// Checks what a store holds after everything that was done to it.
#include <algorithm>
#include <memory>
#include <utility>
#include <vector>

#include "base/status_macros.h"
#include "keys_values.h"
#include "worker.h"
#include "workloads.h"

namespace freyja::bench {

namespace {

constexpr std::uint64_t kCheckedKeys = 20'000;
constexpr std::uint64_t kDeletedKeys = 100;
constexpr std::uint8_t kDeleted = 0;

// The version of each key that kFill put, found by doing everything again without a store.
// Threads that put the same key in one measure put the same version.
std::vector<std::uint8_t> Replay(const RunParameters& parameters, const History& history) {
  std::vector<std::uint8_t> versions(parameters.keys, kDeleted);
  for (const History::Entry& entry : history.entries()) {
    const auto version = static_cast<std::uint8_t>(entry.version);
    const Workload workload = entry.measure.workload;
    if (workload == Workload::kSync) continue;
    if (workload == Workload::kFill) std::ranges::fill(versions, version);
    if (workload == Workload::kDelete) {
      const Permutation order(parameters.keys, parameters.seed);
      for (std::uint64_t i = 0; i < entry.thread_operations.front(); ++i) {
        versions[order[i]] = kDeleted;
      }
    }
    const unsigned writes = InfoOf(workload).writes_percent;
    if (writes == 0 || workload == Workload::kFill) continue;
    for (unsigned thread = 0; thread < entry.thread_operations.size(); ++thread) {
      Visits visits(entry.measure, thread, parameters.keys, parameters.seed);
      for (std::uint64_t i = 0; i < entry.thread_operations[thread]; ++i) {
        const bool put = writes == 100 || visits.NextWrites();
        const std::uint64_t index = visits.Next();
        if (put) versions[index] = version;
      }
    }
  }
  return versions;
}

Status CheckSynced(Worker& worker, const History::Entry& entry) {
  const unsigned threads = entry.measure.threads;
  for (unsigned thread = 0; thread < threads; ++thread) {
    for (std::uint64_t i = 0; i < entry.thread_operations[thread]; ++i) {
      const std::uint64_t index = entry.first_key + i * threads + thread;
      if (!worker.Get(index, {entry.version, entry.version})) return worker.status();
    }
  }
  return Status::Ok();
}

}  // namespace

Status CheckContents(Peer& peer, const RunParameters& parameters, const History& history) {
  FREYJA_ASSIGN_OR_RETURN(const std::unique_ptr<PeerSession> session, peer.NewSession());
  Worker worker(*session, parameters.seed, parameters.value_bytes, {}, 0);
  bool filled = false;
  for (const History::Entry& entry : history.entries()) {
    filled = filled || entry.measure.workload == Workload::kFill;
    if (entry.measure.workload == Workload::kSync) {
      FREYJA_RETURN_IF_ERROR(CheckSynced(worker, entry));
    }
  }
  if (!filled) return Status::Ok();
  const std::vector<std::uint8_t> versions = Replay(parameters, history);
  Sequence sample(Mix(parameters.seed));
  for (std::uint64_t i = 0; i < std::min(kCheckedKeys, parameters.keys); ++i) {
    const std::uint64_t index = sample.Below(parameters.keys);
    const std::uint64_t version = versions[index];
    const bool fine =
        version == kDeleted ? worker.MissPresent(index) : worker.Get(index, {version, version});
    if (!fine) return worker.status();
  }
  return Status::Ok();
}

Status CheckDeletes(Peer& peer, const RunParameters& parameters) {
  FREYJA_ASSIGN_OR_RETURN(const std::unique_ptr<PeerSession> session, peer.NewSession());
  Worker worker(*session, parameters.seed, parameters.value_bytes, {}, 0);
  for (std::uint64_t index = 0; index < std::min(kDeletedKeys, parameters.keys); ++index) {
    if (!worker.Delete(index) || !worker.MissPresent(index)) return worker.status();
  }
  return Status::Ok();
}

}  // namespace freyja::bench
