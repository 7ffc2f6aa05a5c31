// Tables and JSON from what was measured.
#pragma once

#include <cstdio>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "driver.h"

namespace freyja::bench {

struct Spread {
  double median = 0;
  double lowest = 0;
  double highest = 0;
};
// Of at least one value.
Spread SpreadOf(std::vector<double> values);

// Throughput, ratios, latencies, bytes on disk, settings. `verbose` adds CPU times, and
// the settings and durability of every store in full.
void PrintReport(std::FILE* out, const Plan& plan, const std::vector<StoreResult>& results,
                 bool verbose);

// Everything: configuration, machine, and per store and workload each round's figure.
nlohmann::json ToJson(const Plan& plan, const std::vector<StoreResult>& results);

// Cores, kernel, architecture.
nlohmann::json MachineJson();

}  // namespace freyja::bench
