// A store's own scheduler, made to look only when it is told to, so that what it does falls
// between two steps of a workload.
#pragma once

#include <cstdint>
#include <string>

#include "freyja/kv_store.h"
#include "freyja/scheduler_options.h"

namespace freyja::torture {

// It does nothing before it is let, and counts any share of dead bytes as too much once a segment's
// worth is there. Stores with it must not be told to pause by anybody else.
SchedulerOptions WokenOptions();

struct SchedulerRun {
  std::uint64_t completed = 0;  // hot swaps
  std::uint64_t failed = 0;
  bool rotated = false;  // the segment that was active is appended to no more
  // Empty, or: what it should have done and did not.
  std::string problem;
};

// Lets it look and compact until nothing is left for it to do, the store can't be written to, or
// `most_failures` jobs have failed. That it acts, and knows of each failure, is checked. Nobody
// else may write or compact meanwhile.
SchedulerRun LetSchedulerRun(KVStore& store, std::uint64_t most_failures);

// Sets a ceiling that can't be met, until what is in quarantine now has been given up. What the
// scheduler replaces meanwhile may take its place.
SchedulerRun LetSchedulerMakeRoom(KVStore& store);

}  // namespace freyja::torture
