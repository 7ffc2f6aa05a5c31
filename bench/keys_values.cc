#include "keys_values.h"

#include <algorithm>
#include <cstring>
#include <numeric>

namespace freyja::bench {

namespace {

constexpr std::size_t kTagBytes = 8;

__extension__ using Wide = unsigned __int128;

}  // namespace

std::uint64_t Mix(std::uint64_t x) {
  x ^= x >> 32;
  x *= 0x9FB21C651E98DF25;
  x ^= x >> 29;
  x *= 0xD6E8FEB86659FD93;
  return x ^ (x >> 32);
}

std::uint64_t Sequence::Below(std::uint64_t bound) {
  state_ += 0x9E3779B97F4A7C15;
  return static_cast<std::uint64_t>((static_cast<Wide>(Mix(state_)) * bound) >> 64);
}

Permutation::Permutation(std::uint64_t count, std::uint64_t seed)
    : count_(count), step_(count / 2 + Mix(seed) % (count / 4 + 1)), start_(Mix(~seed) % count) {
  step_ = std::max<std::uint64_t>(step_, 1);
  while (std::gcd(step_, count_) != 1) ++step_;
}

std::uint64_t Permutation::operator[](std::uint64_t i) const {
  return static_cast<std::uint64_t>((static_cast<Wide>(i) * step_ + start_) % count_);
}

std::string_view KeyMaker::Make(std::uint64_t number) {
  const std::uint64_t first = Mix(number ^ seed_);
  const std::uint64_t second = first * 0x9E3779B97F4A7C15 + number;
  std::memcpy(key_.data(), &first, sizeof first);
  std::memcpy(key_.data() + sizeof first, &second, sizeof second);
  return {key_.data(), key_.size()};
}

ValueMaker::ValueMaker(std::size_t bytes) : value_(bytes, '\0') {
  for (std::size_t i = 0; i < bytes; ++i) value_[i] = static_cast<char>(Mix(i));
}

std::string_view ValueMaker::Make(std::uint64_t index, std::uint64_t version) {
  const std::uint64_t tag = Mix(index) + version;
  const std::size_t bytes = std::min(kTagBytes, value_.size());
  std::memcpy(value_.data(), &tag, bytes);
  std::memcpy(value_.data() + value_.size() - bytes, &tag, bytes);
  return value_;
}

bool ValueMaker::Verify(std::string_view value, std::uint64_t index, VersionRange versions) const {
  if (value.size() != value_.size()) return false;
  if (value.empty()) return true;
  // If the two tags overlap, the second overwrote part of the first.
  const std::size_t bytes = std::min(kTagBytes, value.size());
  std::uint64_t tag = 0;
  std::memcpy(&tag, value.data() + value.size() - bytes, bytes);
  const std::uint64_t mask = ~std::uint64_t{0} >> (8 * (kTagBytes - bytes));
  const std::uint64_t version = (tag - Mix(index)) & mask;
  if (version < (versions.oldest & mask) || version > (versions.newest & mask)) return false;
  return value.size() < 2 * kTagBytes || std::memcmp(value.data(), &tag, kTagBytes) == 0;
}

}  // namespace freyja::bench
