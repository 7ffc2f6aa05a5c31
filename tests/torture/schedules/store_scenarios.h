// Scenarios on a whole store: KVStore's engine, its writer, and hot swaps, on files in memory.
#pragma once

#include <vector>

#include "torture/schedules/store_world.h"

namespace freyja::torture::schedules {

// Of every `reopen_every` schedules of a scenario one ends with the store closed, opened
// again and compared.
std::vector<Scenario> StoreScenarios(StorePlant plant = StorePlant::kNone,
                                     std::uint64_t reopen_every = 16);

}  // namespace freyja::torture::schedules
