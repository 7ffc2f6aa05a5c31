// The part of the torture suite that damages a store's files.
//
// Every bit of every file of small stores is flipped, sectors are zeroed, swapped and
// duplicated, files go missing, are cut, extended, swapped, or replaced by an older copy or by
// that of another store. Then the store is opened, for reading only and for writing, read in
// every way and checked. What is found is one of
//   detected  opening, a read or the check reports an error, and no answer is wrong
//   unused    all answers are as before, and the check says that all is well
//   rebuilt   the same, after a damaged or missing hint was made anew
//   tear      only in a store that was not closed: its log ends before the damage, because no
//             record and no manifest says that what was damaged had been made durable
// and never an answer that is wrong without an error.
#pragma once

#include "torture/report.h"

namespace freyja::torture {

void RunRot(const Settings& settings, Report& report);

}  // namespace freyja::torture
