#include "io/memory_versions.h"

#include <xxhash.h>

#include <algorithm>
#include <cstring>

namespace freyja::io::memory {

Hash128 HashOf(std::span<const std::byte> bytes) {
  const XXH128_hash_t hash = XXH3_128bits(bytes.data(), bytes.size());
  return {.low = hash.low64, .high = hash.high64};
}

void FileVersions::Forget(std::uint64_t begin, std::uint64_t end) {
  sectors.erase(sectors.lower_bound(begin / kSectorBytes),
                sectors.lower_bound((end + kSectorBytes - 1) / kSectorBytes));
}

std::shared_ptr<const SyncedContent> CopySynced(const std::byte* data, std::uint64_t bytes) {
  while (bytes > 0 && KernelIsZero(data + bytes - kSectorBytes, kSectorBytes)) {
    bytes -= kSectorBytes;
  }
  auto copy = std::make_shared<SyncedContent>();
  copy->bytes.resize(bytes);
  if (bytes > 0) std::memcpy(copy->bytes.data(), data, bytes);
  for (std::uint64_t at = 0; at < bytes; at += kSectorBytes) {
    const auto sector = std::span(copy->bytes).subspan(at, kSectorBytes);
    const bool zero = KernelIsZero(sector.data(), kSectorBytes);
    copy->hashes.push_back(zero ? Hash128{} : HashOf(sector));
  }
  return copy;
}

std::uint64_t FrozenInode::LastStamp() const {
  std::uint64_t last = sizes.empty() ? 0 : sizes.back().stamp;
  for (const auto& [number, versions] : sectors) last = std::max(last, versions.back()->stamp);
  return last;
}

}  // namespace freyja::io::memory
