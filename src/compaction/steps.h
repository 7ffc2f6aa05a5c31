// A job as a row of hot swaps, each of which commits by itself.
#pragma once

#include "compaction/events.h"
#include "compaction/expiry.h"
#include "compaction/job_state.h"
#include "engine/store.h"

namespace freyja::compaction {

// Runs the job on the caller's thread. Segments are chosen anew for every step, from what was
// there at the first one: neither what the job wrote itself nor what was written since, so that
// it ends under any load. A cancel, a time limit, an error or a crash loses the step in
// progress; what earlier steps reclaimed stays, and the next job finds what is left.
Result<CompactionReport> RunInSteps(engine::Store& store, const ExpiryClock& expiry,
                                    EventDispatcher& events, JobState& state);

}  // namespace freyja::compaction
