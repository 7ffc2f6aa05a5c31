// Runs a scenario under many schedules: all with at most a number of preemptions, or random
// ones.
//
// - Exhaustive: iterative context bounding (Musuvathi & Qadeer, PLDI 2007). First all
//   schedules without a preemption, then all with one, then with two. Switches that cost
//   none (a thread ended or is blocked) are tried in every way. That the frontier was
//   emptied, i.e. that nothing within the bound was left out, is an outcome, not a hope.
// - Random: priority schedules (PCT; Burckhardt, Kothari, Musuvathi, Nagarakatte, ASPLOS
//   2010). Threads have random priorities and the highest that can goes on; at depth - 1
//   random points the running thread's becomes the lowest. A bug of that depth is found with
//   a probability of at least 1 / (threads * points^(depth - 1)) in each schedule.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "torture/report.h"
#include "torture/schedules/scheduler.h"

namespace freyja::torture::schedules {

struct Finding {
  Wrong wrong = Wrong::kOther;
  std::string what;
};

// What a scenario's threads work on, made anew for each schedule.
class World {
 public:
  virtual ~World() = default;
  virtual std::vector<std::function<void()>> Bodies() = 0;
  // Every scheduling point as it is passed.
  virtual void Watch(std::size_t thread, std::string_view point, const void* operand) = 0;
  // After all bodies have ended: what went wrong.
  virtual std::vector<Finding> Judge() = 0;
};

struct Scenario {
  std::string name;
  std::function<std::unique_ptr<World>()> make;
};

struct Explored {
  std::uint64_t schedules = 0;  // different ones
  std::uint64_t histories = 0;  // judged; repeats included
  std::uint64_t longest = 0;    // scheduling points in one
  std::uint64_t decisions = 0;  // in the one with the most
  std::uint64_t violations = 0;
  bool complete = false;  // the frontier was emptied
  // How often a run met other choices than the schedule it replayed the beginning of: page locks
  // are chosen by address, and the allocator need not give the same one again. It is run again,
  // then; the exploration ends where that does not help (a sanitizer's allocator never gives an
  // address twice in the same way).
  std::uint64_t divergences = 0;
  bool diverged = false;
  std::string switches;           // of the last one, in words
  std::vector<Finding> findings;  // the first few
};

inline constexpr std::uint64_t kPreemptions = 2;

struct ExploreLimits {
  std::uint64_t preemptions = kPreemptions;
  std::uint64_t fewest_preemptions = 0;  // schedules with fewer have been explored before
  bool stop_at_first = false;
  std::function<bool()> over = {};  // asked between schedules; then it isn't complete
};

Explored ExploreAll(const Scenario& scenario, const ExploreLimits& limits);
// One random schedule; the same seed and expected decisions give the same one.
Explored ExploreRandom(const Scenario& scenario, std::uint64_t seed, std::uint64_t depth,
                       std::uint64_t expected_decisions);

}  // namespace freyja::torture::schedules
