// When a record has expired for good.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>

#include "base/environment.h"

namespace freyja::compaction {

// Reads hide a record as soon as the wall clock says so. Dropping it is final, so here it
// must be past by a grace period on the wall clock and also on the time since the store was
// opened as a monotonic clock measured it: a clock that jumps ahead loses nothing.
//
// Thread-safe.
class ExpiryClock {
 public:
  static constexpr std::uint64_t kGraceMs = 60'000;

  explicit ExpiryClock(const base::Clock& clock)
      : clock_(clock), wall_at_start_ms_(clock.WallMs()), start_(clock.Monotonic()) {}

  bool IsExpired(std::uint64_t expires_at_ms) const {
    if (expires_at_ms == 0) return false;
    const auto elapsed =
        std::chrono::duration_cast<std::chrono::milliseconds>(clock_.Monotonic() - start_);
    const std::uint64_t monotonic_ms =
        wall_at_start_ms_ + static_cast<std::uint64_t>(elapsed.count());
    const std::uint64_t now_ms = std::min(clock_.WallMs(), monotonic_ms);
    return now_ms > kGraceMs && expires_at_ms < now_ms - kGraceMs;
  }

 private:
  const base::Clock& clock_;
  const std::uint64_t wall_at_start_ms_;
  const std::chrono::steady_clock::time_point start_;
};

}  // namespace freyja::compaction
