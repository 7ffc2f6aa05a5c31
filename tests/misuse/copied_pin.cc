#include <utility>

#include "freyja/freyja.h"

freyja::PinnedValue Use(freyja::PinnedValue& pin) {
#ifdef MISUSE
  return pin;
#else
  return std::move(pin);
#endif
}
