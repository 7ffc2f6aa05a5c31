// The bare loop that FreyjaDB is measured against: only the work no store of its design can
// leave out, with none of the safety.
#pragma once

#include "peer.h"

namespace freyja::bench {

// A flat table of 16-byte slots (hash, offset), at most half full, sized before the run.
PeerKind LimitKind();
// The same, doubling as the keys come, as a store that does not know their number must.
PeerKind GrowingLimitKind();

}  // namespace freyja::bench
