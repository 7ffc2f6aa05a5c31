// The writers' queue, with writers of several threads.
#include "engine/writer.h"

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "engine/at_step.h"
#include "engine/store_testing.h"

namespace freyja::engine {
namespace {

using testing::Delete;
using testing::ExpectConsistent;
using testing::Get;
using testing::Machine;
using testing::Open;
using testing::Put;

// Every thread has a key of its own, so it knows what each answer has to be.
void WriteOwnKey(Store& store, int thread, int rounds) {
  const std::string key = "key" + std::to_string(thread);
  for (int round = 0; round < rounds; ++round) {
    const std::string value = std::to_string(round);
    Put(store, key, value, round % 64 == 0 ? Sync::kAlways : Sync::kNone);
    ASSERT_EQ(Get(store, key), value) << key;
    if (round % 3 != 0) continue;
    ASSERT_TRUE(Delete(store, key)) << key << " " << round;
    ASSERT_FALSE(Delete(store, key)) << key << " " << round;
    ASSERT_EQ(Get(store, key), std::nullopt) << key;
  }
}

TEST(WriterTest, EachOfManyWritersIsToldTheTruth) {
  constexpr int kThreads = 6;
  constexpr int kRounds = 3'000;
  Machine machine;
  const auto store = Open(machine);
  std::vector<std::thread> threads;
  for (int thread = 0; thread < kThreads; ++thread) {
    threads.emplace_back([&, thread] { WriteOwnKey(*store, thread, kRounds); });
  }
  for (std::thread& thread : threads) thread.join();
  const auto stats = store->GetStats();
  EXPECT_EQ(stats.puts, static_cast<std::uint64_t>(kThreads * kRounds));
  EXPECT_EQ(stats.deletes, static_cast<std::uint64_t>(kThreads * kRounds / 3));
  ExpectConsistent(*store);
}

#if defined(FREYJA_SCHEDULE_POINTS)

// The second has taken its place in the queue, but not yet told the first, when that looks for who
// comes next.
TEST(WriterTest, OneWhoIsAboutToSayThatItHasComeIsWaitedFor) {
  Machine machine;
  const auto store = Open(machine);
  std::atomic<bool> has_come = false;
  std::atomic<bool> says_so = false;
  std::thread second;
  {
    const testing::AtStep leading("writer.lead", [&] {
      second = std::thread([&] {
        const testing::AtStep linking("writer.link", [&] {
          has_come.store(true);
          has_come.notify_one();
          std::this_thread::sleep_for(std::chrono::milliseconds(30));
          says_so.store(true);
        });
        Put(*store, "second", "2");
      });
      has_come.wait(false);
    });
    Put(*store, "first", "1");
    EXPECT_TRUE(says_so.load());
  }
  second.join();
  EXPECT_EQ(Get(*store, "first"), "1");
  EXPECT_EQ(Get(*store, "second"), "2");
}

#endif

}  // namespace
}  // namespace freyja::engine
