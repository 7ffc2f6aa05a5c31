// Part "schedules" of the torture suite: readers, writers and a compactor under every
// schedule with at most two preemptions, then under random ones.
#pragma once

#include "torture/report.h"

namespace freyja::torture {

void RunSchedules(const Settings& settings, Report& report);

}  // namespace freyja::torture
