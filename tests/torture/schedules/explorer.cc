#include "torture/schedules/explorer.h"

#include <algorithm>
#include <array>
#include <numeric>
#include <random>
#include <utility>

namespace freyja::torture::schedules {

namespace {

constexpr std::size_t kMostFindings = 5;
// How often a schedule is run again that went another way than its beginning did before, and how
// often that may happen to all schedules of a scenario.
constexpr std::uint64_t kRepeats = 10;
constexpr std::uint64_t kMostDivergences = 200;

// Depth first, within a number of preemptions; the path is what the next run replays.
class DepthFirst final : public Chooser {
 public:
  struct Node {
    std::size_t chosen;
    std::size_t allowed;
    const char* point;
  };
  using Path = std::vector<Node>;

  explicit DepthFirst(std::uint64_t bound) : bound_(bound) {}

  std::size_t Choose(const Choices& choices) override {
    const std::size_t count = choices.threads.size();
    const bool may_preempt = !choices.current_may_go_on || preemptions_ < bound_;
    const std::size_t allowed = may_preempt ? count : 1;
    if (at_ == path_.size()) {
      path_.push_back({.chosen = 0, .allowed = allowed, .point = choices.point});
    } else if (path_[at_].allowed != allowed ||
               std::string_view(path_[at_].point) != choices.point) {
      diverged_ = true;
      path_.resize(at_);
      path_.push_back({.chosen = 0, .allowed = allowed, .point = choices.point});
    }
    const std::size_t chosen = path_[at_++].chosen;
    if (choices.current_may_go_on && chosen != 0) ++preemptions_;
    return chosen;
  }

  // Moves on to the next schedule. `false`: the frontier is empty.
  bool Next() {
    path_.resize(at_);
    while (!path_.empty() && path_.back().chosen + 1 >= path_.back().allowed) path_.pop_back();
    if (path_.empty()) return false;
    ++path_.back().chosen;
    Replay(std::move(path_));
    return true;
  }
  // What the next run replays.
  const Path& path() const { return path_; }
  void Replay(Path path) {
    path_ = std::move(path);
    at_ = 0;
    preemptions_ = 0;
    diverged_ = false;
  }

  std::uint64_t preemptions() const { return preemptions_; }
  // The last run met other choices than the path it replayed, or ended within it: the scenario
  // depends on something else. From there on the path is that of this run.
  bool diverged() const { return diverged_ || at_ < path_.size(); }

 private:
  const std::uint64_t bound_;
  Path path_;
  std::size_t at_ = 0;
  std::uint64_t preemptions_ = 0;
  bool diverged_ = false;
};

class Priorities final : public Chooser {
 public:
  Priorities(std::uint64_t seed, std::uint64_t depth, std::uint64_t expected_decisions)
      : random_(seed) {
    std::iota(priority_.begin(), priority_.end(), static_cast<int>(depth));
    std::shuffle(priority_.begin(), priority_.end(), random_);
    for (std::uint64_t i = 1; i < depth; ++i) {
      changes_.push_back(random_() % std::max<std::uint64_t>(expected_decisions, 1));
    }
  }

  std::size_t Choose(const Choices& choices) override {
    const auto change = std::ranges::find(changes_, decisions_++);
    if (change != changes_.end() && choices.current_may_go_on) {
      priority_.at(choices.threads[0]) = static_cast<int>(change - changes_.begin());
    }
    std::size_t best = 0;
    for (std::size_t i = 1; i < choices.threads.size(); ++i) {
      if (priority_.at(choices.threads[i]) > priority_.at(choices.threads[best])) best = i;
    }
    return best;
  }

 private:
  std::mt19937_64 random_;
  std::array<int, 8> priority_{};
  std::vector<std::uint64_t> changes_;
  std::uint64_t decisions_ = 0;
};

// Threads that were given up stand somewhere inside it, so it is never destroyed.
void Abandon(std::unique_ptr<World> world) {
  static auto* const abandoned = new std::vector<std::unique_ptr<World>>;
  abandoned->push_back(std::move(world));
}

// One schedule on a new world; how it went is added to `explored`.
Outcome RunOne(const Scenario& scenario, Scheduler& scheduler, Chooser& chooser,
               const std::string& replay, Explored& explored) {
  std::unique_ptr<World> world = scenario.make();
  const auto watch = [&world](std::size_t thread, std::string_view point, const void* operand) {
    world->Watch(thread, point, operand);
  };
  const Outcome outcome = scheduler.Run(world->Bodies(), chooser, watch);
  explored.longest = std::max(explored.longest, outcome.steps);
  explored.decisions = std::max(explored.decisions, outcome.decisions);
  std::vector<Finding> findings;
  if (outcome.problem.empty()) {
    findings = world->Judge();
    ++explored.histories;
  } else {
    findings.push_back({Wrong::kOther, outcome.problem});
    Abandon(std::move(world));
  }
  explored.switches = scheduler.DescribeSwitches();
  explored.violations += findings.size();
  for (Finding& finding : findings) {
    if (explored.findings.size() >= kMostFindings) break;
    finding.what =
        scenario.name + ", " + replay + " (" + scheduler.DescribeSwitches() + "): " + finding.what;
    explored.findings.push_back(std::move(finding));
  }
  return outcome;
}

void AddFindings(Explored one, Explored& explored) {
  explored.violations += one.violations;
  for (Finding& finding : one.findings) {
    if (explored.findings.size() >= kMostFindings) return;
    explored.findings.push_back(std::move(finding));
  }
}

}  // namespace

Explored ExploreAll(const Scenario& scenario, const ExploreLimits& limits) {
  Explored explored;
  Scheduler scheduler({});
  for (std::uint64_t bound = limits.fewest_preemptions; bound <= limits.preemptions; ++bound) {
    DepthFirst search(bound);
    std::uint64_t repeats = 0;
    for (bool more = true; more;) {
      if (limits.over && limits.over()) return explored;
      const DepthFirst::Path replayed = search.path();
      Explored one;
      const std::string replay = "at most " + std::to_string(bound) + " preemptions";
      const Outcome outcome = RunOne(scenario, scheduler, search, replay, one);
      explored.histories += one.histories;
      explored.longest = std::max(explored.longest, one.longest);
      explored.decisions = std::max(explored.decisions, one.decisions);
      // With fewer preemptions it was run under a smaller bound; then it counts only there.
      const bool is_new = outcome.preemptions == bound || !outcome.problem.empty();
      if (is_new || search.diverged()) AddFindings(std::move(one), explored);
      // After a hang nothing can be trusted to be left as the next schedule needs it.
      if (!outcome.problem.empty()) return explored;
      if (limits.stop_at_first && explored.violations != 0) return explored;
      if (search.diverged()) {
        explored.diverged = ++explored.divergences > kMostDivergences;
        if (explored.diverged) return explored;
        // Mostly it was this run that met something unusual. If it was the one before, this one's
        // choices take the place of what was left to explore there.
        if (repeats++ < kRepeats) {
          search.Replay(replayed);
          continue;
        }
      }
      repeats = 0;
      if (is_new) ++explored.schedules;
      more = search.Next();
    }
  }
  explored.complete = true;
  return explored;
}

Explored ExploreRandom(const Scenario& scenario, std::uint64_t seed, std::uint64_t depth,
                       std::uint64_t expected_decisions) {
  Explored explored;
  Scheduler scheduler({.points_at_locks = true});
  Priorities priorities(seed, depth, expected_decisions);
  RunOne(scenario, scheduler, priorities,
         "random priorities of seed " + std::to_string(seed) + ", depth " + std::to_string(depth) +
             ", " + std::to_string(expected_decisions) + " decisions",
         explored);
  explored.schedules = 1;
  return explored;
}

}  // namespace freyja::torture::schedules
