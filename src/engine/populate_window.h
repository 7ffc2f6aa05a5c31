// How far ahead of the appends the pages of the log are made present.
#pragma once

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdint>

namespace freyja::engine {

// As far as the writes of half a second go, so that a burst finds its pages while the thread
// that makes them present is busy with something else, and a trickle does not make a sync
// write pages of zeros. It grows at once and shrinks by halves.
//
// Thread safety: bytes() from any thread; Observe by one at a time.
class PopulateWindow {
 public:
  using Clock = std::chrono::steady_clock;
  static constexpr std::uint64_t kLeastBytes = std::uint64_t{2} << 20;
  static constexpr std::uint64_t kMostBytes = std::uint64_t{64} << 20;

  std::uint64_t bytes() const { return bytes_.load(std::memory_order_relaxed); }  // an estimate

  // `appended`: bytes since the store was opened. Calls that follow each other too fast to
  // tell a rate are left for a later one.
  void Observe(std::uint64_t appended, Clock::time_point now) {
    if (now - since_ < kShortest) return;
    const double seconds = std::chrono::duration<double>(now - since_).count();
    const double rate = static_cast<double>(appended - appended_) / seconds;
    const auto wanted = static_cast<std::uint64_t>(rate * kAheadSeconds);
    bytes_.store(std::clamp(std::max(wanted, bytes() / 2), kLeastBytes, kMostBytes),
                 std::memory_order_relaxed);
    since_ = now;
    appended_ = appended;
  }

 private:
  static constexpr double kAheadSeconds = 0.5;
  static constexpr std::chrono::milliseconds kShortest{10};

  std::atomic<std::uint64_t> bytes_{kLeastBytes};
  Clock::time_point since_{};
  std::uint64_t appended_ = 0;
};

}  // namespace freyja::engine
