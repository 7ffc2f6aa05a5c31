// Whether records come from the disk at present, as far as the last ones tell.
//
// Asking the kernel to read ahead is a system call: worth nothing beside a disk that takes a
// hundred times as long, too much beside a page that is in memory. So the first touch of what is
// about to be read is timed, where reading takes long enough for that not to show.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <utility>

namespace freyja::engine {

// Thread-safe. In memory that is warm it writes nothing that threads share.
class ColdReads {
 public:
  // Less than any disk takes, more than a page fault without one.
  static constexpr std::chrono::microseconds kDisk{20};
  // So many touches that did not wait end it.
  static constexpr std::uint32_t kPatience = 64;
  static constexpr std::uint32_t kEvery = 16;

  bool expected() const { return left_.load(std::memory_order_relaxed) != 0; }

  // Runs `touch`, which looks at what was not asked for before, or was if one is expected.
  // Returns whether it waited for a disk.
  template <class Touch>
  bool Time(Touch&& touch) {
    const auto start = std::chrono::steady_clock::now();
    std::forward<Touch>(touch)();
    return Learn(std::chrono::steady_clock::now() - start);
  }

  // The same for what is read often and quickly: only each kEvery-th of a thread is timed,
  // unless one is expected.
  template <class Touch>
  void TimeSome(Touch&& touch) {
    static constinit thread_local std::uint32_t calls = 0;
    if (expected() || ++calls % kEvery == 0) {
      Time(std::forward<Touch>(touch));
    } else {
      std::forward<Touch>(touch)();
    }
  }

  bool Learn(std::chrono::steady_clock::duration took) {
    const std::uint32_t left = left_.load(std::memory_order_relaxed);
    const bool waited = took >= kDisk;
    if (waited && left != kPatience) left_.store(kPatience, std::memory_order_relaxed);
    if (!waited && left != 0) left_.store(left - 1, std::memory_order_relaxed);
    return waited;
  }

 private:
  std::atomic<std::uint32_t> left_{0};
};

}  // namespace freyja::engine
