#include "format/bloom.h"

#include <algorithm>

#include "base/bytes.h"

namespace freyja::format {
namespace {

constexpr std::uint64_t kBitsPerKey = 10;
constexpr int kProbes = 7;
constexpr std::size_t kWordBytes = 8;

__extension__ using Wide = unsigned __int128;

// The bit of probe `probe` in a filter of `bits` bits: the two halves of the hash give the
// arithmetic progression, whose upper bits are scaled to the filter without a division.
std::uint64_t BitOf(const KeyHash& hash, int probe, std::uint64_t bits) {
  const std::uint64_t step = hash.high | 1;
  const std::uint64_t mixed = hash.low + static_cast<std::uint64_t>(probe) * step;
  return static_cast<std::uint64_t>((Wide{mixed} * bits) >> 64);
}

}  // namespace

std::size_t BloomFilterBytes(std::uint64_t keys) {
  const std::uint64_t bytes = base::RoundUp(keys * kBitsPerKey, std::uint64_t{64}) / 8;
  return std::max<std::uint64_t>(bytes, kWordBytes);
}

void AddToBloomFilter(std::span<std::byte> filter, const KeyHash& hash) {
  if (filter.empty()) return;
  const std::uint64_t bits = filter.size() * 8;
  for (int probe = 0; probe < kProbes; ++probe) {
    const std::uint64_t bit = BitOf(hash, probe, bits);
    filter[bit / 8] |= std::byte{1} << (bit % 8);
  }
}

bool MayContain(std::span<const std::byte> filter, const KeyHash& hash) {
  const std::uint64_t bits = filter.size() * 8;
  if (bits == 0) return true;
  for (int probe = 0; probe < kProbes; ++probe) {
    const std::uint64_t bit = BitOf(hash, probe, bits);
    if ((filter[bit / 8] & (std::byte{1} << (bit % 8))) == std::byte{0}) return false;
  }
  return true;
}

}  // namespace freyja::format
