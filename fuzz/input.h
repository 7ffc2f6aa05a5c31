// Takes a fuzzer's bytes apart, from the front. An exhausted input gives zeros, so every
// sequence of bytes means something, and a longer one begins by meaning the same.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace freyja::fuzz {

class Input {
 public:
  explicit Input(std::span<const std::byte> bytes) : bytes_(bytes) {}

  bool empty() const { return bytes_.empty(); }

  std::uint8_t U8() {
    if (bytes_.empty()) return 0;
    const auto value = std::to_integer<std::uint8_t>(bytes_.front());
    bytes_ = bytes_.subspan(1);
    return value;
  }
  std::uint16_t U16() { return static_cast<std::uint16_t>(U8() | U8() << 8); }
  std::uint64_t U64() {
    std::uint64_t value = 0;
    for (unsigned shift = 0; shift < 64; shift += 8) value |= std::uint64_t{U8()} << shift;
    return value;
  }
  // From 0 to `bound` - 1, which fits in a byte.
  unsigned Below(unsigned bound) { return U8() % bound; }
  bool Flag() { return (U8() & 1) != 0; }
  bool OneIn(unsigned n) { return Below(n) == n - 1; }

  // A copy in a heap block of exactly its size, so that a sanitizer sees a read outside.
  std::vector<std::byte> Take(std::size_t count) {
    const auto taken = bytes_.first(std::min(count, bytes_.size()));
    bytes_ = bytes_.subspan(taken.size());
    return {taken.begin(), taken.end()};
  }
  std::vector<std::byte> Rest() { return Take(bytes_.size()); }

 private:
  std::span<const std::byte> bytes_;
};

}  // namespace freyja::fuzz
