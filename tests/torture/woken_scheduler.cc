#include "torture/woken_scheduler.h"

#include <algorithm>
#include <chrono>
#include <functional>
#include <set>
#include <thread>

#include "api/store_parts.h"
#include "freyja/compaction.h"

namespace freyja::torture {

namespace {

using std::chrono::milliseconds;

constexpr milliseconds kPoll{1};
constexpr std::chrono::seconds kDeadline{60};  // on a machine that does much else
// Longer than it takes to see why a job has failed before the next look tries again.
constexpr milliseconds kBackoff{50};
constexpr int kPollsPerCall = 25;
// By then it has acted on what it saw at the first call, if it was going to.
constexpr int kEnoughCalls = 3;
constexpr int kMostCalls = 200;  // to learn what has happened already

// What it reports when no segment was worth it.
constexpr char kNothingToGain[] = "no segment gives enough back";

std::uint64_t ActiveSegment(const KVStore& store) {
  const auto segments = store.GetSegments();
  const auto active = std::ranges::find(segments, SegmentState::kActive, &SegmentInfo::state);
  return active == segments.end() ? 0 : active->id;
}

// Lets the scheduler act as long as it lives, waits for its jobs, and keeps count of them.
class Waker {
 public:
  explicit Waker(KVStore& store)
      : store_(store), before_(store.GetStats()), active_(ActiveSegment(store)) {
    HotSwapCompactor(store_).Resume();
  }
  // What it would try again soon, it does not. A pause stops jobs wherever they are, so it may
  // begin only when none runs.
  ~Waker() {
    HotSwapCompactor compactor(store_);
    do {
      compactor.Resume();
      while (IsBusy() && std::chrono::steady_clock::now() < deadline_) {
        std::this_thread::sleep_for(kPoll);
      }
      compactor.Pause();
    } while (IsBusy() && std::chrono::steady_clock::now() < deadline_);
  }
  Waker(const Waker&) = delete;
  Waker& operator=(const Waker&) = delete;

  // Calls until the condition holds, which is told how often it was called. False: not in time.
  bool Until(const std::function<bool(const Stats&, int calls)>& holds) {
    for (int polls = 0, calls = 0; std::chrono::steady_clock::now() < deadline_; ++polls) {
      const bool busy = IsBusy();  // before its figures are looked at
      if (!busy && holds(store_.GetStats(), calls)) return true;
      if (!busy && polls % kPollsPerCall == 0) {
        store_.parts().scheduler.Wake();
        ++calls;
      }
      std::this_thread::sleep_for(kPoll);
    }
    return false;
  }

  std::uint64_t Completed(const Stats& stats) const {
    return stats.compactions_completed - before_.compactions_completed;
  }
  std::uint64_t Failed(const Stats& stats) const {
    return stats.compactions_failed - before_.compactions_failed;
  }

  SchedulerRun Result(std::string problem) const {
    const Stats stats = store_.GetStats();
    if (!problem.empty()) problem += "; it says: " + stats.scheduler.decision;
    return {.completed = Completed(stats),
            .failed = Failed(stats),
            .rotated = active_ != 0 && ActiveSegment(store_) != active_,
            .problem = std::move(problem)};
  }

 private:
  bool IsBusy() const { return store_.parts().jobs.busy(); }

  KVStore& store_;
  const Stats before_;
  const std::uint64_t active_;
  const std::chrono::steady_clock::time_point deadline_ =
      std::chrono::steady_clock::now() + kDeadline;
};

std::set<std::uint64_t> InQuarantine(KVStore& store) {
  std::set<std::uint64_t> jobs;
  for (const auto& job : store.parts().store->quarantine().Jobs()) jobs.insert(job.id);
  return jobs;
}

bool IsAnyInQuarantine(KVStore& store, const std::set<std::uint64_t>& jobs) {
  const auto now = InQuarantine(store);
  return std::ranges::any_of(jobs, [&](std::uint64_t id) { return now.contains(id); });
}

// Why a job failed is its decision until it tries again.
bool TellsOfFailure(const Stats& stats) {
  constexpr StatusCode kCodes[] = {StatusCode::kIoError,     StatusCode::kNoSpace,
                                   StatusCode::kOutOfMemory, StatusCode::kReadOnly,
                                   StatusCode::kAborted,     StatusCode::kCorruption,
                                   StatusCode::kCancelled,   StatusCode::kClosed};
  return std::ranges::any_of(kCodes, [&](StatusCode code) {
    return stats.scheduler.decision.starts_with(StatusCodeName(code));
  });
}

}  // namespace

SchedulerOptions WokenOptions() {
  SchedulerOptions options;
  options.dead_share = 0.01;
  options.interval = std::chrono::hours(1);
  options.jitter = milliseconds(0);
  options.backoff_first = kBackoff;
  options.backoff_cap = kBackoff;
  options.limits.max_write_delay = std::chrono::microseconds(0);
  return options;
}

SchedulerRun LetSchedulerRun(KVStore& store, std::uint64_t most_failures) {
  Waker waker(store);
  const std::uint64_t segment_bytes = store.parts().store->segment_bytes();
  for (;;) {
    const Stats stats = store.GetStats();
    if (!stats.scheduler.running || stats.read_only) return waker.Result("");
    if (stats.dead_bytes < segment_bytes) return waker.Result("");
    const std::uint64_t completed = waker.Completed(stats);
    const std::uint64_t failed = waker.Failed(stats);
    const bool acted = waker.Until([&](const Stats& now, int calls) {
      const bool vain = now.scheduler.decision.starts_with(kNothingToGain);
      return waker.Completed(now) != completed || waker.Failed(now) != failed || now.read_only ||
             (vain && calls >= kEnoughCalls);
    });
    if (!acted) return waker.Result("the scheduler does not compact");
    const Stats after = store.GetStats();
    if (waker.Failed(after) != failed) {
      bool told = false;
      const auto told_or_tried_again = [&](const Stats& now, int calls) {
        told = TellsOfFailure(now);
        return told || calls > kMostCalls || waker.Failed(now) != waker.Failed(after) ||
               waker.Completed(now) != waker.Completed(after);
      };
      waker.Until(told_or_tried_again);
      if (!told) return waker.Result("the scheduler forgets a failure");
      if (waker.Failed(after) >= most_failures) return waker.Result("");
    } else if (waker.Completed(after) == completed) {
      return waker.Result("");
    }
  }
}

SchedulerRun LetSchedulerMakeRoom(KVStore& store) {
  Waker waker(store);
  HotSwapCompactor compactor(store);
  CompactionLimits limits = compactor.limits();
  limits.bytes_ceiling = 1;
  const std::set<std::uint64_t> kept = InQuarantine(store);
  const Status lowered = compactor.SetLimits(limits);
  const bool made = waker.Until([&](const Stats& now, int calls) {
    const bool cannot = !now.background_error.ok() && calls >= kEnoughCalls;
    return !IsAnyInQuarantine(store, kept) || now.read_only || !now.scheduler.running || cannot;
  });
  limits.bytes_ceiling = 0;
  const Status raised = compactor.SetLimits(limits);
  if (!lowered.ok() || !raised.ok()) return waker.Result("a ceiling is refused");
  if (!made) return waker.Result("what is in quarantine stays above the ceiling");
  return waker.Result("");
}

}  // namespace freyja::torture
