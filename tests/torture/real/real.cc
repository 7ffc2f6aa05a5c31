#include "torture/real/real.h"

#include <algorithm>

#include "support/test_settings.h"

namespace freyja::torture {

// The quick form does each part once; the long form goes around with new seeds, a slice of its
// time for each part.
void RunReal(const Settings& settings, Report& report) {
  constexpr std::chrono::milliseconds kSlice{60'000};
  const Deadline deadline(settings);
  support::Dice dice(settings.seed);
  do {
    for (const auto part :
         {real::RunKills, real::RunPowerCuts, real::RunFullDisks, real::RunMediaErrors}) {
      if (!settings.quick() && deadline.over()) return;
      Settings slice = settings;
      slice.seed = dice.Next();
      slice.time = std::min(settings.time / 4, kSlice);
      part(slice, report);
    }
  } while (!settings.quick() && !deadline.over());
}

}  // namespace freyja::torture
