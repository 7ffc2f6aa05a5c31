// Turns a SIGBUS inside one of our mappings into a flag on that mapping.
//
// A media error under a mapping, or a mapped file that somebody shortened, makes the
// kernel send SIGBUS to the thread that touches the page, and that kills the host. A
// FaultGuard covers one mapping: the page is replaced by an anonymous page of zeros, the
// access completes, and faulted() is true from then on (it becomes true before any thread
// can see the zeros). What was stored in that page is lost and later stores to it go
// nowhere.
//
// Signal handlers belong to the process by their nature, so this is the one piece of
// global state in the library. The handler is installed when the first guard is made and
// stays. A SIGBUS outside every guarded range goes to whatever action was installed
// before it. A host that installs a SIGBUS handler of its own later must pass on what
// isn't its own, as handlers do by convention; it must not unload the library either.
#pragma once

#include <cstddef>

#include "freyja/status.h"

namespace freyja::io {

// Thread-safe; movable. While a guard lives its range must stay mapped, and the range
// must not be touched any more once the guard is being destroyed: destroy the guard,
// then unmap.
class FaultGuard {
 public:
  // Covers [start, start + length), rounded up to whole pages; `start` is page-aligned.
  // kOutOfMemory, or kIoError if the handler can't be installed.
  static Result<FaultGuard> Protect(void* start, std::size_t length, bool writable);

  FaultGuard(FaultGuard&& other) noexcept;
  FaultGuard& operator=(FaultGuard&&) = delete;
  ~FaultGuard();

  bool faulted() const;

 private:
  struct Entry;
  struct Chunk;
  class Registry;
  explicit FaultGuard(Entry* entry) : entry_(entry) {}

  Entry* entry_;
};

}  // namespace freyja::io
