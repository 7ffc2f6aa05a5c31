// What the tests of compaction by itself share: a small store in memory whose scheduler looks every
// two milliseconds.
#pragma once

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "api/store_parts.h"
#include "base/mutex.h"
#include "freyja/freyja.h"
#include "io/memory_file_system.h"

namespace freyja::api::testing {

using std::chrono::milliseconds;

inline const std::filesystem::path kStore = "/store";
inline constexpr std::uint64_t kSegmentBytes = 64 << 10;
inline constexpr int kKeys = 40;

class SettableClock final : public base::Clock {
 public:
  std::uint64_t WallMs() const override { return now_ms_.load(); }
  std::chrono::steady_clock::time_point Monotonic() const override {
    return std::chrono::steady_clock::time_point(milliseconds(now_ms_.load()));
  }
  void Advance(milliseconds time) { now_ms_.fetch_add(static_cast<std::uint64_t>(time.count())); }

 private:
  std::atomic<std::uint64_t> now_ms_{1'700'000'000'000};
};

class SchedulerTest : public ::testing::Test {
 protected:
  SchedulerTest() {
    options_.create_if_missing = true;
    options_.sync = Sync::kNone;
    options_.segment_bytes = kSegmentBytes;
    options_.scheduler.interval = milliseconds(2);
    options_.scheduler.jitter = milliseconds(0);
    options_.scheduler.backoff_first = milliseconds(1);
    options_.scheduler.backoff_cap = milliseconds(4);
  }
  ~SchedulerTest() override { fs_->SetOperationHook(nullptr); }

  Result<std::unique_ptr<KVStore>> TryOpen() {
    return api::OpenStore(
        kStore, options_,
        {.file_system = fs_, .clock = clock_, .random = std::make_shared<base::SystemRandom>()});
  }
  void Open() {
    auto opened = TryOpen();
    ASSERT_TRUE(opened.has_value()) << opened.error().ToString();
    store_ = *std::move(opened);
  }
  // Overwrites all keys `rounds` times; each round is about half a segment.
  void Overwrite(int rounds, std::uint64_t expires_at_ms = 0) {
    for (int round = 0; round < rounds; ++round) {
      for (int key = 0; key < kKeys; ++key) {
        const Status put =
            store_->Put("key" + std::to_string(key), Value(key), {.expires_at_ms = expires_at_ms});
        ASSERT_TRUE(put.ok()) << put.ToString();
      }
    }
  }
  static std::string Value(int key) { return std::string(800, static_cast<char>('a' + key % 26)); }
  void ExpectValues() const {
    for (int key = 0; key < kKeys; ++key) {
      const auto value = store_->Get("key" + std::to_string(key));
      ASSERT_TRUE(value.has_value() && value->has_value()) << key;
      EXPECT_EQ(**value, Value(key));
    }
  }
  template <class Condition>
  [[nodiscard]] bool Wait(Condition&& condition) const {
    const auto limit = std::chrono::steady_clock::now() + std::chrono::minutes(2);
    while (!condition()) {
      if (std::chrono::steady_clock::now() > limit) return false;
      std::this_thread::sleep_for(milliseconds(1));
    }
    return true;
  }
  // Less than that is left alone.
  bool Reclaimed(std::uint64_t segments = 1) const {
    return store_->GetStats().dead_bytes < segments * options_.segment_bytes;
  }
  std::uint64_t Completed() const { return store_->GetStats().compactions_completed; }
  // Until its decision says that it rests.
  [[nodiscard]] bool Rests() const {
    return Wait([&] {
      const std::string decision = store_->GetStats().scheduler.decision;
      return decision.starts_with("below") || decision.starts_with("less than") ||
             decision.starts_with("no segment") || decision.starts_with("outside");
    });
  }

  std::shared_ptr<io::MemoryFileSystem> fs_ = std::make_shared<io::MemoryFileSystem>();
  std::shared_ptr<SettableClock> clock_ = std::make_shared<SettableClock>();
  Options options_;
  std::unique_ptr<KVStore> store_;
};

}  // namespace freyja::api::testing
