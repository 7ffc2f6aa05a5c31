// For tests only: systematic damage to encoded bytes. Every variant is handed over in a
// heap block of exactly its size, so that a sanitizer sees a read outside.
#pragma once

#include <cstddef>
#include <cstdint>
#include <random>
#include <span>
#include <vector>

#include "base/bytes.h"
#include "base/crc32c.h"

namespace freyja::format {

using Bytes = std::vector<std::byte>;

// Calls `check(damaged, bit)` for every single flipped bit.
template <typename Check>
void ForEachFlippedBit(std::span<const std::byte> intact, Check check) {
  Bytes damaged(intact.begin(), intact.end());
  damaged.shrink_to_fit();
  for (std::size_t bit = 0; bit < intact.size() * 8; ++bit) {
    const std::byte mask = std::byte{1} << (bit % 8);
    damaged[bit / 8] ^= mask;
    check(damaged, bit);
    damaged[bit / 8] ^= mask;
  }
}

// Calls `check(cut)` for every length below the full one.
template <typename Check>
void ForEachTruncation(std::span<const std::byte> intact, Check check) {
  for (std::size_t length = 0; length < intact.size(); ++length) {
    const Bytes cut(intact.begin(), intact.begin() + static_cast<std::ptrdiff_t>(length));
    check(cut);
  }
}

inline Bytes RandomBytes(std::mt19937_64& random, std::size_t size) {
  Bytes bytes(size);
  for (std::byte& byte : bytes) byte = static_cast<std::byte>(random());
  return bytes;
}

// Puts the right checksum (seed 0) at `offset` over everything before it: a forgery that
// only the checks of single fields can reject.
inline void Reseal(std::span<std::byte> bytes, std::size_t offset) {
  base::Store(bytes.data() + offset, base::Crc32c(0, bytes.first(offset)));
}

}  // namespace freyja::format
