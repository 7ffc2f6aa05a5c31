#include "paced_load.h"

#include <gtest/gtest.h>

#include <thread>
#include <vector>

namespace freyja::bench {
namespace {

using std::chrono::milliseconds;

struct Timed {
  SteadyClock::duration response;
  SteadyClock::duration call;
};

Pace PaceOf(milliseconds length, double per_second) {
  const auto start = SteadyClock::now();
  return {.start = start, .end = start + length, .per_second = per_second};
}

TEST(PacedLoadTest, EveryOperationThatIsDueBeforeTheEndIsRunAndNoneBeforeItIsDue) {
  const Pace pace = PaceOf(milliseconds(100), 500);
  std::vector<SteadyClock::time_point> due_times;
  const std::uint64_t operations = RunPaced(
      pace, [] { return true; },
      [&](auto due, auto began, auto ended) {
        EXPECT_GE(began, due);
        EXPECT_GE(ended, began);
        due_times.push_back(due);
      });
  EXPECT_EQ(operations, 50U);
  ASSERT_EQ(due_times.size(), 50U);
  for (std::size_t i = 0; i < due_times.size(); ++i) {
    EXPECT_EQ(due_times[i], pace.DueTime(i));
    EXPECT_NEAR(std::chrono::duration<double>(due_times[i] - pace.start).count(),
                0.002 * static_cast<double>(i), 1e-6);
  }
}

TEST(PacedLoadTest, AStalledOperationMakesThoseBehindItLate) {
  std::uint64_t number = 0;
  std::vector<Timed> timed;
  RunPaced(
      PaceOf(milliseconds(120), 1000),
      [&] {
        if (number++ == 20) std::this_thread::sleep_for(milliseconds(60));
        return true;
      },
      [&](auto due, auto began, auto ended) {
        timed.push_back({.response = ended - due, .call = ended - began});
      });
  ASSERT_EQ(timed.size(), 120U) << "what was due during the stall is made up for";
  EXPECT_GE(timed[20].response, milliseconds(60));
  // Due 1, 10 and 40 ms into the stall: they waited for the rest of it, in no call of their own.
  EXPECT_GE(timed[21].response, milliseconds(58));
  EXPECT_GE(timed[30].response, milliseconds(49));
  EXPECT_GE(timed[60].response, milliseconds(19));
  for (const std::size_t i : {21, 30, 60}) EXPECT_LE(timed[i].call, timed[i].response / 2);
}

TEST(PacedLoadTest, AFailedOperationAndAStopEndIt) {
  int left = 3;
  const auto ignore = [](auto, auto, auto) {};
  EXPECT_EQ(RunPaced(PaceOf(milliseconds(1000), 1000), [&] { return --left > 0; }, ignore), 3U);

  std::atomic<bool> stop = false;
  Pace pace = PaceOf(milliseconds(60'000), 10);
  pace.stop = &stop;
  auto stop_at_the_third = [&, count = 0]() mutable {
    stop = ++count == 3;
    return true;
  };
  EXPECT_EQ(RunPaced(pace, stop_at_the_third, ignore), 3U);
}

TEST(PacedLoadTest, AThreadThatFellFarBehindLeavesTheRestUndone) {
  Pace pace = PaceOf(milliseconds(1), 1000);
  pace.start -= kLongestOverrun * 2;
  pace.end -= kLongestOverrun * 2;
  EXPECT_EQ(RunPaced(pace, [] { return true; }, [](auto, auto, auto) {}), 0U);
}

}  // namespace
}  // namespace freyja::bench
