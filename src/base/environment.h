// What the engine needs from outside, handed in by constructor: never a global.
#pragma once

#include <chrono>
#include <cstdint>
#include <random>

namespace freyja::base {

class Clock {
 public:
  virtual ~Clock() = default;
  // Milliseconds since the Unix epoch. Orders nothing; it only expires records.
  virtual std::uint64_t WallMs() const = 0;
  virtual std::chrono::steady_clock::time_point Monotonic() const = 0;
};

class SystemClock final : public Clock {
 public:
  std::uint64_t WallMs() const override {
    return static_cast<std::uint64_t>(std::chrono::duration_cast<std::chrono::milliseconds>(
                                          std::chrono::system_clock::now().time_since_epoch())
                                          .count());
  }
  std::chrono::steady_clock::time_point Monotonic() const override {
    return std::chrono::steady_clock::now();
  }
};

class Random {
 public:
  virtual ~Random() = default;
  virtual std::uint64_t Next64() = 0;
};

// From the kernel's entropy. Thread-safe.
class SystemRandom final : public Random {
 public:
  std::uint64_t Next64() override {
    std::random_device device;
    return (static_cast<std::uint64_t>(device()) << 32) | device();
  }
};

}  // namespace freyja::base
