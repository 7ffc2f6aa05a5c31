// The keys and values that every store gets, and the order in which they are visited.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace freyja::bench {

inline constexpr std::size_t kKeyBytes = 16;

// Bijective: different inputs give different outputs.
std::uint64_t Mix(std::uint64_t x);

// Random numbers for the order in which keys are visited.
class Sequence {
 public:
  explicit Sequence(std::uint64_t seed) : state_(Mix(seed)) {}
  // Uniform in [0, bound).
  std::uint64_t Below(std::uint64_t bound);

 private:
  std::uint64_t state_;
};

// Visits each of [0, count) once, jumping far at each step.
class Permutation {
 public:
  Permutation(std::uint64_t count, std::uint64_t seed);
  std::uint64_t operator[](std::uint64_t i) const;

 private:
  std::uint64_t count_;
  std::uint64_t step_;  // has no factor in common with count_
  std::uint64_t start_;
};

// Key number i is 16 bytes that look random, so that neither the order of writing nor
// any other visits neighbours. No present key equals a missing one.
class KeyMaker {
 public:
  explicit KeyMaker(std::uint64_t seed) : seed_(seed) {}
  // Valid until the next call.
  std::string_view Present(std::uint64_t index) { return Make(index); }
  std::string_view Missing(std::uint64_t index) { return Make(index | std::uint64_t{1} << 63); }

 private:
  std::string_view Make(std::uint64_t number);

  std::uint64_t seed_;
  std::array<char, kKeyBytes> key_{};
};

struct VersionRange {
  std::uint64_t oldest = 0;
  std::uint64_t newest = 0;
};

// The value of key i in version v starts and ends with eight bytes that depend on both.
class ValueMaker {
 public:
  explicit ValueMaker(std::size_t bytes);
  // Valid until the next call.
  std::string_view Make(std::uint64_t index, std::uint64_t version);
  // Whether it is the whole value of that key in one of these versions.
  bool Verify(std::string_view value, std::uint64_t index, VersionRange versions) const;
  bool Verify(std::string_view value, std::uint64_t index, std::uint64_t version) const {
    return Verify(value, index, VersionRange{version, version});
  }

 private:
  std::string value_;
};

}  // namespace freyja::bench
