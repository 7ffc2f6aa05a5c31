// How the parts of the suite want their memory.
#pragma once

#include <malloc.h>

namespace freyja::torture {

// Memory that was used before is used again; only a store's table of segments (8 MiB, of which
// one page is used) comes as fresh zero pages. By default it may be the other way round, and then
// a store that lives for a millisecond spends more time on page faults than on anything else.
inline void UseSteadyHeap() {
  ::mallopt(M_MMAP_THRESHOLD, 4 << 20);
  ::mallopt(M_TRIM_THRESHOLD, 64 << 20);
}

}  // namespace freyja::torture
