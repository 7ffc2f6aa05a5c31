// Identities that tie files of one store together, and the hash of a key.
#pragma once

#include <array>
#include <compare>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace freyja::format {

inline constexpr std::uint32_t kFormatVersion = 1;

struct StoreUuid {
  std::uint64_t high = 0;
  std::uint64_t low = 0;
  friend bool operator==(const StoreUuid&, const StoreUuid&) = default;
};

// What a segment is: part of the seed of every checksum in its file, so that a record
// copied from another place, file or store does not verify here.
struct SegmentIdentity {
  StoreUuid store = {};
  std::uint64_t id = 0;     // never used twice in a store
  std::uint64_t nonce = 0;  // random, also in the manifest
  friend bool operator==(const SegmentIdentity&, const SegmentIdentity&) = default;

  // CRC-32C over store, id and nonce.
  std::uint32_t ChecksumSeed() const;
};

// "17.data", "17.hint"
std::string DataFileName(std::uint64_t segment_id);
std::string HintFileName(std::uint64_t segment_id);
inline constexpr std::string_view kManifestName = "MANIFEST";
inline constexpr std::string_view kManifestTempName = "MANIFEST.tmp";
inline constexpr std::string_view kIndexImageName = "INDEX";
inline constexpr std::string_view kLockName = "LOCK";
inline constexpr std::string_view kReserveName = "RESERVE";
inline constexpr std::string_view kHistoryName = "HISTORY";
inline constexpr std::string_view kHistoryTempName = "HISTORY.tmp";
inline constexpr std::string_view kControlName = "CONTROL";  // a Unix socket

enum class FileKind : std::uint8_t { kData, kHint, kForeign };
struct ParsedFileName {
  FileKind kind = FileKind::kForeign;
  std::uint64_t segment_id = 0;
};
// Canonical names only: "017.data", "17.data.bak" and "0.data" are foreign (ids start at 1).
ParsedFileName ParseFileName(std::string_view name);

// XXH3 128-bit hash of a key under the store's secret seed. The index uses `low`; the
// whole stands for the key in recovery and in the tombstone rule (docs/durability.md).
struct KeyHash {
  std::uint64_t low = 0;
  std::uint64_t high = 0;
  friend auto operator<=>(const KeyHash&, const KeyHash&) = default;
};
KeyHash HashKey(std::string_view key, std::uint64_t seed);

}  // namespace freyja::format
