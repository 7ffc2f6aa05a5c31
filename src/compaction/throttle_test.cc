#include "compaction/throttle.h"

#include <gtest/gtest.h>

#include <atomic>
#include <thread>

namespace freyja::compaction {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

constexpr std::uint64_t kMiB = std::uint64_t{1} << 20;

Status GoOn() { return Status::Ok(); }

TEST(ThrottleTest, WithoutALimitNobodyWaits) {
  Throttle throttle;
  for (int i = 0; i < 1000; ++i) EXPECT_TRUE(throttle.Pay(kMiB, GoOn).ok());
  EXPECT_EQ(throttle.waited().count(), 0);
}

TEST(ThrottleTest, ARateIsNotExceeded) {
  Throttle throttle;
  throttle.SetRate(100 * kMiB);
  const auto begin = steady_clock::now();
  for (int i = 0; i < 11; ++i) EXPECT_TRUE(throttle.Pay(kMiB, GoOn).ok());
  // The first MiB may have been saved up before.
  EXPECT_GE(steady_clock::now() - begin, milliseconds(99));
  EXPECT_GT(throttle.waited().count(), 0);
}

TEST(ThrottleTest, ARaisedRateIsFeltByWhoIsWaiting) {
  Throttle throttle;
  throttle.SetRate(1);
  std::atomic<bool> waiting = false;
  std::thread payer([&] {
    EXPECT_TRUE(throttle
                    .Pay(100 * kMiB,
                         [&] {
                           waiting.store(true);
                           return Status::Ok();
                         })
                    .ok());
  });
  while (!waiting.load()) std::this_thread::yield();
  throttle.SetRate(0);
  payer.join();  // three years otherwise
}

TEST(ThrottleTest, APauseLastsUntilItIsOver) {
  Throttle throttle;
  throttle.SetPaused(true);
  std::atomic<int> asked = 0;
  std::atomic<bool> through = false;
  std::thread payer([&] {
    EXPECT_TRUE(throttle
                    .Pay(0,
                         [&] {
                           ++asked;
                           return Status::Ok();
                         })
                    .ok());
    through.store(true);
  });
  while (asked.load() < 3) std::this_thread::yield();
  EXPECT_FALSE(through.load());
  throttle.SetPaused(false);
  payer.join();
  EXPECT_TRUE(through.load());
}

TEST(ThrottleTest, WhoIsStoppedDoesNotWaitOn) {
  Throttle throttle;
  throttle.SetPaused(true);
  const Status status =
      throttle.Pay(1, [] { return Status(StatusCode::kCancelled, "the job was cancelled"); });
  EXPECT_EQ(status.code(), StatusCode::kCancelled);
}

}  // namespace
}  // namespace freyja::compaction
