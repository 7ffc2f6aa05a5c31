// Tables and JSON from what was measured.
#pragma once

#include <cstdio>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "driver.h"
#include "probes.h"

namespace freyja::bench {

// All that was measured with values of one length.
struct Section {
  Plan plan;
  std::vector<StoreResult> results;
  std::vector<ProbeResult> probes;  // of the same stores in the same order, or none
};

// Throughput, ratios, CPU times, latencies, bytes on disk. `verbose` adds the settings and
// durability of every store in full.
void PrintReport(std::FILE* out, const std::vector<Section>& sections, bool verbose);

// Memory, bytes written and opening times, as parts of the two reports.
void PrintProbes(std::FILE* out, const Section& section);

std::string ProbesMarkdown(const Section& section);

// The same as Markdown, always with settings and durability.
std::string ToMarkdown(const std::vector<Section>& sections);

// Everything: configuration, machine, and per store and measure each round's figure.
nlohmann::json ToJson(const std::vector<Section>& sections);

// Cores, kernel, architecture.
nlohmann::json MachineJson();

}  // namespace freyja::bench
