// Ends a child at a chosen system call.
#pragma once

#include <cstdint>
#include <set>
#include <string>

#include "freyja/status.h"
#include "torture/real/child.h"

namespace freyja::torture::real {

enum class Moment : std::uint8_t {
  kBefore,  // at its entry: the kernel has done nothing of it
  kDuring,  // it was let go and killed at once, by another thread
  kAfter,   // at its exit: all of it is done, and the child has not seen the answer
};
inline constexpr std::uint8_t kMoments = 3;

struct Traced {
  std::uint64_t calls = 0;        // that concern the file system, of all threads, so far
  std::set<std::uint64_t> kinds;  // system call numbers among them
  bool killed = false;            // by us; else it ended by itself before that call
  int wait_status = 0;
};

// Runs a started child under ptrace and kills it at the `n`-th such call, counted from its
// first; at none if `n` is 0. Reaps it. kUnsupported: tracing is not permitted here.
//
// The calling thread must have started the child: only it may wait for it.
Result<Traced> RunTraced(Child& child, std::uint64_t n, Moment moment);

}  // namespace freyja::torture::real
