// Table and JSON of the scheduler benchmark, and whether its goals were met.
#pragma once

#include <cstdio>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string_view>

#include "scheduler_benchmark.h"

namespace freyja::bench {

// Of p99.9 with compaction on over off.
inline constexpr double kLatencyGoal = 1.10;
// With fewer pairs a ratio says little.
inline constexpr std::size_t kFewestPairs = 30;
// Write amplification at a space amplification of at most 1.5, both of record bytes; empty
// for a distribution that has no goal.
std::optional<double> WriteGoal(std::string_view distribution);

void PrintSchedulerReport(std::FILE* out, const SchedulerPlan& plan, const SchedulerResult& result);
nlohmann::json SchedulerJson(const SchedulerPlan& plan, const SchedulerResult& result);

}  // namespace freyja::bench
