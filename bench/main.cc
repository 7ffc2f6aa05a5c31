// freyja-bench: FreyjaDB beside other embedded stores, in one run on one machine.
#include <CLI/CLI.hpp>
#include <atomic>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <vector>

#include "comparison_command.h"
#include "exit_code.h"
#include "probe_command.h"
#include "scheduler_command.h"

namespace freyja::bench {

namespace {

// Set by the signal handler, which can reach nothing that is not static.
std::atomic<bool> stop_requested = false;
static_assert(std::atomic<bool>::is_always_lock_free);

void InstallSignalHandlers() {
  struct sigaction action = {};
  action.sa_handler = [](int) { stop_requested.store(true); };
  // A second signal ends the process at once.
  action.sa_flags = static_cast<int>(SA_RESETHAND);
  for (const int signal : {SIGINT, SIGTERM, SIGHUP}) ::sigaction(signal, &action, nullptr);
}

int Main(int argc, char** argv) {
  const std::vector<PeerKind> built = BuiltPeers();
  CLI::App app(
      "Compares FreyjaDB with other embedded stores.\n"
      "Runs them in turn on the same keys and prints rates, latencies and ratios.\n"
      "Exit status: 0 done; 1 a store failed or gave a wrong answer; 2 bad option; "
      "130 interrupted.",
      "freyja-bench");
  ComparisonArguments comparison_arguments;
  DeclareComparison(app, comparison_arguments, built);
  SchedulerArguments scheduler_arguments;
  const CLI::App* const scheduler = DeclareScheduler(app, scheduler_arguments);
  ProbeArguments probe_arguments;
  const CLI::App* const probe = DeclareProbe(app, probe_arguments);
  try {
    app.parse(argc, argv);
    if (probe->parsed()) return RunProbe(probe_arguments, built);
    scheduler->parsed() ? ResolveScheduler(scheduler_arguments)
                        : ResolveComparison(comparison_arguments, built);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? EXIT_SUCCESS : kExitUsage;
  }
  InstallSignalHandlers();
  if (scheduler->parsed()) return RunScheduler(scheduler_arguments, stop_requested);
  return RunComparison(comparison_arguments, stop_requested);
}

}  // namespace

}  // namespace freyja::bench

int main(int argc, char** argv) {
  try {
    return freyja::bench::Main(argc, argv);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "freyja-bench: %s\n", error.what());
    return 1;
  }
}
