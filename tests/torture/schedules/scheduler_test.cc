// The scheduler and the explorer on programs small enough to count their schedules by hand.
#include "torture/schedules/scheduler.h"

#include <gtest/gtest.h>

#include <deque>
#include <functional>
#include <memory>
#include <set>
#include <string>

#include "base/mutex.h"
#include "torture/schedules/explorer.h"
#include "torture/schedules/fiber.h"

namespace freyja::torture::schedules {
namespace {

// Bodies that share a T, which says at the end what went wrong.
template <typename T>
class Sharing final : public World {
 public:
  using Body = std::function<void(T&)>;
  explicit Sharing(std::vector<Body> bodies) : bodies_(std::move(bodies)) {}
  std::vector<std::function<void()>> Bodies() override {
    std::vector<std::function<void()>> bodies;
    for (const Body& body : bodies_) bodies.emplace_back([this, &body] { body(shared_); });
    return bodies;
  }
  void Watch(std::size_t, std::string_view, const void*) override {}
  std::vector<Finding> Judge() override {
    const std::string wrong = shared_.Wrongs();
    if (wrong.empty()) return {};
    return {{Wrong::kOther, wrong}};
  }

 private:
  const std::vector<Body> bodies_;
  T shared_;
};

template <typename T>
Scenario ScenarioOf(std::vector<std::function<void(T&)>> bodies) {
  return {"test", [=] { return std::make_unique<Sharing<T>>(bodies); }};
}

// Threads write letters down, with a scheduling point before each.
std::multiset<std::string> seen;
struct Text {
  std::string text;
  std::string Wrongs() const {
    seen.insert(text);
    return {};
  }
};
std::function<void(Text&)> Writes(const std::string& letters) {
  return [letters](Text& text) {
    for (const char letter : letters) {
      base::AtSchedulePoint("letter");
      text.text += letter;
    }
  };
}

TEST(ExplorerTest, WithoutPreemptionsThreadsRunInEveryOrder) {
  seen.clear();
  const auto explored =
      ExploreAll(ScenarioOf<Text>({Writes("aa"), Writes("bb"), Writes("cc")}), {.preemptions = 0});
  EXPECT_TRUE(explored.complete);
  EXPECT_EQ(explored.schedules, 6U);
  EXPECT_EQ(seen, (std::multiset<std::string>{"aabbcc", "aaccbb", "bbaacc", "bbccaa", "ccaabb",
                                              "ccbbaa"}));
}

// With enough preemptions all interleavings of two threads: 6 over 3 = 20.
TEST(ExplorerTest, WithEnoughPreemptionsAllInterleavingsAreSeen) {
  seen.clear();
  const auto explored =
      ExploreAll(ScenarioOf<Text>({Writes("aaa"), Writes("bbb")}), {.preemptions = 6});
  EXPECT_TRUE(explored.complete);
  EXPECT_EQ((std::set<std::string>(seen.begin(), seen.end()).size()), 20U);
}

// By hand: "aabb" can be left once before the first or the second a, and likewise with b.
TEST(ExplorerTest, SchedulesAreCountedOnceByTheirPreemptions) {
  const auto scenario = ScenarioOf<Text>({Writes("aa"), Writes("bb")});
  EXPECT_EQ(ExploreAll(scenario, {.preemptions = 0}).schedules, 2U);
  EXPECT_EQ(ExploreAll(scenario, {.preemptions = 1}).schedules, 2U + 4U);
}

struct Counter {
  int value = 0;
  base::Mutex mutex;
  std::string Wrongs() const { return value == 2 ? "" : "an increment is lost"; }
};

TEST(ExplorerTest, ALostUpdateIsFoundWithOnePreemptionAndNotWithNone) {
  const auto increments = [](Counter& counter) {
    base::AtSchedulePoint("load");
    const int value = counter.value;
    base::AtSchedulePoint("store");
    counter.value = value + 1;
  };
  const auto scenario = ScenarioOf<Counter>({increments, increments});
  EXPECT_EQ(ExploreAll(scenario, {.preemptions = 0}).violations, 0U);
  EXPECT_NE(ExploreAll(scenario, {.preemptions = 1}).violations, 0U);
}

TEST(ExplorerTest, APreemptedHolderOfALockHangsNobody) {
  const auto increments = [](Counter& counter) {
    base::MutexLock lock(counter.mutex);
    base::AtSchedulePoint("load");
    const int value = counter.value;
    base::AtSchedulePoint("store");
    counter.value = value + 1;
  };
  const auto explored =
      ExploreAll(ScenarioOf<Counter>({increments, increments}), {.preemptions = 2});
  EXPECT_TRUE(explored.complete);
  EXPECT_EQ(explored.violations, 0U);
}

// A thread that now and then takes a way of its own, as one does whose lock is chosen by address.
std::function<void(Text&)> WritesUnlike(std::string letters, std::uint64_t every) {
  return
      [letters = std::move(letters), every, runs = std::make_shared<std::uint64_t>(0)](Text& text) {
        if (++*runs % every == 0) base::AtSchedulePoint("unusual");
        Writes(letters)(text);
      };
}

TEST(ExplorerTest, ARunThatTakesAnotherWayIsRepeated) {
  seen.clear();
  const auto explored =
      ExploreAll(ScenarioOf<Text>({WritesUnlike("aaa", 7), Writes("bbb")}), {.preemptions = 6});
  EXPECT_TRUE(explored.complete);
  EXPECT_FALSE(explored.diverged);
  EXPECT_GT(explored.divergences, 0U);
  EXPECT_EQ(std::set(seen.begin(), seen.end()).size(), 20U);
}

TEST(ExplorerTest, RunsThatNeverTakeTheSameWayEndTheExploration) {
  auto point = std::make_shared<std::deque<std::string>>();
  const auto explored =
      ExploreAll(ScenarioOf<Text>({[point](Text&) {
                                     point->push_back("point " + std::to_string(point->size()));
                                     base::AtSchedulePoint(point->back().c_str());
                                   },
                                   Writes("bbb")}),
                 {.preemptions = 2});
  EXPECT_FALSE(explored.complete);
  EXPECT_TRUE(explored.diverged);
}

struct TwoLocks {
  base::Mutex first;
  base::Mutex second;
  std::string Wrongs() const { return {}; }
};

TEST(ExplorerTest, ADeadlockIsReportedAndNotWaitedFor) {
  if (Fiber::kSanitized) GTEST_SKIP() << "the thread sanitizer reports the planted deadlock itself";
  const auto scenario = ScenarioOf<TwoLocks>({
      [](TwoLocks& locks) {
        base::MutexLock one(locks.first);
        base::AtSchedulePoint("between");
        base::MutexLock two(locks.second);
      },
      [](TwoLocks& locks) {
        base::MutexLock one(locks.second);
        base::AtSchedulePoint("between");
        base::MutexLock two(locks.first);
      },
  });
  const auto explored = ExploreAll(scenario, {.preemptions = 1});
  EXPECT_FALSE(explored.complete);
  ASSERT_EQ(explored.findings.size(), 1U);
  EXPECT_NE(explored.findings[0].what.find("wait for each other"), std::string::npos);
}

struct Handover {
  base::Mutex mutex;
  base::CondVar changed;
  bool ready = false;
  bool taken = false;
  std::string Wrongs() const { return taken ? "" : "nothing was handed over"; }
};

TEST(ExplorerTest, WaitsEndWhenTheyAreNotified) {
  const auto scenario = ScenarioOf<Handover>({
      [](Handover& handover) {
        base::MutexLock lock(handover.mutex);
        while (!handover.ready) handover.changed.Wait(handover.mutex);
        handover.taken = true;
      },
      [](Handover& handover) {
        base::AtSchedulePoint("give");
        base::MutexLock lock(handover.mutex);
        handover.ready = true;
        handover.changed.NotifyOne();
      },
  });
  const auto explored = ExploreAll(scenario, {.preemptions = 2});
  EXPECT_TRUE(explored.complete);
  EXPECT_EQ(explored.violations, 0U);
}

TEST(ExplorerTest, AThreadThatOnlyYieldsLetsTheOthersGoOn) {
  const auto scenario = ScenarioOf<Handover>({
      [](Handover& handover) {
        while (!handover.ready) base::AtScheduleYield("not ready");
        handover.taken = true;
      },
      [](Handover& handover) {
        base::AtSchedulePoint("give");
        handover.ready = true;
      },
  });
  const auto explored = ExploreAll(scenario, {.preemptions = 2});
  EXPECT_TRUE(explored.complete);
  EXPECT_EQ(explored.violations, 0U);
}

TEST(ExplorerTest, ARandomScheduleIsReplayedFromItsSeed) {
  const auto scenario = ScenarioOf<Text>({Writes("aaaa"), Writes("bbbb"), Writes("cccc")});
  std::set<std::string> different;
  for (std::uint64_t seed = 0; seed < 50; ++seed) {
    const std::string switches = ExploreRandom(scenario, seed, 3, 12).switches;
    EXPECT_EQ(ExploreRandom(scenario, seed, 3, 12).switches, switches);
    different.insert(switches);
  }
  EXPECT_GT(different.size(), 10U);
}

}  // namespace
}  // namespace freyja::torture::schedules
