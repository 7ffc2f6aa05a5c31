// Crashes at any moment, over several generations: whatever is found afterwards is the state
// after a prefix of the writes, through the last one promised, and stays that.
#include <gtest/gtest.h>

#include <chrono>
#include <cstdint>
#include <functional>
#include <iostream>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "freyja/compaction.h"
#include "support/crash_images.h"
#include "support/history.h"
#include "support/store_contents.h"
#include "support/test_settings.h"

namespace freyja {
namespace {

using io::MemoryFileSystem;
using support::Change;
using support::Contents;
using support::CrashCounts;
using support::CrashedDisk;
using support::Dice;
using support::History;
using support::ImageTaker;
using support::MakeValue;
using support::Survivor;
using support::Write;

// --- The oracle itself ----------------------------------------------------------------

class HistoryTest : public ::testing::Test {
 protected:
  HistoryTest() : history_({{"old", MakeValue("old", 0, 0)}}) {
    Put("a", 1);
    Put("b", 2);
    history_.MakeDurable();                                                      // 2 writes
    history_.Begin({{"a", MakeValue("a", 3, 0)}, {"c", MakeValue("c", 4, 0)}});  // a batch
    history_.Begin({{"b", std::nullopt}});
    history_.Acknowledge();  // 4
    Put("a", 5);             // begun only
  }
  void Put(const std::string& key, std::uint64_t number) {
    history_.Begin({{key, MakeValue(key, number, 0)}});
  }
  support::Bounds PowerLoss() const {
    return {.at_least = history_.durable(), .at_most = history_.begun()};
  }
  support::Bounds ProcessKill() const {
    return {.at_least = history_.acknowledged(), .at_most = history_.begun()};
  }
  History history_;
};

TEST_F(HistoryTest, EveryStateBetweenTheDurableAndTheBegunPassesAfterAPowerLoss) {
  for (std::size_t n = 2; n <= 5; ++n) {
    EXPECT_EQ(history_.Judge(history_.StateAfter(n), PowerLoss()), "") << n;
    EXPECT_EQ(history_.FindPrefix(history_.StateAfter(n), PowerLoss()), n);
  }
  EXPECT_EQ(history_.StateAfter(5), history_.newest());
}

TEST_F(HistoryTest, ALostDurableWriteIsFound) {
  EXPECT_NE(history_.Judge(history_.StateAfter(1), PowerLoss()), "");
}

TEST_F(HistoryTest, ALostAcknowledgedWriteIsFoundAfterAProcessKillOnly) {
  EXPECT_EQ(history_.Judge(history_.StateAfter(3), PowerLoss()), "");
  EXPECT_NE(history_.Judge(history_.StateAfter(3), ProcessKill()), "");
}

TEST_F(HistoryTest, AMissingKeyIsFound) {
  Contents state = history_.StateAfter(5);
  state.erase("old");
  EXPECT_NE(history_.Judge(state, PowerLoss()), "");
}

TEST_F(HistoryTest, AValueThatNobodyWroteIsFound) {
  Contents state = history_.StateAfter(5);
  state["a"][0] = 'b';
  EXPECT_NE(history_.Judge(state, PowerLoss()), "");
  state["a"] = MakeValue("a", 77, 0);
  EXPECT_NE(history_.Judge(state, PowerLoss()), "");
  state["a"] = MakeValue("b", 2, 0);
  EXPECT_NE(history_.Judge(state, PowerLoss()), "");
}

TEST_F(HistoryTest, AKeyThatCameBackIsFound) {
  Contents state = history_.StateAfter(5);
  state["b"] = MakeValue("b", 2, 0);
  EXPECT_NE(history_.Judge(state, PowerLoss()), "");
}

TEST_F(HistoryTest, HalfABatchIsFound) {
  Contents state = history_.StateAfter(2);
  state["c"] = MakeValue("c", 4, 0);
  EXPECT_NE(history_.Judge(state, PowerLoss()), "");
}

TEST_F(HistoryTest, AHoleInTheOrderIsFound) {
  Contents state = history_.StateAfter(3);
  state["a"] = MakeValue("a", 5, 0);  // the last write without the delete before it
  EXPECT_NE(history_.Judge(state, PowerLoss()), "");
}

TEST_F(HistoryTest, ADamagedValueDoesNotPassForOneOfItsKey) {
  std::string value = MakeValue("key", 9, 64);
  EXPECT_EQ(value.size(), 64u);
  EXPECT_TRUE(support::IsValueOf("key", value));
  EXPECT_FALSE(support::IsValueOf("ke", value));
  for (char& byte : value) {
    byte = static_cast<char>(byte ^ 1);
    EXPECT_FALSE(support::IsValueOf("key", value));
    byte = static_cast<char>(byte ^ 1);
  }
}

// --- The store under crashes ------------------------------------------------------------

std::string AnyKey(Dice& dice) {
  // A few keys are written again and again, others rarely.
  const std::uint64_t number = dice.OneIn(2) ? dice.Below(8) : dice.Below(48);
  return "key" + std::to_string(number);
}

// With the directories of a store and of its compactions' outputs.
std::shared_ptr<MemoryFileSystem> EmptyDisk() {
  auto disk = std::make_shared<MemoryFileSystem>();
  for (const char* directory : {support::kStorePath, support::kTempPath}) {
    EXPECT_TRUE(disk->CreateDirectory(directory).ok());
  }
  EXPECT_TRUE(disk->SyncDirectory("/").ok());
  return disk;
}

// A store, the history of its writes, and whoever takes images of it.
class World {
 public:
  World(Survivor start, std::uint64_t seed, CrashCounts& counts)
      : disk_(std::move(start.disk)),
        store_(std::move(start.store)),
        history_(std::move(start.contents)),
        dice_(seed),
        options_(std::move(start.options)),
        images_(std::make_unique<ImageTaker>(*disk_, history_, dice_.Next())),
        counts_(counts) {}

  ~World() {
    images_->Stop();
    job_.reset();
    store_.reset();
  }
  World(const World&) = delete;
  World& operator=(const World&) = delete;

  const History& history() const { return history_; }
  ImageTaker& images() { return *images_; }

  // One random operation; empty if it did what it should.
  std::string Step(std::uint64_t& number) {
    if (store_ == nullptr) return Reopen();
    switch (dice_.Below(32)) {
      case 0:
        return Sync();
      case 1:
      case 2:
        return StartCompaction();
      case 3:
        return FinishCompaction();
      case 4:
        return dice_.OneIn(4) ? Reopen() : std::string();
      case 5:
        images_->TakeNow("between operations");
        return {};
      case 6:
      case 7:
      case 8:
        return WriteBatchOf(2 + dice_.Below(6), number);
      case 9:
      case 10:
      case 11:
      case 12:
      case 13:
      case 14:
        return Delete();
      default:
        return Put(number);
    }
  }

 private:
  std::string Written(const Status& status, bool sync) {
    if (!status.ok()) return "write: " + status.ToString();
    if (sync || options_.sync == Sync::kAlways) {
      history_.MakeDurable();
    } else {
      history_.Acknowledge();
    }
    return {};
  }

  WriteOptions AnySync() {
    return {.sync = dice_.OneIn(10) ? Sync::kAlways : Sync::kDefault, .expires_at_ms = 0};
  }

  std::string AnyValue(const std::string& key, std::uint64_t& number) {
    const std::size_t bytes = dice_.OneIn(12) ? 4000 + dice_.Below(5000) : dice_.Below(700);
    return MakeValue(key, ++number, bytes);
  }

  std::string Put(std::uint64_t& number) {
    const std::string key = AnyKey(dice_);
    const std::string value = AnyValue(key, number);
    const WriteOptions options = AnySync();
    history_.Begin({{key, value}});
    return Written(store_->Put(key, value, options), options.sync == Sync::kAlways);
  }

  std::string Delete() {
    const std::string key = AnyKey(dice_);
    const WriteOptions options = AnySync();
    const bool present = history_.newest().contains(key);
    history_.Begin({{key, std::nullopt}});
    const auto deleted = store_->Delete(key, options);
    if (!deleted) return "delete: " + deleted.error().ToString();
    if (*deleted != present) return "delete of " + key + ": wrong answer";
    if (*deleted) return Written(Status::Ok(), options.sync == Sync::kAlways);
    history_.Acknowledge();  // nothing was written, so nothing was synced
    return {};
  }

  std::string WriteBatchOf(std::size_t size, std::uint64_t& number) {
    WriteBatch batch;
    Write write;
    for (std::size_t i = 0; i < size; ++i) {
      const std::string key = AnyKey(dice_);
      if (dice_.OneIn(3)) {
        batch.Delete(key);
        write.push_back({key, std::nullopt});
      } else {
        const std::string value = MakeValue(key, ++number, dice_.Below(700));
        batch.Put(key, value);
        write.push_back({key, value});
      }
    }
    const WriteOptions options = AnySync();
    history_.Begin(std::move(write));
    return Written(store_->Write(batch, options), options.sync == Sync::kAlways);
  }

  std::string Sync() {
    if (const Status status = store_->Sync(); !status.ok()) return "sync: " + status.ToString();
    history_.MakeDurable();
    return {};
  }

  std::string StartCompaction() {
    auto started = HotSwapCompactor(*store_, support::AnyConfig(dice_)).CompactInBackground();
    if (!started) return "compaction: " + started.error().ToString();
    job_ = *std::move(started);
    return dice_.OneIn(3) ? FinishCompaction() : std::string();
  }

  std::string FinishCompaction() {
    if (!job_) return {};
    const auto report = job_->Wait();
    job_.reset();
    if (!report) return "compaction: " + report.error().ToString();
    counts_.swaps += report->ran ? 1 : 0;
    return support::CompareReads(*store_, history_.newest());
  }

  std::string Reopen() {
    job_.reset();
    if (store_ != nullptr) {
      if (const Status closed = store_->Close(); !closed.ok()) return "close: " + closed.ToString();
      history_.MakeDurable();
      store_.reset();
      options_ = support::TinyOptions(dice_);
    }
    auto store = support::OpenOn(disk_, options_, dice_.Next());
    if (!store) return "open: " + store.error().ToString();
    store_ = *std::move(store);
    return support::CompareReads(*store_, history_.newest());
  }

  const std::shared_ptr<MemoryFileSystem> disk_;
  std::unique_ptr<KVStore> store_;
  History history_;
  Dice dice_;
  Options options_;
  std::unique_ptr<ImageTaker> images_;
  std::optional<CompactionJob> job_;
  CrashCounts& counts_;
};

// Several generations, each going on from an image of the one before.
class Chain {
 public:
  Chain(std::uint64_t seed, CrashCounts& counts) : dice_(seed), counts_(counts) {}

  // Empty, or what went wrong.
  std::string Run(std::size_t generations) {
    Survivor start;
    start.disk = EmptyDisk();
    start.options = support::TinyOptions(dice_);
    for (std::size_t generation = 0; generation < generations; ++generation) {
      std::string problem = RunGeneration(start);
      if (!problem.empty()) return "generation " + std::to_string(generation) + ": " + problem;
    }
    return {};
  }

 private:
  // Ends with `survivor` recovered from an image of the store that it began with.
  std::string RunGeneration(Survivor& survivor) {
    constexpr std::size_t kMostSteps = 10'000;
    World world(std::exchange(survivor, {}), dice_.Next(), counts_);
    world.images().Start(/*one_in=*/dice_.Between(3, 12), /*most=*/3);
    const std::size_t steps = dice_.Between(40, 160);
    for (std::size_t step = 0; step < kMostSteps; ++step) {
      std::string problem = world.Step(number_);
      if (!problem.empty()) return "step " + std::to_string(step) + ": " + problem;
      for (const CrashedDisk& image : world.images().Collect()) {
        survivor = support::Recover(image, world.history(), dice_.Next(), counts_);
        if (!survivor.error.empty()) return "step " + std::to_string(step) + ": " + survivor.error;
        if (step >= steps) return {};
      }
      survivor = {};
    }
    return "no image was taken";
  }

  Dice dice_;
  CrashCounts& counts_;
  std::uint64_t number_ = 0;
};

TEST(CrashTest, EveryImageRecoversToAPrefixThroughWhatWasPromised) {
  const std::uint64_t seed = support::TestSeed(20'240'611);
  const std::size_t chains = support::Scaled(12);
  const auto begin = std::chrono::steady_clock::now();
  CrashCounts counts;
  for (std::size_t i = 0; i < chains; ++i) {
    const std::string problem = Chain(seed + i, counts).Run(/*generations=*/6);
    ASSERT_EQ(problem, "") << "FREYJA_TEST_SEED=" << seed + i;
  }
  const auto took = std::chrono::steady_clock::now() - begin;
  std::cout << counts << "; " << std::chrono::duration_cast<std::chrono::milliseconds>(took).count()
            << " ms\n";
  EXPECT_GT(counts.images, 100 * chains);
  EXPECT_GT(counts.process_kills, 10 * chains);
  EXPECT_GT(counts.inside_recovery, 5 * chains);
  EXPECT_GT(counts.lost_writes, 5 * chains);
  EXPECT_GT(counts.swaps, 5 * chains);
}

// Crashes before each single operation of one thing that a store does.
class EveryOperationTest : public ::testing::Test {
 protected:
  EveryOperationTest() {
    disk_ = EmptyDisk();
    options_.create_if_missing = true;
    options_.scheduler.enabled = false;
    options_.sync = Sync::kNone;
    options_.segment_bytes = kMinSegmentBytes;
    options_.reserve_bytes = 64 << 10;
    options_.worker_threads = 1;
    Open();
  }

  void Open() {
    auto store = support::OpenOn(disk_, options_, ++seed_);
    ASSERT_TRUE(store.has_value()) << store.error().ToString();
    store_ = *std::move(store);
  }

  // Overwrites and deletes of few keys, through several segments; the last ones unsynced.
  void Write() {
    for (int i = 0; i < 150; ++i) {
      const std::string key = "key" + std::to_string(i * 7 % 23);
      if (i % 5 == 4) {
        history_.Begin({{key, std::nullopt}});
        ASSERT_TRUE(store_->Delete(key).has_value());
      } else {
        const std::string value = MakeValue(key, ++number_, 400);
        history_.Begin({{key, value}});
        ASSERT_TRUE(store_->Put(key, value).ok());
      }
      history_.Acknowledge();
      if (i == 100) {
        ASSERT_TRUE(store_->Sync().ok());
        history_.MakeDurable();
      }
    }
  }

  // Runs `act` a few times, each with other images before its operations, and checks those, of
  // which there must be some.
  void CrashIn(const std::function<void()>& act, std::size_t fewest_images = 31) {
    CrashCounts counts;
    for (std::size_t round = 0; round < support::Scaled(3); ++round) {
      Write();
      ImageTaker images(*disk_, history_, ++seed_);
      images.Start(/*one_in=*/1, /*most=*/SIZE_MAX);
      act();
      images.Stop();
      for (const CrashedDisk& image : images.Collect()) {
        ASSERT_EQ(support::Recover(image, history_, ++seed_, counts).error, "")
            << "FREYJA_TEST_SEED=" << first_seed_;
      }
      if (store_ == nullptr) Open();
      ASSERT_EQ(support::CompareReads(*store_, history_.newest()), "");
    }
    std::cout << counts << '\n';
    EXPECT_GE(counts.images, fewest_images);
  }

  std::shared_ptr<MemoryFileSystem> disk_;
  Options options_;
  std::unique_ptr<KVStore> store_;
  History history_{{}};
  std::uint64_t number_ = 0;
  const std::uint64_t first_seed_ = support::TestSeed(20'240'613);
  std::uint64_t seed_ = first_seed_;
};

TEST_F(EveryOperationTest, OfACompaction) {
  CrashIn([&] {
    HotSwapConfig config;
    config.min_space_saving = 0;
    config.seal_active = true;
    const auto report = HotSwapCompactor(*store_, config).Compact();
    ASSERT_TRUE(report.has_value()) << report.error().ToString();
    EXPECT_TRUE(report->ran);
  });
}

TEST_F(EveryOperationTest, OfACompactionThroughAnotherDirectory) {
  CrashIn([&] {
    HotSwapConfig config;
    config.min_space_saving = 0;
    config.seal_active = true;
    config.temp_dir = support::kTempPath;
    const auto report = HotSwapCompactor(*store_, config).Compact();
    ASSERT_TRUE(report.has_value()) << report.error().ToString();
    EXPECT_TRUE(report->ran);
  });
}

TEST_F(EveryOperationTest, OfRollingAndSealing) {
  CrashIn([&] { Write(); });
}

TEST_F(EveryOperationTest, OfASync) {
  CrashIn([&] {
    ASSERT_TRUE(store_->Sync().ok());
    history_.MakeDurable();
    Write();
  });
}

TEST_F(EveryOperationTest, OfClosingAndOpeningAgain) {
  CrashIn([&] {
    ASSERT_TRUE(store_->Close().ok());
    history_.MakeDurable();
    store_.reset();
    Open();
    Write();
  });
}

TEST_F(EveryOperationTest, OfRecoveringFromAProcessKill) {
  const auto recover = [&] {
    const std::shared_ptr<MemoryFileSystem> killed =
        disk_->CrashImage({.mode = io::CrashOptions::Mode::kProcessKill});
    ImageTaker images(*killed, history_, ++seed_);
    images.Start(/*one_in=*/1, /*most=*/SIZE_MAX);
    const auto store = support::OpenOn(killed, options_, ++seed_);
    ASSERT_TRUE(store.has_value()) << store.error().ToString();
    images.Stop();
    CrashCounts counts;
    for (const CrashedDisk& image : images.Collect()) {
      ASSERT_EQ(support::Recover(image, history_, ++seed_, counts).error, "")
          << "FREYJA_TEST_SEED=" << first_seed_;
    }
    EXPECT_GT(counts.images, 10u);
  };
  // The store that goes on meanwhile may have nothing to do.
  CrashIn(recover, /*fewest_images=*/0);
}

// The checker must find what is wrong with a real store, too.
TEST(CrashTest, AStoreThatLostOrKeptTheWrongThingIsFound) {
  const auto disk = EmptyDisk();
  Dice dice(1);
  const Options options = support::TinyOptions(dice);
  const auto store = support::OpenOn(disk, options, 1);
  ASSERT_TRUE(store.has_value()) << store.error().ToString();
  History history({});
  for (std::uint64_t number = 1; number <= 3; ++number) {
    const std::string key = "key" + std::to_string(number);
    history.Begin({{key, MakeValue(key, number, 100)}});
    ASSERT_TRUE((*store)->Put(key, MakeValue(key, number, 100)).ok());
  }
  ASSERT_TRUE((*store)->Sync().ok());
  history.MakeDurable();

  CrashCounts counts;
  const auto recover = [&] {
    ImageTaker images(*disk, history, 7);
    images.TakeNow("now");
    return support::Recover(images.Collect().front(), history, 7, counts).error;
  };
  EXPECT_EQ(recover(), "");
  // A durable write that never reached the store.
  history.Begin({{"key4", MakeValue("key4", 4, 100)}});
  history.MakeDurable();
  EXPECT_NE(recover(), "");
  ASSERT_TRUE((*store)->Put("key4", MakeValue("key4", 4, 100)).ok());
  ASSERT_TRUE((*store)->Sync().ok());
  EXPECT_EQ(recover(), "");
  // A key that vanished, and one with an older value, that no write explains.
  ASSERT_TRUE((*store)->Delete("key2").value_or(false));
  ASSERT_TRUE((*store)->Sync().ok());
  EXPECT_NE(recover(), "");
  ASSERT_TRUE((*store)->Put("key2", MakeValue("key2", 1, 100)).ok());
  ASSERT_TRUE((*store)->Sync().ok());
  EXPECT_NE(recover(), "");
  ASSERT_TRUE((*store)->Put("key2", MakeValue("key2", 2, 100)).ok());
  ASSERT_TRUE((*store)->Sync().ok());
  EXPECT_EQ(recover(), "");
}

}  // namespace
}  // namespace freyja
