#include "support/test_settings.h"

#include <algorithm>
#include <cstdlib>

namespace freyja::support {

std::uint64_t TestSeed(std::uint64_t otherwise) {
  const char* const text = std::getenv("FREYJA_TEST_SEED");
  return text == nullptr ? otherwise : std::strtoull(text, nullptr, 0);
}

std::size_t Scaled(std::size_t quick) {
  const char* const text = std::getenv("FREYJA_TEST_SCALE");
  const double scale = text == nullptr ? 1.0 : std::strtod(text, nullptr);
  return std::max<std::size_t>(1, static_cast<std::size_t>(static_cast<double>(quick) * scale));
}

}  // namespace freyja::support
