// A canary: the store's target with one wrong expectation, that a write without sync survives
// power loss. Only a put or delete followed by a power loss shows it. `make fuzz` fails unless
// it is found: operations that do nothing, or an oracle that accepts anything, would not.
#include "fuzz/store_world.h"
#include "fuzz/targets.h"

namespace freyja::fuzz {

void FuzzCanaryStore(Bytes data) { RunStoreWorld(data, Planted::kUnsyncedIsCalledDurable); }

}  // namespace freyja::fuzz
