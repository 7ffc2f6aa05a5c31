#include "engine/epoch.h"

#include <gtest/gtest.h>

#include <atomic>
#include <memory>
#include <optional>
#include <thread>
#include <vector>

namespace freyja::engine {
namespace {

class Counted final : public Retired {
 public:
  explicit Counted(std::atomic<int>& deleted) : deleted_(deleted) {}
  ~Counted() override { deleted_.fetch_add(1); }

 private:
  std::atomic<int>& deleted_;
};

TEST(EpochTest, StampIsDrainedAtOnceWithoutGuards) {
  EpochManager epochs;
  const std::uint64_t before = epochs.Current();
  const std::uint64_t stamp = epochs.Advance();
  EXPECT_EQ(stamp, before);
  EXPECT_EQ(epochs.Current(), before + 1);
  EXPECT_TRUE(epochs.Drained(stamp));
}

TEST(EpochTest, CurrentEpochIsNeverDrainedBeforeItIsAdvanced) {
  EpochManager epochs;
  EXPECT_FALSE(epochs.Drained(epochs.Current()));
}

TEST(EpochTest, EarlierGuardHoldsTheStampUntilItLeaves) {
  EpochManager epochs;
  std::optional<EpochGuard> guard(std::in_place, epochs);
  const std::uint64_t stamp = epochs.Advance();
  EXPECT_FALSE(epochs.Drained(stamp));
  guard.reset();
  EXPECT_TRUE(epochs.Drained(stamp));
}

TEST(EpochTest, LaterGuardDoesNotHoldTheStamp) {
  EpochManager epochs;
  const std::uint64_t stamp = epochs.Advance();
  const EpochGuard guard(epochs);
  EXPECT_TRUE(epochs.Drained(stamp));
}

TEST(EpochTest, GuardOfAnotherThreadHoldsTheStamp) {
  EpochManager epochs;
  std::atomic<int> step{0};
  std::thread reader([&] {
    const EpochGuard guard(epochs);
    step.store(1);
    step.wait(1);
  });
  step.wait(0);
  const std::uint64_t stamp = epochs.Advance();
  EXPECT_FALSE(epochs.Drained(stamp));
  step.store(2);
  step.notify_all();
  reader.join();
  EXPECT_TRUE(epochs.Drained(stamp));
}

TEST(EpochTest, InnerGuardLeavingDoesNotEndTheOuterOne) {
  EpochManager epochs;
  std::optional<EpochGuard> outer(std::in_place, epochs);
  const std::uint64_t stamp = epochs.Advance();
  {
    std::vector<EpochGuard> inner;
    for (int i = 0; i < 100; ++i) inner.emplace_back(epochs);
  }
  EXPECT_FALSE(epochs.Drained(stamp));
  outer.reset();
  EXPECT_TRUE(epochs.Drained(stamp));
}

TEST(EpochTest, MovedGuardHoldsUntilTheNewOwnerLeaves) {
  EpochManager epochs;
  std::optional<EpochGuard> first(std::in_place, epochs);
  const std::uint64_t stamp = epochs.Advance();
  std::optional<EpochGuard> second(std::move(first));
  first.reset();
  EXPECT_FALSE(epochs.Drained(stamp));
  // Assignment leaves what the target held.
  *second = EpochGuard(epochs);
  EXPECT_TRUE(epochs.Drained(stamp));
  second.reset();
  EXPECT_TRUE(epochs.Drained(epochs.Advance()));
}

TEST(EpochTest, OneGuardTooManyWaitsForASlot) {
  EpochManager epochs;
  std::vector<EpochGuard> guards;
  for (std::size_t i = 0; i < EpochManager::kSlots; ++i) guards.emplace_back(epochs);
  std::atomic<bool> entered{false};
  std::thread late([&] {
    const EpochGuard guard(epochs);
    entered.store(true);
  });
  std::this_thread::sleep_for(std::chrono::milliseconds(20));
  EXPECT_FALSE(entered.load());
  guards.pop_back();
  late.join();
  EXPECT_TRUE(entered.load());
}

TEST(EpochTest, RetiredIsDeletedOnlyWhenEarlierGuardsAreGone) {
  std::atomic<int> deleted{0};
  EpochManager epochs;
  std::optional<EpochGuard> guard(std::in_place, epochs);
  epochs.Retire(std::make_unique<Counted>(deleted));
  EXPECT_EQ(epochs.Collect(), 1U);
  EXPECT_EQ(deleted.load(), 0);
  guard.reset();
  EXPECT_EQ(epochs.Collect(), 0U);
  EXPECT_EQ(deleted.load(), 1);
}

TEST(EpochTest, CollectDeletesWhatIsOlderThanTheOldestGuardAndKeepsTheRest) {
  std::atomic<int> old_deleted{0};
  std::atomic<int> new_deleted{0};
  EpochManager epochs;
  epochs.Retire(std::make_unique<Counted>(old_deleted));
  epochs.Retire(std::make_unique<Counted>(old_deleted));
  std::optional<EpochGuard> guard(std::in_place, epochs);
  epochs.Retire(std::make_unique<Counted>(new_deleted));
  EXPECT_EQ(epochs.Collect(), 1U);
  EXPECT_EQ(old_deleted.load(), 2);
  EXPECT_EQ(new_deleted.load(), 0);
  epochs.Retire(std::make_unique<Counted>(new_deleted));
  guard.reset();
  EXPECT_EQ(epochs.Collect(), 0U);
  EXPECT_EQ(new_deleted.load(), 2);
}

TEST(EpochTest, RetiringCollectsByItselfNowAndThen) {
  std::atomic<int> deleted{0};
  EpochManager epochs;
  for (int i = 0; i < 1000; ++i) epochs.Retire(std::make_unique<Counted>(deleted));
  EXPECT_GT(deleted.load(), 900);
}

TEST(EpochTest, DestructorDeletesALongListWithoutRecursion) {
  std::atomic<int> deleted{0};
  {
    EpochManager epochs;
    auto guard = std::make_unique<EpochGuard>(epochs);
    for (int i = 0; i < 300'000; ++i) epochs.Retire(std::make_unique<Counted>(deleted));
    EXPECT_EQ(deleted.load(), 0);
    guard.reset();
  }
  EXPECT_EQ(deleted.load(), 300'000);
}

// An announcement that is still on its way to memory when the reader makes its
// first load would be missed by the scan. Stores to lines that the other thread
// owns clog the reader's store buffer, so that a plain store would be that late.
TEST(EpochTest, AnnouncementIsVisibleBeforeTheReadersFirstLoad) {
  struct alignas(64) Line {
    std::atomic<std::uint64_t> word{0};
  };
  constexpr std::uint64_t kRounds = 20'000;
  EpochManager epochs;
  std::vector<Line> clog(48);
  Line shared;
  Line writer_round;
  Line reader_round;
  const auto wait_for = [](const Line& line, std::uint64_t round) {
    for (int spins = 0; line.word.load() < round; ++spins) {
      if (spins > 1000) std::this_thread::yield();
    }
  };
  const auto store_all = [&](std::uint64_t round) {
    for (Line& line : clog) line.word.store(round, std::memory_order_relaxed);
  };

  std::vector<std::uint64_t> seen(kRounds + 1);
  std::thread reader([&] {
    for (std::uint64_t round = 1; round <= kRounds; ++round) {
      (void)shared.word.load();  // so that the load under the guard is quick
      reader_round.word.store(2 * round - 1);
      wait_for(writer_round, 2 * round - 1);
      store_all(round);
      const EpochGuard guard(epochs);
      seen[round] = shared.word.load();
      wait_for(writer_round, 2 * round);
    }
  });
  std::vector<bool> drained(kRounds + 1);
  for (std::uint64_t round = 1; round <= kRounds; ++round) {
    store_all(round);
    wait_for(reader_round, 2 * round - 1);
    writer_round.word.store(2 * round - 1);
    for (std::uint64_t delay = round % 1024; delay != 0; --delay) (void)epochs.Current();
    shared.word.store(round);  // unlinks what the reader may have loaded
    drained[round] = epochs.Drained(epochs.Advance());
    writer_round.word.store(2 * round);
  }
  reader.join();
  std::uint64_t freed_under_reader = 0;
  for (std::uint64_t round = 1; round <= kRounds; ++round) {
    if (drained[round] && seen[round] < round) ++freed_under_reader;
  }
  EXPECT_EQ(freed_under_reader, 0U);
}

// A word that says whether it is still there; run with a sanitizer it also
// shows any read of freed memory.
class Canary final : public Retired {
 public:
  ~Canary() override { alive.store(0); }
  std::atomic<std::uint64_t> alive{0x600D};
};

TEST(EpochTest, ReadersNeverReachWhatWasFreed) {
  EpochManager epochs;
  std::atomic<Canary*> shared{new Canary};
  std::atomic<bool> stop{false};
  std::atomic<std::uint64_t> dead_seen{0};
  std::vector<std::thread> readers;
  for (int i = 0; i < 3; ++i) {
    readers.emplace_back([&] {
      while (!stop.load()) {
        const EpochGuard guard(epochs);
        const Canary* const canary = shared.load();
        for (int reads = 0; reads < 20; ++reads) {
          if (canary->alive.load() != 0x600D) dead_seen.fetch_add(1);
        }
      }
    });
  }
  for (int i = 0; i < 50'000; ++i) {
    std::unique_ptr<Canary> old(shared.exchange(new Canary));
    epochs.Retire(std::move(old));
  }
  stop.store(true);
  for (std::thread& reader : readers) reader.join();
  EXPECT_EQ(dead_seen.load(), 0U);
  EXPECT_EQ(epochs.Collect(), 0U);
  delete shared.load();
}

}  // namespace
}  // namespace freyja::engine
