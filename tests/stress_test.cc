// Readers, writers, an iterating thread and hot swaps, all at once. Every value read is
// held against what was acknowledged before the read and begun before its end.
#include <gtest/gtest.h>

#include <array>
#include <atomic>
#include <cstdlib>
#include <random>
#include <thread>
#include <unordered_set>
#include <vector>

#include "api/store_parts.h"
#include "base/environment.h"
#include "freyja/freyja.h"
#include "io/memory_file_system.h"
#include "io/posix_file_system.h"
#include "support/versioned_value.h"

namespace freyja {
namespace {

using testing::AnyDeletion;
using testing::IsDeletion;
using testing::KeyOf;
using testing::MakeVersionedValue;
using testing::ReadVersion;

constexpr std::uint32_t kKeys = 384;
constexpr std::uint32_t kWriters = 2;

// One key's versions: begun before a write is called, acknowledged after it returned.
struct KeyState {
  std::atomic<std::uint64_t> begun{0};
  std::atomic<std::uint64_t> acknowledged{0};
};

class Stress {
 public:
  explicit Stress(KVStore& store) : store_(store) {}

  void RunSwaps(std::uint64_t swaps) {
    std::vector<std::thread> threads;
    for (std::uint32_t writer = 0; writer < kWriters; ++writer) {
      threads.emplace_back([this, writer] { WriteLoop(writer); });
    }
    threads.emplace_back([this] { ReadLoop(1); });
    threads.emplace_back([this] { ReadLoop(2); });
    threads.emplace_back([this] { IterateLoop(); });
    HotSwapCompactor compactor(store_, {.min_space_saving = 0.1, .seal_active = true});
    while (swaps_ < swaps && !::testing::Test::HasFailure()) {
      const auto report = compactor.Compact();
      EXPECT_TRUE(report.has_value()) << report.error().ToString();
      if (!report) break;
      swaps_ += report->ran ? 1 : 0;
    }
    stop_ = true;
    for (auto& thread : threads) thread.join();
  }

  std::uint64_t swaps() const { return swaps_; }
  std::uint64_t reads() const { return reads_; }
  std::uint64_t reads_during_swap() const { return reads_during_swap_; }

  // With all writers gone the store holds exactly the last versions.
  void CheckFinalState() const {
    std::uint64_t present = 0;
    for (std::uint32_t key = 0; key < kKeys; ++key) {
      const std::uint64_t last = keys_[key].acknowledged;
      const auto value = store_.Get(KeyOf(key));
      ASSERT_TRUE(value.has_value()) << value.error().ToString();
      ASSERT_EQ(value->has_value(), !IsDeletion(last)) << KeyOf(key) << " version " << last;
      if (!value->has_value()) continue;
      ++present;
      ASSERT_EQ(ReadVersion(key, **value), last);
    }
    EXPECT_EQ(store_.GetStats().keys, present);
    EXPECT_TRUE(store_.VerifyChecksums().ok());
  }

 private:
  void WriteLoop(std::uint32_t writer) {
    std::mt19937_64 random(writer + 17);
    while (!stop_) {
      const auto key =
          static_cast<std::uint32_t>(random() % (kKeys / kWriters)) * kWriters + writer;
      KeyState& state = keys_[key];
      const std::uint64_t version = state.begun + 1;
      state.begun = version;
      if (IsDeletion(version)) {
        const auto deleted = store_.Delete(KeyOf(key));
        EXPECT_TRUE(deleted.has_value() && *deleted);
      } else if (random() % 4 == 0) {
        WriteBatch batch;
        batch.Put(KeyOf(key), "to be overwritten in the same batch");
        batch.Put(KeyOf(key), MakeVersionedValue(key, version));
        // The first of the two can be read for a moment; this key must not be judged then.
        batches_begun_[key].fetch_add(1);
        EXPECT_TRUE(store_.Write(batch).ok());
        batches_ended_[key].fetch_add(1);
      } else {
        EXPECT_TRUE(store_.Put(KeyOf(key), MakeVersionedValue(key, version)).ok());
      }
      state.acknowledged = version;
    }
  }

  void ReadLoop(std::uint64_t seed) {
    std::mt19937_64 random(seed);
    std::string value;
    while (!stop_) {
      const auto key = static_cast<std::uint32_t>(random() % kKeys);
      const std::uint64_t swap_before = store_.SwapCounter();
      const std::uint64_t batches_ended = batches_ended_[key];
      const std::uint64_t first = keys_[key].acknowledged;
      Result<bool> found = false;
      if (random() % 8 == 0) {
        auto pinned = store_.GetPinned(KeyOf(key));
        found = pinned ? Result<bool>(pinned->has_value()) : std::unexpected(pinned.error());
        if (pinned && *pinned) value.assign((*pinned)->value());
      } else {
        found = store_.Get(KeyOf(key), value);
      }
      const std::uint64_t last = keys_[key].begun;
      const bool in_batch = batches_begun_[key] != batches_ended;
      const std::uint64_t swap_after = store_.SwapCounter();
      ++reads_;
      if (swap_before != swap_after || swap_before % 2 == 1) ++reads_during_swap_;
      Judge(key, found, value, first, last, in_batch);
    }
  }

  void Judge(std::uint32_t key, const Result<bool>& found, const std::string& value,
             std::uint64_t first, std::uint64_t last, bool in_batch) {
    ASSERT_TRUE(found.has_value()) << found.error().ToString();
    if (!*found) {
      ASSERT_TRUE(AnyDeletion(first, last))
          << KeyOf(key) << " missed between versions " << first << " and " << last;
      return;
    }
    const auto version = ReadVersion(key, value);
    if (!version && in_batch) return;
    ASSERT_TRUE(version.has_value()) << KeyOf(key) << ": fabricated value";
    ASSERT_GE(*version, first) << KeyOf(key) << " is stale";
    ASSERT_LE(*version, last) << KeyOf(key) << " comes from the future";
  }

  void IterateLoop() {
    while (!stop_) {
      std::array<std::uint64_t, kKeys> first{};
      for (std::uint32_t key = 0; key < kKeys; ++key) first[key] = keys_[key].acknowledged;
      auto iterator = store_.NewIterator();
      ASSERT_TRUE(iterator.has_value());
      std::array<std::uint64_t, kKeys> last{};
      for (std::uint32_t key = 0; key < kKeys; ++key) last[key] = keys_[key].begun;
      std::unordered_set<std::uint32_t> seen;
      for (iterator->Next(); iterator->Valid(); iterator->Next()) {
        const auto key =
            static_cast<std::uint32_t>(std::stoul(std::string(iterator->key().substr(4))));
        ASSERT_TRUE(seen.insert(key).second) << iterator->key() << " comes twice";
        const auto version = ReadVersion(key, iterator->value());
        ASSERT_TRUE(version.has_value()) << "a value from inside a batch, or fabricated";
        ASSERT_GE(*version, first[key]);
        ASSERT_LE(*version, last[key]);
      }
      ASSERT_TRUE(iterator->status().ok()) << iterator->status().ToString();
      for (std::uint32_t key = 0; key < kKeys; ++key) {
        ASSERT_TRUE(seen.contains(key) || AnyDeletion(first[key], last[key])) << KeyOf(key);
      }
    }
  }

  KVStore& store_;
  std::array<KeyState, kKeys> keys_;
  std::array<std::atomic<std::uint64_t>, kKeys> batches_begun_{};
  std::array<std::atomic<std::uint64_t>, kKeys> batches_ended_{};
  std::atomic<bool> stop_{false};
  std::atomic<std::uint64_t> swaps_{0};
  std::atomic<std::uint64_t> reads_{0};
  std::atomic<std::uint64_t> reads_during_swap_{0};
};

Options SmallSegments() {
  Options options;
  options.create_if_missing = true;
  options.sync = Sync::kNone;
  options.segment_bytes = 32 << 10;
  return options;
}

void RunAndReport(KVStore& store, std::uint64_t swaps) {
  Stress stress(store);
  stress.RunSwaps(swaps);
  stress.CheckFinalState();
  EXPECT_GE(stress.swaps(), swaps);
  EXPECT_GT(stress.reads_during_swap(), 0u);
  ::testing::Test::RecordProperty("swaps", static_cast<int>(stress.swaps()));
  ::testing::Test::RecordProperty("reads_during_swap",
                                  static_cast<int>(stress.reads_during_swap()));
}

TEST(StressTest, NoReadIsMissedOrStaleThroughAThousandSwapsInMemory) {
  auto store = api::OpenStore("/store", SmallSegments(),
                              {.file_system = std::make_shared<io::MemoryFileSystem>(),
                               .clock = std::make_shared<base::SystemClock>(),
                               .random = std::make_shared<base::SystemRandom>()});
  ASSERT_TRUE(store.has_value()) << store.error().ToString();
  RunAndReport(**store, 1000);
  EXPECT_TRUE((*store)->Close().ok());
}

TEST(StressTest, NoReadIsMissedOrStaleThroughSwapsOnDisk) {
  const auto directory = std::filesystem::temp_directory_path() /
                         ("freyja-stress-" + std::to_string(std::random_device()()));
  auto store = KVStore::Open(directory, SmallSegments());
  ASSERT_TRUE(store.has_value()) << store.error().ToString();
  RunAndReport(**store, 100);
  EXPECT_TRUE((*store)->Close().ok());
  std::filesystem::remove_all(directory);
}

}  // namespace
}  // namespace freyja
