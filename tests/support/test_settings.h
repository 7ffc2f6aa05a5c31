// What the environment may say to a randomised test, and its sources of chance and time.
#pragma once

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <random>

#include "base/environment.h"
#include "base/mutex.h"

namespace freyja::support {

// FREYJA_TEST_SEED, or else `otherwise`. Whoever uses it shows it when a test fails.
std::uint64_t TestSeed(std::uint64_t otherwise);
// `quick` times FREYJA_TEST_SCALE (1 if it isn't set), and at least 1.
std::size_t Scaled(std::size_t quick);

// Not thread-safe.
class Dice {
 public:
  explicit Dice(std::uint64_t seed) : engine_(seed) {}
  std::uint64_t Next() { return engine_(); }
  // From 0 to `bound` - 1.
  std::uint64_t Below(std::uint64_t bound) { return engine_() % bound; }
  std::uint64_t Between(std::uint64_t low, std::uint64_t high) {
    return low + Below(high - low + 1);
  }
  bool OneIn(std::uint64_t n) { return Below(n) == 0; }
  template <typename... Choices>
  auto OneOf(Choices... choices) {
    const std::common_type_t<Choices...> list[] = {choices...};
    return list[Below(sizeof...(choices))];
  }

 private:
  std::mt19937_64 engine_;
};

// What a store draws ids and nonces from. Thread-safe.
class SeededRandom final : public base::Random {
 public:
  explicit SeededRandom(std::uint64_t seed) : engine_(seed) {}
  std::uint64_t Next64() override {
    base::MutexLock lock(mutex_);
    return engine_();
  }

 private:
  base::Mutex mutex_;
  std::mt19937_64 engine_ FREYJA_GUARDED_BY(mutex_);
};

// Time passes when the test says so. Thread-safe.
class ManualClock final : public base::Clock {
 public:
  std::uint64_t WallMs() const override { return passed_ms_.load() + jump_ms_.load(); }
  std::chrono::steady_clock::time_point Monotonic() const override {
    return std::chrono::steady_clock::time_point(
        std::chrono::milliseconds(static_cast<std::int64_t>(passed_ms_.load())));
  }
  // Both clocks go on.
  void Advance(std::uint64_t ms) { passed_ms_.fetch_add(ms); }
  // The wall clock alone is wrong by this much from now on.
  void SetWrongBy(std::uint64_t ms) { jump_ms_.store(ms); }

 private:
  std::atomic<std::uint64_t> passed_ms_{1'700'000'000'000};
  std::atomic<std::uint64_t> jump_ms_{0};
};

}  // namespace freyja::support
