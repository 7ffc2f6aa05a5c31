#include "engine/epoch.h"

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <cstdint>
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
    step.notify_all();
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
  constexpr std::size_t kMost = EpochManager::kOwnSlots + EpochManager::kSharedSlots;
  for (std::size_t i = 0; i < kMost; ++i) guards.emplace_back(epochs);
  std::atomic<bool> entered{false};
  std::thread late([&] {
    const EpochGuard own(epochs);
    std::vector<EpochGuard> inner;
    for (std::size_t i = 0; i < EpochManager::kOwnSlots; ++i) inner.emplace_back(epochs);
    entered.store(true);
  });
  std::this_thread::sleep_for(std::chrono::milliseconds(20));
  EXPECT_FALSE(entered.load());
  guards.pop_back();
  late.join();
  EXPECT_TRUE(entered.load());
}

// Starts threads that hold a guard each, all at once, until they are told to let it go.
class Holders {
 public:
  Holders(EpochManager& epochs, int count) {
    for (int i = 0; i < count; ++i) {
      threads_.emplace_back([this, &epochs] {
        const EpochGuard guard(epochs);
        holding_.fetch_add(1);
        go_.wait(false);
      });
    }
    while (holding_.load() != count) std::this_thread::yield();
  }
  void LetGo() {
    go_.store(true);
    go_.notify_all();
    for (std::thread& thread : threads_) thread.join();
  }

 private:
  std::atomic<int> holding_{0};
  std::atomic<bool> go_{false};
  std::vector<std::thread> threads_;
};

TEST(EpochTest, ThreadsBeyondTheNumberedOnesShareSlots) {
  constexpr int kMore = 40;
  EpochManager epochs;
  Holders first(epochs, kMore);
  const std::uint64_t first_stamp = epochs.Advance();
  Holders many(epochs, static_cast<int>(EpochManager::kNumberedThreads) + kMore);
  const std::uint64_t stamp = epochs.Advance();
  EXPECT_FALSE(epochs.Drained(first_stamp));
  first.LetGo();
  EXPECT_TRUE(epochs.Drained(first_stamp));
  EXPECT_FALSE(epochs.Drained(stamp));
  many.LetGo();
  EXPECT_TRUE(epochs.Drained(stamp));
}

TEST(EpochTest, ANumberThatIsUsedAgainFreesNoSlotThatIsStillHeld) {
  EpochManager epochs;
  std::optional<EpochGuard> kept;
  std::thread([&] { kept.emplace(epochs); }).join();
  const std::uint64_t stamp = epochs.Advance();
  for (int i = 0; i < 10; ++i) {  // one of them gets the number of the one that ended
    std::thread([&] { const EpochGuard guard(epochs); }).join();
    EXPECT_FALSE(epochs.Drained(stamp));
  }
  kept.reset();
  EXPECT_TRUE(epochs.Drained(stamp));
}

TEST(EpochTest, AGuardMadeWhileItsThreadEndsHoldsTheStamp) {
  EpochManager epochs;
  bool drained = true;
  std::thread([&] {
    struct AtEnd {
      ~AtEnd() {
        EXPECT_GE(epoch_thread_number, EpochManager::kNumberedThreads) << "another may have it";
        const EpochGuard guard(*manager);
        *result = manager->Drained(manager->Advance());
      }
      EpochManager* manager;
      bool* result;
    };
    // Made before the thread's number, so it goes after it.
    static thread_local AtEnd at_end{.manager = &epochs, .result = &drained};
    (void)at_end;
    const EpochGuard guard(epochs);
  }).join();
  EXPECT_FALSE(drained);
  EXPECT_TRUE(epochs.Drained(epochs.Advance()));
}

TEST(EpochTest, WithoutABarrierOfTheKernelsItIsTheSame) {
  EpochManager epochs(/*with_barrier=*/false);
  std::optional<EpochGuard> guard(std::in_place, epochs);
  const std::uint64_t stamp = epochs.Advance();
  EXPECT_FALSE(epochs.Drained(stamp));
  guard.reset();
  EXPECT_TRUE(epochs.Drained(stamp));
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

// A reader and a writer that meet round after round: the writer unlinks and asks
// whether it may free, the reader announces itself and loads.
class AnnouncementRace {
 public:
  explicit AnnouncementRace(bool with_barrier) : epochs_(with_barrier) {}

  // How often the writer was told that it may free what the reader had loaded.
  std::uint64_t CountFreedUnderReader() {
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::milliseconds(300);
    std::thread reader([this] { Read(); });
    std::vector<bool> drained(kRounds + 1);
    std::uint64_t round = 1;
    for (; round <= kRounds; ++round) {
      if (round % 256 == 0 && std::chrono::steady_clock::now() > deadline) break;
      StoreToAll(round);
      WaitFor(reader_round_, 2 * round - 1);
      writer_round_.word.store(2 * round - 1);
      for (std::uint64_t delay = round % 400; delay != 0; --delay) (void)epochs_.Current();
      shared_.word.store(round);
      drained[round] = epochs_.Drained(epochs_.Advance());
      writer_round_.word.store(2 * round);
    }
    stop_.store(true);
    writer_round_.word.store(2 * kRounds + 1);
    reader.join();
    std::uint64_t freed = 0;
    for (std::uint64_t at = 1; at < round; ++at) freed += drained[at] && seen_[at] < at ? 1 : 0;
    return freed;
  }

 private:
  static constexpr std::uint64_t kRounds = 60'000;
  struct alignas(64) Line {
    std::atomic<std::uint64_t> word{0};
  };

  void Read() {
    for (std::uint64_t round = 1; round <= kRounds && !stop_.load(); ++round) {
      (void)shared_.word.load();  // so that the load under the guard is quick
      reader_round_.word.store(2 * round - 1);
      WaitFor(writer_round_, 2 * round - 1);
      StoreToAll(round);
      const EpochGuard guard(epochs_);
      seen_[round] = shared_.word.load();
      WaitFor(writer_round_, 2 * round);
    }
  }
  // Yields late: the race needs both threads on a processor.
  static void WaitFor(const Line& line, std::uint64_t round) {
    for (int spins = 0; line.word.load() < round; ++spins) {
      if (spins > 50'000) std::this_thread::yield();
    }
  }
  void StoreToAll(std::uint64_t round) {
    for (Line& line : clog_) line.word.store(round, std::memory_order_relaxed);
  }

  EpochManager epochs_;
  std::vector<Line> clog_ = std::vector<Line>(56);
  Line shared_;
  Line writer_round_;
  Line reader_round_;
  std::atomic<bool> stop_{false};
  std::vector<std::uint64_t> seen_ = std::vector<std::uint64_t>(kRounds + 1);
};

// An announcement still on its way to memory when the reader makes its first load
// would be missed by the scan. Stores to lines that the other thread owns clog the
// reader's store buffer, so that a plain store would be that late.
TEST(EpochTest, AnnouncementIsVisibleBeforeTheReadersFirstLoad) {
  std::atomic<bool> stop{false};
  std::vector<std::thread> idle;
  for (int run = 0; run < 6; ++run) {
    const bool with_barrier = run % 2 == 0;
    EXPECT_EQ(AnnouncementRace(with_barrier).CountFreedUnderReader(), 0U) << with_barrier;
    // Takes the reader's stack and number, so that the next reader starts at another slot.
    idle.emplace_back([&] { stop.wait(false); });
  }
  stop.store(true);
  stop.notify_all();
  for (std::thread& thread : idle) thread.join();
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
