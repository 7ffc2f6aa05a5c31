// Values that say whose they are and how new, so that a reader can judge what it got.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace freyja::testing {

inline std::string KeyOf(std::uint32_t key) { return "key-" + std::to_string(key); }

// Key, version and a checksum, padded to a length that depends on both.
std::string MakeVersionedValue(std::uint32_t key, std::uint64_t version);
// The version, if `value` is intact and belongs to `key`.
std::optional<std::uint64_t> ReadVersion(std::uint32_t key, std::string_view value);

// Every fifth version of a key is its deletion.
inline bool IsDeletion(std::uint64_t version) { return version % 5 == 0; }
// Whether some version in [first, last] is a deletion.
inline bool AnyDeletion(std::uint64_t first, std::uint64_t last) { return last / 5 * 5 >= first; }

}  // namespace freyja::testing
