// The public structures as JSON objects, whose fields have the names of the members; durations
// are counts of the member's unit.
#pragma once

#include <vector>

#include "control/protocol.h"
#include "freyja/compaction.h"
#include "freyja/control.h"
#include "freyja/stats.h"

namespace freyja::control {

inline constexpr SegmentState kSegmentStates[] = {
    SegmentState::kPrepared, SegmentState::kActive,  SegmentState::kFull,
    SegmentState::kSealed,   SegmentState::kRetired, SegmentState::kQuarantined};

Json ToJson(const Stats& value);
Json ToJson(const std::vector<SegmentInfo>& value);
Json ToJson(const HotSwapConfig& value);
Json ToJson(const CompactionLimits& value);
Json ToJson(const CompactionPlan& value);
Json ToJson(const CompactionReport& value);
Json ToJson(const CompactionJobStatus& value);
Json ToJson(const CompactionStatus& value);
Json ToJson(const std::vector<QuarantinedJob>& value);
Json ToJson(const std::vector<CompactionRecord>& value);

// Members that are not in `json` stay as they are. kInvalidArgument: one is of a wrong type or
// out of range; nothing is promised about `value` then.
enum class Unknown : bool { kRefused, kIgnored };
Status FromJson(const Json& json, Unknown unknown, Stats* value);
Status FromJson(const Json& json, Unknown unknown, std::vector<SegmentInfo>* value);
Status FromJson(const Json& json, Unknown unknown, HotSwapConfig* value);
Status FromJson(const Json& json, Unknown unknown, CompactionLimits* value);
Status FromJson(const Json& json, Unknown unknown, CompactionPlan* value);
Status FromJson(const Json& json, Unknown unknown, CompactionReport* value);
Status FromJson(const Json& json, Unknown unknown, CompactionJobStatus* value);
Status FromJson(const Json& json, Unknown unknown, CompactionStatus* value);
Status FromJson(const Json& json, Unknown unknown, std::vector<QuarantinedJob>* value);
Status FromJson(const Json& json, Unknown unknown, std::vector<CompactionRecord>* value);
Status FromJson(const Json& json, Unknown unknown, std::uint64_t* value);

}  // namespace freyja::control
