// What there is to compact: the facts of a store's segments, and the plan they lead to.
#pragma once

#include <cstdint>
#include <optional>
#include <set>
#include <vector>

#include "compaction/expiry.h"
#include "compaction/planner.h"
#include "engine/store.h"
#include "freyja/compaction.h"

namespace freyja::compaction {

// Which segments a plan may take, and how much at once.
struct PlanScope {
  double min_space_saving = 0;
  std::uint64_t max_input_bytes = 0;  // 0: no bound
  std::set<std::uint64_t> only = {};  // ids; empty: all
  // Segments with later records are left out, and so are these: what a job wrote itself.
  std::uint64_t highest_sequence = UINT64_MAX;
  std::set<std::uint64_t> never = {};
  // Segments all of whose expiring records have expired by this clock count as dead altogether;
  // only with `only`, as a segment that turns out to hold others as well gains nothing. Or null.
  const ExpiryClock* expired_by = nullptr;
  bool combine_small = false;  // see PlanLimits::segment_bytes
  // Also what the log holds, as if it were sealed; for a dry run.
  bool with_log = false;
};

struct Survey {
  std::vector<SegmentFacts> facts;
  Plan plan;
  std::uint64_t free_bytes = 0;  // on the file system, the reserve not counted
};

// Reads hints where only the tombstone rule can say whether there is a gain. Changes nothing.
Result<Survey> SurveyStore(engine::Store& store, const PlanScope& scope);

// A segment for whose sake tombstones of the sealed segment `id` must stay, if the plan does not
// take it. Reads hints. None if there is none, or it can't be told.
std::optional<std::uint64_t> KeeperOfTombstones(engine::Store& store, const Plan& plan,
                                                std::uint64_t id);

// Bytes that committing a manifest may need beside the outputs.
inline constexpr std::uint64_t kManifestRoom = std::uint64_t{64} << 10;

}  // namespace freyja::compaction
