#include "measures.h"

#include <fmt/format.h>

#include <algorithm>

namespace freyja::bench {

const std::vector<WorkloadInfo>& AllWorkloads() {
  static const std::vector<WorkloadInfo> all = {
      {.workload = Workload::kFill,
       .name = "fill",
       .description = "put of a new key",
       .writes_percent = 100},
      {.workload = Workload::kGet,
       .name = "get",
       .description = "get of a present key, uniform",
       .many_threads = true},
      {.workload = Workload::kMissingGet,
       .name = "miss",
       .description = "get of a key that is not there",
       .many_threads = true},
      {.workload = Workload::kZipfGet,
       .name = "zipf",
       .description = "get of a present key, Zipf 0.99",
       .many_threads = true},
      {.workload = Workload::kMultiGet16,
       .name = "multiget16",
       .description = "one key of a MultiGet of 16",
       .step = 16},
      {.workload = Workload::kMultiGet128,
       .name = "multiget128",
       .description = "one key of a MultiGet of 128",
       .step = 128},
      {.workload = Workload::kMixed95,
       .name = "mixed95",
       .description = "95 % gets, 5 % overwrites, uniform",
       .many_threads = true,
       .writes_percent = 5},
      {.workload = Workload::kMixed50,
       .name = "mixed50",
       .description = "50 % gets, 50 % overwrites, uniform",
       .many_threads = true,
       .writes_percent = 50},
      {.workload = Workload::kOverwrite,
       .name = "overwrite",
       .description = "put of a present key, uniform",
       .many_threads = true,
       .writes_percent = 100},
      {.workload = Workload::kBatch16,
       .name = "batch16",
       .description = "one put of a batch of 16 present keys",
       .step = 16,
       .writes_percent = 100},
      {.workload = Workload::kBatch128,
       .name = "batch128",
       .description = "one put of a batch of 128 present keys",
       .step = 128,
       .writes_percent = 100},
      {.workload = Workload::kDelete,
       .name = "delete",
       .description = "delete of a present key; each once, in an order of its own"},
      {.workload = Workload::kSync,
       .name = "sync",
       .description = "put of a new key that returns when it is on the device",
       .many_threads = true,
       .writes_percent = 100},
      {.workload = Workload::kSustained,
       .name = "sustained",
       .description = "put of a present key, uniform, for --sustained-seconds",
       .writes_percent = 100},
  };
  return all;
}

const WorkloadInfo& InfoOf(Workload workload) {
  return AllWorkloads()[static_cast<std::size_t>(workload)];
}

std::optional<Workload> WorkloadFromName(std::string_view name) {
  const auto found = std::ranges::find(AllWorkloads(), name, &WorkloadInfo::name);
  if (found == AllWorkloads().end()) return std::nullopt;
  return found->workload;
}

std::vector<std::string_view> WorkloadNames() {
  std::vector<std::string_view> names;
  for (const WorkloadInfo& info : AllWorkloads()) names.push_back(info.name);
  return names;
}

std::string MeasureName(const Measure& measure) {
  const std::string_view name = InfoOf(measure.workload).name;
  if (measure.threads == 1 && measure.workload != Workload::kSync) return std::string(name);
  return fmt::format("{}/{}", name, measure.threads);
}

std::vector<Measure> MakeMeasures(const std::vector<Workload>& workloads,
                                  const std::vector<unsigned>& threads,
                                  const std::vector<unsigned>& writers) {
  std::vector<Measure> measures;
  for (const Workload workload : workloads) {
    if (!InfoOf(workload).many_threads) {
      measures.push_back({workload, 1});
      continue;
    }
    for (const unsigned count : workload == Workload::kSync ? writers : threads) {
      measures.push_back({workload, count});
    }
  }
  std::ranges::sort(measures);
  measures.erase(std::ranges::unique(measures).begin(), measures.end());
  return measures;
}

std::uint64_t StepOf(Workload workload, std::size_t value_bytes) {
  constexpr std::uint64_t kBatchBytes = std::uint64_t{8} << 20;
  const std::uint64_t step = InfoOf(workload).step;
  return std::clamp<std::uint64_t>(kBatchBytes / std::max<std::size_t>(value_bytes, 1), 1, step);
}

}  // namespace freyja::bench
