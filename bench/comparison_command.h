// freyja-bench without a command: the comparison's options, and what it does with them.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "report.h"

namespace CLI {
class App;
}  // namespace CLI

namespace freyja::bench {

struct ComparisonArguments {
  Plan plan;  // of every section, but for what differs between them
  std::vector<Plan> sections;
  std::vector<std::uint64_t> keys = {500'000};
  std::vector<std::size_t> value_bytes = {100};
  std::uint64_t live_bytes = std::uint64_t{1} << 30;
  std::vector<unsigned> threads = {1};
  std::vector<unsigned> sync_writers = {1, 8, 32};
  std::vector<std::string> stores;
  std::vector<std::string> workloads;
  ProbePlan probe_plan;
  std::vector<std::string> probes = {"footprint", "open"};
  std::string directory;
  std::string json_file;
  std::string markdown_file;
  bool verbose = false;
  bool quiet = false;
};

// `arguments` must outlive `app`.
void DeclareComparison(CLI::App& app, ComparisonArguments& arguments,
                       const std::vector<PeerKind>& built);
// After parsing. Throws CLI::ValidationError, as CLI11's own checks do.
void ResolveComparison(ComparisonArguments& arguments, const std::vector<PeerKind>& built);
// Prints the report to standard output and writes the files. The exit status: 0, 1 (an error, or
// a wrong answer), 2 (a file can't be written) or 130 (interrupted).
int RunComparison(const ComparisonArguments& arguments, const std::atomic<bool>& stop);

}  // namespace freyja::bench
