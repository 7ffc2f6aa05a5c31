// What the index's tests share: keys that are numbers, and locations that tell
// their key and version, in place of records on disk.
#pragma once

#include <cstdint>

#include "engine/index.h"

namespace freyja::engine::testing {

inline std::uint64_t UniformHash(std::uint64_t key) {
  key += 0x9E3779B97F4A7C15ULL;
  key = (key ^ (key >> 30)) * 0xBF58476D1CE4E5B9ULL;
  key = (key ^ (key >> 27)) * 0x94D049BB133111EBULL;
  return key ^ (key >> 31);
}

// Keys below 2^27, versions below 2^20.
inline Location RecordOf(std::uint64_t key, std::uint64_t version) {
  return {static_cast<std::uint32_t>(version), (key + 8) * 8, 8 * (1 + version % 7)};
}
inline std::uint64_t KeyOf(Location location) { return location.offset() / 8 - 8; }
inline std::uint64_t VersionOf(Location location) { return location.slot(); }

// The `confirm` callback for `key`.
inline auto HasKey(std::uint64_t key) {
  return [key](Location location) { return KeyOf(location) == key; };
}
inline constexpr auto kIgnore = [](auto...) {};

// A guarded look-up.
inline Location Get(const Index& index, EpochManager& epochs, std::uint64_t hash,
                    std::uint64_t key) {
  const EpochGuard guard(epochs);
  return index.Find(hash, HasKey(key));
}

}  // namespace freyja::engine::testing
