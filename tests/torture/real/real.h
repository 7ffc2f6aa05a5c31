// Real processes killed, real file systems cut off, filled up and damaged.
//
// What the other parts do in memory, this one does to the operating system: SIGKILL at chosen
// system calls (kills), images of a mounted ext4 taken while it is written (power_cuts), file
// systems that are full (full_disks), and files that lose bytes under a mapping, or a device
// that returns real I/O errors (media_errors). What a machine does not permit is skipped with
// a message and never fails.
//
// Children are this program, executed again (child.h). Mounts are made in a mount namespace of
// a thread of their own, so that they, and the loop devices under them, end with the process
// however it ends.
#pragma once

#include "torture/report.h"

namespace freyja::torture {

void RunReal(const Settings& settings, Report& report);

namespace real {

// The parts of it; a round does the whole quick amount of work.
void RunKills(const Settings& settings, Report& report);
void RunPowerCuts(const Settings& settings, Report& report);
void RunFullDisks(const Settings& settings, Report& report);
void RunMediaErrors(const Settings& settings, Report& report);

}  // namespace real
}  // namespace freyja::torture
