// Crash-state enumeration: short workloads crash at every boundary of their file operations,
// in every state that a crash may leave there (or, where these are too many, in a choice of
// them), and what is recovered from each is held against the history of the writes.
#pragma once

#include <cstdint>

#include "torture/report.h"

namespace freyja::torture {

// Figures: workloads, crash_boundaries, crash_boundaries_exhaustive, crash_states (enumerated;
// one may be met more than once), crash_images (distinct ones, each recovered), of them
// images_process_kill, images_ordered_journal and images_adversarial by the profile that made
// them first; nested_crash_images (distinct ones of crashes inside recovery, not among the
// others), recovered_opens, compacted_after_crash, lost_unsynced (images that held less than
// had been acknowledged, as the sync policy allows).
//
// Boundaries lie before each operation that changes something and after each write. One is
// exhaustive if all its states in all profiles were made; up to which number of states that is
// done is the figure exhaustive_limit, larger in the long form.
void RunCrashStates(const Settings& settings, Report& report);

}  // namespace freyja::torture
