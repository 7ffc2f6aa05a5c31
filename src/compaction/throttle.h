// How fast compactions may go: a rate that can change at any moment, and a pause.
#pragma once

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdint>

#include "base/mutex.h"
#include "freyja/status.h"

namespace freyja::compaction {

// A token bucket that all jobs of a store draw from. Bytes are paid for after they were moved, in
// bursts of kBurstBytes: small ones interrupt the device's and the user's work more often for the
// same rate.
//
// Thread safety: all members may be called from any thread.
class Throttle {
 public:
  using Clock = std::chrono::steady_clock;
  static constexpr std::uint64_t kBurstBytes = std::uint64_t{1} << 20;

  // Bytes a second; 0: no limit. Takes effect on who is waiting, too.
  void SetRate(std::uint64_t bytes_per_second) FREYJA_EXCLUDES(mutex_) {
    base::MutexLock lock(mutex_);
    rate_ = bytes_per_second;
    changed_.NotifyAll();
  }
  std::uint64_t rate() const FREYJA_EXCLUDES(mutex_) {
    base::MutexLock lock(mutex_);
    return rate_;
  }
  void SetPaused(bool paused) FREYJA_EXCLUDES(mutex_) {
    base::MutexLock lock(mutex_);
    paused_ = paused;
    changed_.NotifyAll();
  }
  bool paused() const FREYJA_EXCLUDES(mutex_) {
    base::MutexLock lock(mutex_);
    return paused_;
  }

  // Waits until `bytes` that were moved are paid for and no pause is on. stop() is asked at
  // least every kLongestNap; its error ends the wait and is returned.
  template <class Stop>
  Status Pay(std::uint64_t bytes, Stop&& stop) FREYJA_EXCLUDES(mutex_) {
    const auto began = Clock::now();
    bool waited = false;
    base::MutexLock lock(mutex_);
    owed_ += static_cast<double>(bytes);
    for (;;) {
      const auto nap = NapNeeded(Clock::now());
      if (nap.count() <= 0) break;
      waited = true;
      changed_.WaitFor(mutex_, std::min<std::chrono::nanoseconds>(nap, kLongestNap));
      mutex_.Unlock();
      Status status = stop();
      mutex_.Lock();
      if (!status.ok()) return status;
    }
    if (waited) {
      const auto nap = std::chrono::duration_cast<std::chrono::nanoseconds>(Clock::now() - began);
      waited_ns_.fetch_add(static_cast<std::uint64_t>(nap.count()));
    }
    return Status::Ok();
  }

  // Time that jobs have spent waiting, since the store was opened.
  std::chrono::nanoseconds waited() const { return std::chrono::nanoseconds(waited_ns_.load()); }

 private:
  static constexpr std::chrono::nanoseconds kLongestNap = std::chrono::milliseconds(20);

  // Pays off what time allows; how long the rest will take.
  std::chrono::nanoseconds NapNeeded(Clock::time_point now) FREYJA_REQUIRES(mutex_) {
    const std::chrono::duration<double> passed = now - last_;
    last_ = now;
    if (paused_) return kLongestNap;
    if (rate_ == 0) owed_ = 0;
    // What was not used while nothing was to be done is worth one burst.
    constexpr double kSaved = -static_cast<double>(kBurstBytes);
    owed_ = std::max(kSaved, owed_ - passed.count() * static_cast<double>(rate_));
    if (owed_ <= 0) return std::chrono::nanoseconds(0);
    const double seconds = owed_ / static_cast<double>(rate_);
    return std::chrono::nanoseconds(1 + static_cast<std::int64_t>(std::min(seconds, 1.0) * 1e9));
  }

  mutable base::Mutex mutex_;
  base::CondVar changed_;
  std::uint64_t rate_ FREYJA_GUARDED_BY(mutex_) = 0;
  bool paused_ FREYJA_GUARDED_BY(mutex_) = false;
  double owed_ FREYJA_GUARDED_BY(mutex_) = 0;  // bytes; below zero: saved up
  Clock::time_point last_ FREYJA_GUARDED_BY(mutex_) = Clock::now();
  std::atomic<std::uint64_t> waited_ns_{0};
};

}  // namespace freyja::compaction
