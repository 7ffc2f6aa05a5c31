// What the index promises while readers, writers, the compactor and splits run
// at once. Meant to be run with the thread and the address sanitizer as well.
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <random>
#include <thread>
#include <vector>

#include "engine/index.h"
#include "engine/index_testing.h"

namespace freyja::engine {
namespace {

using testing::Get;
using testing::HasKey;
using testing::KeyOf;
using testing::kIgnore;
using testing::RecordOf;
using testing::UniformHash;
using testing::VersionOf;

constexpr IndexOptions kTinyPages{.initial_page_lines = 1, .max_page_lines = 4};

class IndexConcurrencyTest : public ::testing::Test {
 protected:
  void SetUp() override { index_ = Index::Create(epochs_, kTinyPages).value(); }
  void Put(std::uint64_t key, std::uint64_t version) {
    EXPECT_TRUE(
        index_->Upsert(UniformHash(key), HasKey(key), RecordOf(key, version), kIgnore).has_value());
  }
  Location Find(std::uint64_t key) { return Get(*index_, epochs_, UniformHash(key), key); }

  EpochManager epochs_;
  std::unique_ptr<Index> index_;
};

// A writer that loaded a page, then waited for its lock while a split froze it,
// must start again: what it wrote to the frozen page would be lost.
class WriteAfterSplitTest : public ::testing::Test {
 protected:
  static constexpr std::uint64_t kSplitter = 900;  // the key whose insertion splits the page

  // Runs `late` so that it loads the one page there is and waits for its lock
  // while that page is replaced under it.
  void RunAcrossASplit(const std::function<void()>& late) {
    std::thread waiting;
    // The new key shares its hash with key 0, so its confirmation is asked under
    // the lock, before the split.
    const auto start_late = [&](Location location) {
      if (!waiting.joinable()) {
        waiting = std::thread(late);
        std::this_thread::sleep_for(std::chrono::milliseconds(100));
      }
      return KeyOf(location) == kSplitter;
    };
    const std::uint64_t bytes = index_->memory_bytes();
    ASSERT_TRUE(index_->Upsert(Hash(0), start_late, RecordOf(kSplitter, 0), kIgnore).has_value());
    ASSERT_NE(index_->memory_bytes(), bytes) << "the insertion replaced no page";
    waiting.join();
  }

  void SetUp() override {
    index_ = Index::Create(epochs_, {.initial_page_lines = 4, .max_page_lines = 4}).value();
    // 7/8 of 16 slots: the next new key splits the page.
    for (std::uint64_t key = 0; key < 14; ++key) {
      ASSERT_TRUE(index_->Upsert(Hash(key), HasKey(key), RecordOf(key, 0), kIgnore).has_value());
    }
  }
  // Keys alternate between the halves of the hash space.
  static std::uint64_t Hash(std::uint64_t key) { return UniformHash(key) >> 1 | key << 63; }
  Location Find(std::uint64_t key) { return Get(*index_, epochs_, Hash(key), key); }

  EpochManager epochs_;
  std::unique_ptr<Index> index_;
};

TEST_F(WriteAfterSplitTest, UpsertLandsInTheNewPage) {
  RunAcrossASplit([&] {
    EXPECT_TRUE(index_->Upsert(Hash(5), HasKey(5), RecordOf(5, 7), kIgnore).has_value());
    EXPECT_TRUE(index_->Upsert(Hash(77), HasKey(77), RecordOf(77, 7), kIgnore).has_value());
  });
  EXPECT_EQ(Find(5), RecordOf(5, 7));
  EXPECT_EQ(Find(77), RecordOf(77, 7));
}

TEST_F(WriteAfterSplitTest, EraseReachesTheNewPage) {
  RunAcrossASplit([&] { EXPECT_FALSE(index_->Erase(Hash(5), HasKey(5), kIgnore).is_none()); });
  EXPECT_TRUE(Find(5).is_none());
}

TEST_F(WriteAfterSplitTest, SwapReachesTheNewPage) {
  RunAcrossASplit(
      [&] { EXPECT_TRUE(index_->ReplaceExact(Hash(5), RecordOf(5, 0), RecordOf(5, 7), kIgnore)); });
  EXPECT_EQ(Find(5), RecordOf(5, 7));
}

TEST_F(WriteAfterSplitTest, VisitSeesTheNewPage) {
  std::uint64_t last_hash = 0;
  RunAcrossASplit([&] { last_hash = index_->VisitPage(0, kIgnore); });
  EXPECT_EQ(last_hash, ~std::uint64_t{0} >> 1);
}

TEST_F(IndexConcurrencyTest, InsertionsBySeveralThreadsAllSurviveSplits) {
  constexpr std::uint64_t kPerThread = 20'000;
  std::vector<std::thread> writers;
  for (std::uint64_t id = 0; id < 4; ++id) {
    writers.emplace_back([&, id] {
      for (std::uint64_t i = 0; i < kPerThread; ++i) Put(id * kPerThread + i, id);
    });
  }
  for (std::thread& writer : writers) writer.join();
  EXPECT_EQ(index_->size(), 4 * kPerThread);
  for (std::uint64_t key = 0; key < 4 * kPerThread; ++key) {
    ASSERT_EQ(Find(key), RecordOf(key, key / kPerThread));
  }
}

// Readers look for keys that are always present; everything else happens around
// them: overwrites and swaps of these keys, insertions and deletions of others,
// hence splits, rebuilds and slots that go from key to key.
TEST_F(IndexConcurrencyTest, ReadersNeverMissAPresentKeyNorSeeAnOlderVersion) {
  constexpr std::uint64_t kStable = 300;
  constexpr std::uint64_t kTransient = 30'000;
  for (std::uint64_t key = 0; key < kStable; ++key) Put(key, 0);

  std::atomic<bool> stop{false};
  std::atomic<std::uint64_t> missed{0};
  std::atomic<std::uint64_t> stale{0};
  std::atomic<std::uint64_t> wrong{0};
  std::vector<std::thread> threads;
  for (std::uint64_t id = 0; id < 3; ++id) {
    threads.emplace_back([&, id] {
      std::mt19937_64 random(id);
      std::array<std::uint64_t, kStable> newest{};
      while (!stop.load()) {
        const std::uint64_t key = random() % kStable;
        const Location found = Find(key);
        if (found.is_none()) {
          missed.fetch_add(1);
          continue;
        }
        if (KeyOf(found) != key) wrong.fetch_add(1);
        if (VersionOf(found) < newest[key]) stale.fetch_add(1);
        newest[key] = VersionOf(found);
        const std::uint64_t other = kStable + random() % kTransient;
        const Location transient = Find(other);
        if (!transient.is_none() && KeyOf(transient) != other) wrong.fetch_add(1);
      }
    });
  }
  // Moves even keys one version on, as compaction does; the writer has the odd ones.
  threads.emplace_back([&] {
    std::vector<Index::Move> moves;
    for (std::uint64_t version = 0; !stop.load() && version < 1'000'000; ++version) {
      moves.clear();
      for (std::uint64_t key = 0; key < kStable; key += 2) {
        moves.push_back({UniformHash(key), RecordOf(key, version), RecordOf(key, version + 1)});
      }
      index_->ReplaceMany(moves, kIgnore, [&](const Index::Move&) { missed.fetch_add(1); });
    }
  });
  for (std::uint64_t round = 1; round <= 5; ++round) {
    for (std::uint64_t i = 0; i < kTransient; ++i) {
      Put(kStable + i, round);
      Put(1 + 2 * (i % (kStable / 2)), (round - 1) * kTransient + i);
      if (i % 3 != 0) {
        EXPECT_FALSE(
            index_->Erase(UniformHash(kStable + i), HasKey(kStable + i), kIgnore).is_none());
      }
    }
  }
  stop.store(true);
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(missed.load(), 0U);
  EXPECT_EQ(stale.load(), 0U);
  EXPECT_EQ(wrong.load(), 0U);
}

TEST_F(IndexConcurrencyTest, OverwrittenKeyIsNotAbsentForAMoment) {
  Put(1, 0);
  std::atomic<bool> stop{false};
  std::atomic<std::uint64_t> missed{0};
  std::thread reader([&] {
    while (!stop.load()) missed.fetch_add(Find(1).is_none() ? 1 : 0);
  });
  for (std::uint64_t version = 1; version < 400'000; ++version) {
    Put(1, version);
    EXPECT_TRUE(index_->ReplaceExact(UniformHash(1), RecordOf(1, version), RecordOf(1, version + 1),
                                     kIgnore));
  }
  stop.store(true);
  reader.join();
  EXPECT_EQ(missed.load(), 0U);
}

// The compactor swaps while writers overwrite and delete the same keys: the newer
// write wins, nothing deleted returns, and the counts kept by the callbacks equal
// what the index holds.
TEST_F(IndexConcurrencyTest, SwapsLoseToWritesAndCallbacksCountExactly) {
  constexpr std::uint64_t kKeys = 64;
  constexpr std::uint64_t kCopy = 1 << 19;  // marks a version written by the compactor
  std::array<std::atomic<std::int64_t>, 2> live{};
  const auto count = [&](Location location, int change) {
    if (!location.is_none()) live[VersionOf(location) >= kCopy ? 1 : 0].fetch_add(change);
  };
  std::array<std::atomic<std::uint64_t>, kKeys> newest{};  // 0 when deleted
  std::atomic<bool> stop{false};
  std::atomic<std::uint64_t> moved{0};

  std::thread compactor([&] {
    while (!stop.load()) {
      std::vector<Index::Move> moves;
      for (std::uint64_t key = 0; key < kKeys; ++key) {
        const Location old = Find(key);
        if (old.is_none() || VersionOf(old) >= kCopy) continue;
        moves.push_back({UniformHash(key), old, RecordOf(key, VersionOf(old) | kCopy)});
      }
      index_->ReplaceMany(
          moves,
          [&](const Index::Move& move) {
            count(move.old_location, -1);
            count(move.new_location, 1);
            moved.fetch_add(1);
          },
          kIgnore);
    }
  });
  std::vector<std::thread> writers;
  for (std::uint64_t id = 0; id < 2; ++id) {
    writers.emplace_back([&, id] {
      std::mt19937_64 random(id);
      // On a busy machine the compactor may get no turn before many writes are done.
      for (std::uint64_t version = 1; version <= 40'000 || moved.load() == 0; ++version) {
        ASSERT_LT(version, kCopy) << "nothing was ever moved";
        const std::uint64_t key = random() % (kKeys / 2) * 2 + id;
        if (random() % 4 == 0) {
          index_->Erase(UniformHash(key), HasKey(key), [&](Location old) { count(old, -1); });
          newest[key].store(0);
        } else {
          const Location location = RecordOf(key, version);
          EXPECT_TRUE(index_->Upsert(UniformHash(key), HasKey(key), location, [&](Location old) {
            count(old, -1);
            count(location, 1);
          }));
          newest[key].store(version);
        }
        const Location mine = Find(key);
        const std::uint64_t seen = mine.is_none() ? 0 : VersionOf(mine) & (kCopy - 1);
        ASSERT_EQ(seen, newest[key].load()) << "key " << key;
      }
    });
  }
  for (std::thread& writer : writers) writer.join();
  stop.store(true);
  compactor.join();

  std::array<std::int64_t, 2> held{};
  for (std::uint64_t key = 0; key < kKeys; ++key) {
    const Location location = Find(key);
    EXPECT_EQ(location.is_none() ? 0 : VersionOf(location) & (kCopy - 1), newest[key].load());
    if (!location.is_none()) ++held[VersionOf(location) >= kCopy ? 1 : 0];
  }
  EXPECT_EQ(live[0].load(), held[0]);
  EXPECT_EQ(live[1].load(), held[1]);
  EXPECT_EQ(index_->size(), static_cast<std::uint64_t>(held[0] + held[1]));
  EXPECT_GT(moved.load(), 0U);
}

TEST_F(IndexConcurrencyTest, VisitingMeetsEachPresentKeyOnceWhilePagesSplit) {
  constexpr std::uint64_t kStable = 2000;
  for (std::uint64_t key = 0; key < kStable; ++key) Put(key, 0);
  std::atomic<bool> stop{false};
  std::atomic<int> walks{0};
  std::thread writer([&] {
    for (std::uint64_t key = kStable; key < 30'000; ++key) Put(key, 0);
    while (walks.load() == 0) std::this_thread::yield();
    for (std::uint64_t key = 30'000; key < 60'000; ++key) Put(key, 0);
    stop.store(true);
  });
  do {
    std::vector<int> seen(60'000);
    std::uint64_t first_hash = 0;
    do {
      first_hash = 1 + index_->VisitPage(first_hash, [&](const PageEntries& entries, auto) {
        for (const auto entry : entries) ++seen[KeyOf(entry.location)];
      });
    } while (first_hash != 0);
    ASSERT_EQ(std::count(seen.begin(), seen.begin() + kStable, 1), kStable);
    ASSERT_LE(*std::max_element(seen.begin(), seen.end()), 1);
    ++walks;
  } while (!stop.load());
  writer.join();
}

TEST_F(IndexConcurrencyTest, ReplacedPagesAreFreedOnceTheirReadersLeft) {
  auto guard = std::make_unique<EpochGuard>(epochs_);
  for (std::uint64_t key = 0; key < 5000; ++key) Put(key, 0);
  EXPECT_GT(epochs_.Collect(), 100U);
  guard.reset();
  EXPECT_EQ(epochs_.Collect(), 0U);
}

}  // namespace
}  // namespace freyja::engine
