// What a child does once it is one.
#pragma once

#include "torture/real/child.h"

namespace freyja::torture::real {

// Tells its parent everything through Send; returns when it has nothing left to do.
void RunChild(const ChildSpec& spec);
// RunChild for Task::kFileSizeLimit.
void RunUnderFileSizeLimit(const ChildSpec& spec);

}  // namespace freyja::torture::real
