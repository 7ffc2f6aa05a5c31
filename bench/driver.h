// Runs the measures on each store in turn and collects what was measured.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "disk_space.h"
#include "freyja/status.h"
#include "peer.h"
#include "workloads.h"

namespace freyja::bench {

struct Plan {
  std::uint64_t keys = 500'000;
  std::size_t value_bytes = 100;
  unsigned rounds = 3;
  std::uint64_t seed = 1;
  double seconds = 0;       // for each measure but fill; 0: no bound
  double sync_seconds = 2;  // for each number of writers of kSync
  double sustained_seconds = 20;
  unsigned latency_every = 4;  // blocks of 256 operations; 0: no latencies
  std::filesystem::path directory;
  std::uint64_t memory_cap = 0;  // bytes that the process is to be capped at; 0: it is not
  std::uint64_t cache_bytes = kDefaultCacheBytes;
  std::vector<Measure> measures;  // reported ones, in order; a fill is always run first
  std::vector<PeerKind> stores;
};

// One store in one round, on fresh directories.
struct StoreRound {
  std::map<Measure, WorkloadRun> runs;
  std::uint64_t disk_bytes = 0;  // allocated, after Close, of the store that most measures share
  double close_seconds = 0;
  std::optional<SpaceUse> sustained_space;  // during kSustained
};

struct StoreResult {
  PeerKind kind;
  std::vector<StoreRound> rounds;
};

// Called before each store's turn: round (from 1) and store.
using TurnListener = std::function<void(unsigned, const PeerKind&)>;

// Runs plan.rounds rounds; in each, every store has one turn, the order rotated from
// round to round. Each turn's directories are removed at its end, however it ends.
// kCancelled once `stop` is set. Errors name the store and the measure.
[[nodiscard]] Result<std::vector<StoreResult>> RunPlan(const Plan& plan,
                                                       const std::atomic<bool>& stop,
                                                       const TurnListener& on_turn);

// Upper estimate of the disk space one turn needs.
std::uint64_t EstimatedDiskBytes(const Plan& plan);

}  // namespace freyja::bench
