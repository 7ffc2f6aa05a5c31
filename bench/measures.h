// What is measured: workloads, each with a number of threads.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace freyja::bench {

// In the order in which they are run: what reads comes first, while each key still has one
// version that is right.
enum class Workload : std::uint8_t {
  kFill,
  kGet,
  kMissingGet,
  kZipfGet,
  kMultiGet16,
  kMultiGet128,
  kMixed95,
  kMixed50,
  kOverwrite,
  kBatch16,
  kBatch128,
  kDelete,     // on a store of its own, so that what it leaves is not in the other figures
  kSync,       // on a store of its own, opened to sync every put
  kSustained,  // on a store of its own, which is to stay small; not on limits
};

struct WorkloadInfo {
  Workload workload;
  std::string_view name;         // "get"
  std::string_view description;  // of one operation
  std::uint64_t step = 1;        // operations per call
  bool many_threads = false;     // may be run by several
  unsigned writes_percent = 0;   // share of operations that put
};

const std::vector<WorkloadInfo>& AllWorkloads();
const WorkloadInfo& InfoOf(Workload workload);
std::optional<Workload> WorkloadFromName(std::string_view name);
std::vector<std::string_view> WorkloadNames();

struct Measure {
  Workload workload = Workload::kFill;
  unsigned threads = 1;

  friend auto operator<=>(const Measure&, const Measure&) = default;
};
// "get"; "get/2" with two threads; "sync/1" always with their number.
std::string MeasureName(const Measure& measure);

// Workloads times threads, in the order in which they are run, none twice. Those of one thread
// come once; kSync with each of `writers` instead.
std::vector<Measure> MakeMeasures(const std::vector<Workload>& workloads,
                                  const std::vector<unsigned>& threads,
                                  const std::vector<unsigned>& writers);

// How many operations one call makes: a step, but no more than 8 MiB of values.
std::uint64_t StepOf(Workload workload, std::size_t value_bytes);

}  // namespace freyja::bench
