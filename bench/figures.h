// Medians, spreads and ratios of what was measured, for all forms of the report.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "driver.h"
#include "probes.h"

namespace freyja::bench {

struct Spread {
  double median = 0;
  double lowest = 0;
  double highest = 0;
};
// Of at least one value.
Spread SpreadOf(std::vector<double> values);

struct Quantile {
  std::string_view name;
  double percent;
};
inline constexpr std::array kQuantiles = {Quantile{"p50", 50}, Quantile{"p99", 99},
                                          Quantile{"p99.9", 99.9}, Quantile{"p99.99", 99.99}};

// One measure of one store; a vector has one value per round.
struct MeasureFigures {
  std::vector<double> per_second;
  std::vector<double> thread_cpu_ns;   // per operation, of the calling threads
  std::vector<double> process_cpu_ns;  // per operation, of all threads
  std::vector<double> ratios;          // FreyjaDB's rate over this one; empty: none
  std::vector<std::uint64_t> operations;
  Histogram latency;  // of all rounds, in ticks
  bool cut_short = false;
};

// Empty where the store does not take part in the measure.
std::optional<MeasureFigures> FiguresOf(const std::vector<StoreResult>& results,
                                        const StoreResult& result, const Measure& measure);
// Bytes allocated on disk over those of keys and values.
Spread DiskOverLive(const Plan& plan, const StoreResult& result);

// Of files during kSustained over keys and values; each vector has one value per round.
struct SustainedSpace {
  std::vector<double> mean;
  std::vector<double> highest;
};
std::optional<SustainedSpace> SustainedSpaceOf(const Plan& plan, const StoreResult& result);

// Of a store's probes; each vector has one value per round.
struct FootprintFigures {
  std::vector<double> memory_per_key;    // bytes: anonymous and page tables, less the cache
  std::vector<double> resident_per_key;  // bytes, mapped files and cache included
  std::vector<double> cache_bytes;
  std::vector<double> written_over_put;
  std::vector<double> disk_over_live;
  std::vector<double> cpu_ns;  // per operation, all threads, opening and closing included
};
FootprintFigures FiguresOf(const ProbeResult& result, std::uint64_t keys);
std::vector<double> OpenSeconds(const std::vector<OpenFigures>& opens);
std::uint64_t MissingKeys(const std::vector<OpenFigures>& opens);

// How much memory there was, if it was capped, as the end of a sentence; else empty.
std::string MemoryCapText(const Plan& plan);

// "1.23 M", "123 k", "123"
std::string RateText(double per_second);
// "1.23 M (1.10 M - 1.31 M)"
std::string RateText(const Spread& spread);
// "2.05 (1.90 - 2.31)"; any unit
std::string RatioText(const Spread& spread);

}  // namespace freyja::bench
