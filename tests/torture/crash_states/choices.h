// Which of the many states of a boundary are tried.
#pragma once

#include <cstdint>
#include <functional>

#include "io/memory_crash_states.h"
#include "support/test_settings.h"

namespace freyja::torture {

struct Effort {
  std::uint64_t exhaustive_limit = 0;  // up to this product of alternatives all are tried
  std::uint64_t sampled = 0;           // else this many at most
};

using VisitChoice = std::function<void(const io::CrashStates::Choice&)>;

// The number of choices, or UINT64_MAX if that is less.
std::uint64_t CountChoices(const std::vector<std::uint32_t>& alternatives);

// Visits each choice once if there are few enough; true then. Otherwise: nothing kept,
// everything kept, what there was at each time (prefixes), everything but one, nothing but
// one, all but two, none but two, and random ones; those that come too late for the effort
// are left out. Nothing and everything are never left out.
bool VisitChoices(const io::CrashStates& states, io::CrashProfile profile, const Effort& effort,
                  support::Dice& dice, const VisitChoice& visit);

}  // namespace freyja::torture
