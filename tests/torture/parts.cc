#include "torture/parts.h"

#include <algorithm>

#include "torture/crash_states/crash_states.h"
#include "torture/faults/faults.h"
#include "torture/real/real.h"
#include "torture/rot/rot.h"
#include "torture/swaps/swaps.h"

#if defined(FREYJA_SCHEDULE_POINTS)
#include "torture/schedules/schedules.h"
#endif

namespace freyja::torture {

std::span<const Part> AllParts() {
  static const std::vector<Part> parts = {
      {"crash_states", "power cuts and kills at every operation, sector by sector", RunCrashStates,
       41},
      {"swaps", "reads and writes through one hot swap after another", RunSwaps, 12},
      {"faults", "every file system call fails in every way", RunFaults, 12},
#if defined(FREYJA_SCHEDULE_POINTS)
      {"schedules", "threads in every order that two preemptions allow, and at random",
       RunSchedules, 20},
#endif
      {"rot", "every bit flipped, sectors and files mixed up", RunRot, 5},
      {"real", "processes killed, power cut, disks full and failing, on real files", RunReal, 10},
  };
  return parts;
}

std::vector<std::string> PartNames() {
  std::vector<std::string> names;
  for (const Part& part : AllParts()) names.push_back(part.name);
  return names;
}

const Part& FindPart(const std::string& name) {
  return *std::ranges::find(AllParts(), name, &Part::name);
}

}  // namespace freyja::torture
