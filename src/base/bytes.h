// Little-endian integers in byte ranges, and views between bytes and characters.
#pragma once

#include <bit>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string_view>

namespace freyja::base {

static_assert(std::endian::native == std::endian::little,
              "the file format is little-endian; a big-endian machine needs byte swaps here");

template <std::unsigned_integral T>
T Load(const std::byte* from) {
  T value;
  std::memcpy(&value, from, sizeof value);
  return value;
}

template <std::unsigned_integral T>
void Store(std::byte* to, T value) {
  std::memcpy(to, &value, sizeof value);
}

inline std::string_view AsChars(std::span<const std::byte> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

inline std::span<const std::byte> AsBytes(std::string_view chars) {
  return {reinterpret_cast<const std::byte*>(chars.data()), chars.size()};
}

template <std::unsigned_integral T>
constexpr T RoundUp(T value, T multiple) {
  return (value + multiple - 1) / multiple * multiple;
}

}  // namespace freyja::base
