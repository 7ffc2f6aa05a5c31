// The part of the torture suite that fails calls of the file system.
//
// Short workloads run on the in-memory file system; for every call they make, and for every
// kind of failure, one run in which that call fails, once or from then on. Every call of the
// store must end in success or in a clear error; what was read must be right all the time;
// and afterwards the disk, as it is after Close, after the death of the process and after a
// power cut, must open and hold a prefix of the writes that includes all that was promised.
#pragma once

#include "torture/report.h"

namespace freyja::torture {

void RunFaults(const Settings& settings, Report& report);

}  // namespace freyja::torture
