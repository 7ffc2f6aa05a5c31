#include "paced_load.h"

#include <sys/prctl.h>

#include <algorithm>
#include <thread>

namespace freyja::bench {

void MakeTimersPrecise() { ::prctl(PR_SET_TIMERSLACK, 1UL, 0UL, 0UL, 0UL); }

bool SleepUntil(SteadyClock::time_point time, const std::atomic<bool>* stop) {
  constexpr std::chrono::milliseconds kLongestNap{50};
  for (;;) {
    if (stop != nullptr && stop->load()) return false;
    const SteadyClock::time_point now = SteadyClock::now();
    if (now >= time) return true;
    std::this_thread::sleep_until(std::min(time, now + kLongestNap));
  }
}

}  // namespace freyja::bench
