// freyja-bench scheduler: its options, and what it does with them.
#pragma once

#include <atomic>
#include <string>

#include "scheduler_benchmark.h"

namespace CLI {
class App;
}  // namespace CLI

namespace freyja::bench {

struct SchedulerArguments {
  SchedulerPlan plan;
  std::string directory;
  std::string sync;
  bool json = false;
  bool quiet = false;
};

// `arguments` must outlive the returned subcommand of `app`.
CLI::App* DeclareScheduler(CLI::App& app, SchedulerArguments& arguments);
// After parsing. Throws CLI::ValidationError, as CLI11's own checks do.
void ResolveScheduler(SchedulerArguments& arguments);
// Prints the report to standard output. The exit status: 0, 1 (an error, or a wrong answer), 130
// (interrupted; figures are printed if the measurement had begun).
int RunScheduler(const SchedulerArguments& arguments, const std::atomic<bool>& stop);

}  // namespace freyja::bench
