// A whole store: the input is a sequence of operations, among them faults and crashes, whose
// outcome must be what std::map and the oracle of crashes allow (store_world.h).
#include "fuzz/store_world.h"
#include "fuzz/targets.h"

namespace freyja::fuzz {

void FuzzStore(Bytes data) { RunStoreWorld(data, Planted::kNothing); }

}  // namespace freyja::fuzz
