#include "torture/crash_states/crash_states.h"

#include <array>
#include <string>

#include "torture/crash_states/examiner.h"
#include "torture/crash_states/workloads.h"
#include "torture/steady_heap.h"

namespace freyja::torture {

namespace {

constexpr Sync kPolicies[] = {Sync::kNone, Sync::kInterval, Sync::kAlways};

const char* NameOf(Sync sync) {
  switch (sync) {
    case Sync::kNone:
      return "no sync";
    case Sync::kInterval:
      return "sync by time";
    default:
      return "sync always";
  }
}

// Runs the workload once and tries the states of all its moments.
void RunWorkload(const Workload& workload, Sync sync, std::uint64_t seed, const Effort& effort,
                 const Deadline& deadline, Examiner& examiner, Report& report) {
  const std::string where =
      "seed " + std::to_string(seed) + ", " + std::string(workload.name) + ", " + NameOf(sync);
  World world(sync, seed);
  workload.run(world);
  if (!world.problem().empty()) {
    report.Violation(Wrong::kOther, where + ": " + world.problem());
  }
  report.Count("workloads");
  report.Count("swaps", world.swaps());
  report.Count("scheduled_rotations", world.rotations());
  examiner.ExamineAll(world, effort, deadline, where);
}

void SayWhatIsNotModelled(Report& report) {
  report.NotModelled("crash states: sectors torn below 512 bytes");
  report.NotModelled("crash states: a device that acknowledges a flush without doing it");
  report.NotModelled(
      "crash states: content that a mapped sector had only between two operations or writes");
  report.NotModelled(
      "crash states: renames within a directory found half, freed blocks of other files, damage "
      "to what was synced");
  report.NotModelled(
      "crash states: more than two crashes in a row, and crashes inside recovery other than a "
      "sample");
  report.NotModelled(
      "crash states: schedules of writers; each workload has one, and what the store's own "
      "threads do meanwhile is not replayed exactly from a seed");
}

}  // namespace

void RunCrashStates(const Settings& settings, Report& report) {
  UseSteadyHeap();
  SayWhatIsNotModelled(report);
  const Effort effort = settings.quick() ? Effort{.exhaustive_limit = 1 << 8, .sampled = 32}
                                         : Effort{.exhaustive_limit = 1 << 14, .sampled = 600};
  report.Maximum("exhaustive_limit", effort.exhaustive_limit);
  const Deadline deadline(settings);
  Examiner examiner(report, Rates{}, settings.seed);
  std::uint64_t seed = settings.seed;
  constexpr std::size_t kRounds = std::size(kPolicies);
  for (std::size_t round = 0; settings.quick() ? round < kRounds : !deadline.over(); ++round) {
    for (std::size_t i = 0; i < Workloads().size() && !deadline.over(); ++i) {
      // The quick form takes each workload once under each policy.
      const Sync sync = kPolicies[(i + round) % std::size(kPolicies)];
      RunWorkload(Workloads()[i], sync, seed++, effort, deadline, examiner, report);
    }
  }
}

}  // namespace freyja::torture
