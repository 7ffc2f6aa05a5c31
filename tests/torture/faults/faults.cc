#include "torture/faults/faults.h"

#include <algorithm>
#include <chrono>
#include <map>
#include <string>
#include <tuple>

#include "torture/faults/fault_driver.h"
#include "torture/faults/fault_kinds.h"
#include "torture/faults/fault_workloads.h"
#include "torture/steady_heap.h"

namespace freyja::torture {

namespace {

// Threads of the store make the number of calls vary a little.
constexpr std::uint64_t kMargin = 12;
// The quick form takes one call in this many of each workload, another one for each kind.
constexpr std::uint64_t kQuickStride = 48;
// The long form goes through everything this many times, each time over other calls.
constexpr std::uint64_t kLongStride = 16;

struct Policy {
  const char* name;
  Sync sync;
};
constexpr Policy kPolicies[] = {
    {"none", Sync::kNone}, {"interval", Sync::kInterval}, {"always", Sync::kAlways}};

Options OptionsFor(Sync sync) {
  Options options;
  options.create_if_missing = true;
  options.scheduler.enabled = false;
  options.sync = sync;
  options.sync_interval = std::chrono::milliseconds(1);
  options.segment_bytes = kMinSegmentBytes;
  options.reserve_bytes = 256 << 10;
  options.worker_threads = 1;
  return options;
}

class Sweep {
 public:
  Sweep(const Settings& settings, Report& report)
      : deadline_(settings), report_(report), seed_(settings.seed) {}

  void Run(bool quick) {
    if (quick) return Pass(kQuickStride, 0);
    for (;; ++seed_) {
      for (std::uint64_t offset = 0; offset < kLongStride; ++offset) {
        if (deadline_.over()) return;
        Pass(kLongStride, offset);
      }
      calls_.clear();  // the next seed's workloads are others
    }
  }

 private:
  void Pass(std::uint64_t stride, std::uint64_t offset) {
    std::uint64_t combination = 0;
    for (const FaultWorkload& workload : FaultWorkloads()) {
      for (const Policy& policy : kPolicies) {
        if (offset == 0) report_.Count("fault_workloads");
        for (const FaultKind& kind : FaultKinds()) {
          if (deadline_.over()) return;
          // Other calls for each kind, so that together they hit all.
          OverCalls(workload, policy, kind, (offset + 7 * ++combination) % stride, stride);
        }
      }
    }
  }

  void OverCalls(const FaultWorkload& workload, const Policy& policy, const FaultKind& kind,
                 std::uint64_t first, std::uint64_t stride) {
    const auto name = std::tuple(workload.name, policy.name, kind.name);
    if (!calls_.contains(name)) {
      calls_[name] = RunOnce(workload, policy, kind, UINT64_MAX).calls;
      report_.Count("fault_points", calls_[name]);
      report_.Maximum("fault_calls_of_a_workload", calls_[name]);
    }
    for (std::uint64_t n = first; n < calls_[name] + kMargin; n += stride) {
      const Outcome outcome = RunOnce(workload, policy, kind, n);
      calls_[name] = std::max(calls_[name], outcome.calls);
      if (!outcome.injected && n >= calls_[name]) break;
      if (deadline_.over()) return;
    }
  }

  struct Outcome {
    bool injected = false;
    std::uint64_t calls = 0;
  };
  Outcome RunOnce(const FaultWorkload& workload, const Policy& policy, const FaultKind& kind,
                  std::uint64_t n) {
    Injector injector(&kind, n);
    Driver driver({.options = OptionsFor(policy.sync), .seed = seed_}, injector);
    workload.run(driver);
    driver.Finish();
    const Outcome outcome{injector.injected(), injector.calls()};
    report_.Count("fault_runs");
    if (outcome.injected) {
      report_.Count("faults_injected");
      report_.Count(std::string("faults_") + kind.name);
      report_.Count("fault_calls_failed", injector.fired());
    }
    if (driver.turned_read_only()) report_.Count("fault_stores_turned_read_only");
    report_.Count("fault_reopens", driver.reopens());
    report_.Count("fault_swaps", driver.swaps());
    report_.Count("fault_scheduled_rotations", driver.rotations());
    report_.Count("fault_scheduled_failures", driver.failed_by_itself());
    for (const Verdict& problem : driver.problems()) {
      report_.Violation(problem.wrong, "faults: seed " + std::to_string(seed_) + ", workload " +
                                           workload.name + ", sync " + policy.name + ", " +
                                           injector.Describe() + ": " + problem.what);
    }
    return outcome;
  }

  const Deadline deadline_;
  Report& report_;
  std::uint64_t seed_;
  std::map<std::tuple<std::string, std::string, std::string>, std::uint64_t> calls_;
};

}  // namespace

void RunFaults(const Settings& settings, Report& report) {
  UseSteadyHeap();
  report.NotModelled("faults: a device or journal that acknowledges a flush and loses it later");
  report.NotModelled("faults: pages whose writing failed being evicted while the machine lives on");
  report.NotModelled("faults: two independent failures in one run, unless the first is for good");
  Sweep(settings, report).Run(settings.quick());
}

}  // namespace freyja::torture
