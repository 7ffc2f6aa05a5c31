// Bloom filter over key hashes (Bloom 1970; two-hash scheme of Kirsch and
// Mitzenmacher 2006). Ten bits a key and seven probes: about 0.8 % false "maybe".
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "format/ids.h"

namespace freyja::format {

// Size in bytes, a multiple of 8, of a filter for that many keys; 8 for none.
std::size_t BloomFilterBytes(std::uint64_t keys);
void AddToBloomFilter(std::span<std::byte> filter, const KeyHash& hash);
// False: surely not added. An empty filter means "maybe".
bool MayContain(std::span<const std::byte> filter, const KeyHash& hash);

}  // namespace freyja::format
