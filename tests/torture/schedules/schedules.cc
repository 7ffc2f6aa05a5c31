#include "torture/schedules/schedules.h"

#include <algorithm>
#include <cstdint>
#include <string>
#include <vector>

#include "torture/schedules/core_scenarios.h"
#include "torture/schedules/explorer.h"
#include "torture/schedules/fiber.h"
#include "torture/schedules/store_scenarios.h"
#include "torture/steady_heap.h"

namespace freyja::torture {

namespace {

using schedules::Explored;
using schedules::Scenario;

constexpr std::uint64_t kDepth = 3;
constexpr std::uint64_t kQuickRandom = 60;  // schedules of each scenario
// Of the scenarios on the whole store, those that the quick form explores completely; of the
// others it explores all schedules with one preemption. None under a sanitizer.
constexpr std::size_t kQuickCompleteOnStore = 2;

void Add(const Explored& explored, Report& report) {
  report.Count("schedules_explored", explored.schedules);
  report.Count("histories_checked", explored.histories);
  report.Maximum("longest_schedule", explored.longest);
  for (const auto& finding : explored.findings) report.Violation(finding.wrong, finding.what);
}

// Within the usual number of preemptions, or fewer; `true`: nothing was left out.
bool ExploreAll(const Scenario& scenario, std::uint64_t preemptions, const Deadline& deadline,
                Report& report) {
  const Explored explored = schedules::ExploreAll(
      scenario, {.preemptions = preemptions, .over = [&] { return deadline.over(); }});
  Add(explored, report);
  report.Count("schedule_scenarios_diverged", explored.diverged ? 1 : 0);
  report.Count("schedules_repeated", explored.divergences);
  if (!explored.complete) report.Skipped("schedules: the rest of \"" + scenario.name + "\"");
  return explored.complete;
}

void ExploreRandom(const Scenario& scenario, std::uint64_t seed, std::uint64_t& decisions,
                   Report& report) {
  const Explored explored = schedules::ExploreRandom(scenario, seed, kDepth, decisions);
  decisions = std::max(decisions, explored.decisions);
  Add(explored, report);
  report.Count("pct_schedules");
}

void SayWhatIsNotModelled(Report& report) {
  report.NotModelled(
      "schedules: threads are switched at the scheduling points (and, under random priorities, "
      "at every lock) only, and memory is sequentially consistent there; what weaker memory "
      "could do to epochs and slots is checked on models (tests/models)");
  report.NotModelled(
      "schedules: the maintenance, scheduler, job and listener threads don't run; what they do is "
      "done by the set-up and by the compacting thread");
}

}  // namespace

void RunSchedules(const Settings& settings, Report& report) {
  SayWhatIsNotModelled(report);
  UseSteadyHeap();
  const Deadline deadline(settings);
  const std::vector<Scenario> core = schedules::CoreScenarios();
  const std::vector<Scenario> store = schedules::StoreScenarios();
  report.Count("schedule_scenarios", core.size() + store.size());
  report.Count("schedule_scenarios_complete", 0);
  for (const Scenario& scenario : core) {
    const bool complete = ExploreAll(scenario, schedules::kPreemptions, deadline, report);
    report.Count("schedule_scenarios_complete", complete ? 1 : 0);
  }
  for (std::size_t i = 0; i < store.size(); ++i) {
    const bool all =
        !settings.quick() || (i < kQuickCompleteOnStore && !schedules::Fiber::kSanitized);
    const bool complete = ExploreAll(store[i], all ? schedules::kPreemptions : 1, deadline, report);
    report.Count("schedule_scenarios_complete", all && complete ? 1 : 0);
  }

  std::vector<Scenario> every = core;
  every.insert(every.end(), store.begin(), store.end());
  std::vector<std::uint64_t> decisions(every.size(), 100);  // a guess to begin with
  std::uint64_t round = 0;
  for (; settings.quick() ? round < kQuickRandom : !deadline.over(); ++round) {
    for (std::size_t i = 0; i < every.size() && !deadline.over(); ++i) {
      ExploreRandom(every[i], settings.seed + round, decisions[i], report);
    }
  }
}

}  // namespace freyja::torture
