// Scenarios on the core of the store alone: index, epochs, compare-and-swap, retirement.
//
// Records are cells of the test, so that a page splits after three keys and a cell that is
// read after it was freed says so. Index and EpochManager are the real ones.
#pragma once

#include <vector>

#include "torture/schedules/explorer.h"

namespace freyja::torture::schedules {

// Mistakes a compactor or a reader could make, for tests of the explorer.
enum class CorePlant : std::uint8_t {
  kNone,
  kStoreInsteadOfSwap,     // the new location is stored whatever the slot holds
  kEraseThenInsert,        // the key is gone for a moment
  kFreeBeforeEpochsDrain,  // cells are freed although a reader may hold a location
  kAnnounceAfterLookUp     // a reader takes its location before it announces its epoch
};

std::vector<Scenario> CoreScenarios(CorePlant plant = CorePlant::kNone);

}  // namespace freyja::torture::schedules
