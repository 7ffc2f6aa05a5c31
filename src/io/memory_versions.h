// What the in-memory file system remembers of a file between two syncs, so that every state
// a crash may leave can be made: each content that each sector has had, and each size.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <utility>
#include <vector>

#include "io/memory_region.h"

namespace freyja::io::memory {

struct Hash128 {
  std::uint64_t low = 0;
  std::uint64_t high = 0;
  friend bool operator==(const Hash128&, const Hash128&) = default;
};
Hash128 HashOf(std::span<const std::byte> bytes);

// Of a sector; one of zeros has the hash {0, 0}, and so has what lies past a file's end.
struct SectorVersion {
  std::uint64_t stamp = 0;  // when it was first seen; grows over the whole disk
  Hash128 hash;
  alignas(64) std::array<std::byte, kSectorBytes> bytes{};
};
using SectorVersions = std::vector<std::shared_ptr<const SectorVersion>>;

struct SizeVersion {
  std::uint64_t stamp = 0;
  std::uint64_t size = 0;
  bool written = false;  // by a write past the old end, not by reserving space or cutting
};

// Since the last sync, oldest first; what was synced isn't among them.
struct FileVersions {
  std::map<std::uint64_t, SectorVersions> sectors;  // by number
  std::vector<SizeVersion> sizes;

  void Clear() {
    sectors.clear();
    sizes.clear();
  }
  // Forgets the sectors within [begin, end), in bytes.
  void Forget(std::uint64_t begin, std::uint64_t end);
};

// What was synced of a file. Zeros at its end are left out.
struct SyncedContent {
  std::vector<std::byte> bytes;  // whole sectors
  std::vector<Hash128> hashes;   // of the sectors
};
std::shared_ptr<const SyncedContent> CopySynced(const std::byte* data, std::uint64_t bytes);

// A file at one moment. Immutable, and shares all content with others of its kind.
struct FrozenInode {
  std::shared_ptr<const SyncedContent> synced;
  std::uint64_t synced_size = 0;
  std::vector<std::pair<std::uint64_t, SectorVersions>> sectors;  // ascending
  std::vector<SizeVersion> sizes;
  std::vector<bool> blocks;

  std::uint64_t LastStamp() const;
};

}  // namespace freyja::io::memory
