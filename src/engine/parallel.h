// A loop over a range of indices on several threads.
#pragma once

#include <cstddef>
#include <functional>

#include "freyja/status.h"

namespace freyja::engine {

// Calls body(i) for i in [0, count) on up to `threads` threads, the calling one included.
// After an error no further calls are begun; the first error is returned. An exception of
// type std::bad_alloc in a body counts as kOutOfMemory.
Status RunParallel(std::size_t count, unsigned threads,
                   const std::function<Status(std::size_t)>& body);

}  // namespace freyja::engine
