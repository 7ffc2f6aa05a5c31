// Operations at a steady rate, each timed from the moment at which it was due.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>

namespace freyja::bench {

using SteadyClock = std::chrono::steady_clock;

// An open loop: operation i is due at start + i / per_second, whatever became of the one before
// it. A closed loop would not ask for anything while the store stalls, and so time one slow
// operation where many users had waited ("coordinated omission").
struct Pace {
  SteadyClock::time_point start;
  SteadyClock::time_point end;  // nothing is due from here on
  double per_second = 1;
  const std::atomic<bool>* stop = nullptr;

  SteadyClock::time_point DueTime(std::uint64_t i) const {
    const std::chrono::duration<double> offset(static_cast<double>(i) / per_second);
    return start + std::chrono::duration_cast<SteadyClock::duration>(offset);
  }
};

// How far behind its schedule a thread may be at the end; what is due then is left undone.
inline constexpr std::chrono::seconds kLongestOverrun{2};

// Asks the kernel to wake this thread when it wants to, not up to 50 us later.
void MakeTimersPrecise();
// False once *stop is set, which is looked at every 50 ms.
bool SleepUntil(SteadyClock::time_point time, const std::atomic<bool>* stop);

// Runs operation() whenever one is due and tells record(due, began, ended) of each, which the
// time of `operation` does not include. Ends early if operation() returns false. Returns the
// number of operations.
template <typename Operation, typename Record>
std::uint64_t RunPaced(const Pace& pace, Operation&& operation, Record&& record) {
  MakeTimersPrecise();
  for (std::uint64_t i = 0;; ++i) {
    const SteadyClock::time_point due = pace.DueTime(i);
    if (due >= pace.end || !SleepUntil(due, pace.stop)) return i;
    const SteadyClock::time_point began = SteadyClock::now();
    if (began >= pace.end + kLongestOverrun) return i;
    const bool fine = operation();
    record(due, began, SteadyClock::now());
    if (!fine) return i + 1;
  }
}

}  // namespace freyja::bench
