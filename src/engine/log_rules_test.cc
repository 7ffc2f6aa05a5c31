// Rules of the log that only show between two steps of a writer, or between two copies of a
// store: here the test takes the part of the leader.
#include <gtest/gtest.h>

#include <future>
#include <thread>

#include "engine/log.h"
#include "engine/store_testing.h"
#include "format/record.h"

namespace freyja::engine {
namespace {

using io::CrashOptions;
using io::Operation;
using testing::kPath;
using testing::Machine;
using testing::Must;
using testing::Open;
using testing::Put;

class LogRulesTest : public ::testing::Test {
 protected:
  // Appends a record as the leader of a group does, without publishing it.
  void AppendUnpublished(std::string_view key) {
    Log& log = store_->log();
    const format::Record record{.sequence = log.next_sequence(), .key = key, .value = "value"};
    const std::size_t bytes = format::EncodedRecordBytes(record);
    Segment* const segment = Must(log.SegmentFor(bytes, false));
    format::EncodeRecord(record, format::RecordSeed(segment->seed(), log.append_offset()),
                         {segment->log_mapping()->data() + log.append_offset(), bytes});
    log.Appended(1, 0, bytes);
  }

  Machine machine_;
  std::unique_ptr<Store> store_ = Open(machine_);
};

TEST_F(LogRulesTest, ASegmentIsNotSealedBeforeItsLastRecordIsPublished) {
  Put(*store_, "first", "x");
  testing::WaitUntilIdle(*store_);
  store_->maintenance().Stop();
  AppendUnpublished("second");
  EXPECT_OK(store_->log().RollNow());
  EXPECT_FALSE(Must(store_->log().SealOldest())) << "a compaction would take it for dead";
  store_->log().Published(store_->log().appended());
  EXPECT_TRUE(Must(store_->log().SealOldest()));
}

TEST_F(LogRulesTest, WhoWaitedForASyncThatFailedFailsToo) {
  Put(*store_, "k", "x");
  testing::WaitUntilIdle(*store_);
  store_->maintenance().Stop();
  machine_.fs->InjectFault({.operations = {Operation::kSync}, .sync_drops_dirty = true});
  Log& log = store_->log();
  EXPECT_EQ(log.SyncThrough(log.appended()).code(), StatusCode::kIoError);
  const auto syncs = machine_.fs->OperationCount(Operation::kSync);
  // Past the store's own check already, and next in line for the lock.
  EXPECT_EQ(log.SyncThrough(log.appended()).code(), StatusCode::kReadOnly);
  EXPECT_EQ(machine_.fs->OperationCount(Operation::kSync), syncs);
  EXPECT_LT(log.durable(), log.appended());
}

// The leader of a group asked for nothing, one behind it for a sync.
TEST_F(LogRulesTest, OneWriterOfAGroupWhoAsksForASyncGetsIt) {
  testing::WaitUntilIdle(*store_);
  std::promise<void> syncing;
  std::promise<void> go;
  std::atomic<bool> once = false;
  machine_.fs->SetOperationHook([&](Operation operation, const std::filesystem::path& path) {
    if (operation != Operation::kSync || path.extension() != ".data" || once.exchange(true)) return;
    syncing.set_value();
    go.get_future().wait();
  });
  std::thread before([&] { Put(*store_, "before", "x", Sync::kAlways); });
  syncing.get_future().wait();
  std::vector<std::thread> group;
  for (const Sync sync : {Sync::kNone, Sync::kAlways}) {
    group.emplace_back([&, sync] { Put(*store_, sync == Sync::kNone ? "a" : "b", "x", sync); });
    std::this_thread::sleep_for(std::chrono::milliseconds(50));  // only the schedule's quality
  }
  go.set_value();
  before.join();
  for (std::thread& writer : group) writer.join();
  machine_.fs->SetOperationHook({});
  const auto after = Open(machine_.AfterCrash(CrashOptions::Mode::kLoseAllUnsynced));
  EXPECT_EQ(testing::Get(*after, "b"), "x");
}

TEST_F(LogRulesTest, ARefusalThatAsksForASyncMakesDurableWhatItWasDecidedOn) {
  Put(*store_, "k", "x", Sync::kAlways);
  EXPECT_TRUE(Must(store_->Delete("k", {.sync = Sync::kNone})));
  EXPECT_FALSE(Must(store_->Delete("k", {.sync = Sync::kAlways})));
  const auto after = Open(machine_.AfterCrash(CrashOptions::Mode::kLoseAllUnsynced));
  EXPECT_EQ(testing::Get(*after, "k"), std::nullopt);
}

// An empty one would be taken for damage from then on.
TEST_F(LogRulesTest, AHintWhoseCreationFailsLeavesNothingBehind) {
  Put(*store_, "k", "x");
  testing::WaitUntilIdle(*store_);
  machine_.fs->InjectFault(
      {.operations = {Operation::kCreate}, .path_contains = ".hint", .after_effect = true});
  EXPECT_OK(store_->SealActive());
  EXPECT_FALSE(Must(machine_.fs->Exists(kPath / "1.hint")));
  EXPECT_OK(store_->VerifyChecksums());
  EXPECT_EQ(testing::Get(*store_, "k"), "x");
}

// A sealed segment may be compacted and freed at any moment.
TEST_F(LogRulesTest, ASegmentCountsAsSealedOnlyWhenSealingIsDoneWithIt) {
  Put(*store_, "k", "x");
  testing::WaitUntilIdle(*store_);
  int released = 0;
  machine_.fs->SetOperationHook([&](Operation operation, const std::filesystem::path& path) {
    if (operation != Operation::kReleaseTail) return;
    ++released;
    for (const SegmentInfo& segment : store_->GetSegments()) {
      if (segment.file != path.filename()) continue;
      EXPECT_EQ(segment.state, SegmentState::kFull);
    }
  });
  EXPECT_OK(store_->SealActive());
  machine_.fs->SetOperationHook({});
  EXPECT_EQ(released, 1);
  EXPECT_EQ(store_->GetSegments().front().state, SegmentState::kSealed);
}

// What is only being prepared may be unreadable still, and nobody would be told.
TEST_F(LogRulesTest, VerificationDoesNotReadASegmentThatNoManifestLists) {
  Put(*store_, "k", "x");
  testing::WaitUntilIdle(*store_);
  std::promise<void> committing;
  std::promise<void> go;
  std::atomic<bool> once = false;
  std::atomic<int> uses = 0;
  base::Mutex mutex;
  std::filesystem::path unlisted;
  machine_.fs->SetOperationHook([&](Operation operation, const std::filesystem::path& path) {
    bool commits = false;
    {
      base::MutexLock lock(mutex);
      if (operation == Operation::kCreate && path.extension() == ".data" && !once) unlisted = path;
      commits = operation == Operation::kCreate &&
                path.filename().native().starts_with("MANIFEST") && !unlisted.empty();
      if (once && path == unlisted) ++uses;
    }
    if (!commits || once.exchange(true)) return;
    committing.set_value();
    go.get_future().wait();
  });
  EXPECT_OK(store_->log().RollNow());
  committing.get_future().wait();
  EXPECT_OK(store_->VerifyChecksums());
  EXPECT_EQ(uses.load(), 0);
  go.set_value();
  testing::WaitUntilIdle(*store_);
  machine_.fs->SetOperationHook({});
}

TEST_F(LogRulesTest, ARecordStoredIntoALostPageIsNotAcknowledged) {
  Put(*store_, "k", "x");
  testing::WaitUntilIdle(*store_);
  store_->maintenance().Stop();
  const Segment& active = *store_->log().active();
  EXPECT_OK(machine_.fs->LoseBlock(kPath / active.name(), active.limit() - 4096));
  EXPECT_EQ(store_->Put("k", "y", {.sync = Sync::kNone}).code(), StatusCode::kIoError);
  EXPECT_EQ(testing::Get(*store_, "k"), "x");
  EXPECT_EQ(store_->Put("k", "z", {}).code(), StatusCode::kReadOnly);
}

TEST_F(LogRulesTest, AChangeOfTheManifestThatWaitedIsMadeToWhatItWaitedFor) {
  testing::WaitUntilIdle(*store_);
  store_->maintenance().Stop();
  ManifestStore& manifest = store_->manifest();
  const std::uint64_t id = manifest.Current().reserved_id + 1;
  const std::uint64_t sequence = manifest.Current().reserved_sequence + 1;
  std::thread second;
  const auto first = manifest.Commit([&](format::Manifest& next) {
    second = std::thread([&] {
      EXPECT_TRUE(manifest
                      .Commit([&](format::Manifest& later) {
                        later.reserved_sequence = sequence;
                        return Status::Ok();
                      })
                      .ok());
    });
    std::this_thread::sleep_for(std::chrono::milliseconds(100));  // only the schedule's quality
    next.reserved_id = id;
    return Status::Ok();
  });
  second.join();
  EXPECT_TRUE(first.ok());
  EXPECT_EQ(manifest.Current().reserved_id, id);
  EXPECT_EQ(manifest.Current().reserved_sequence, sequence);
}

// Two copies of one store that were written on have segments with the same ids.
TEST_F(LogRulesTest, ALogSegmentOfADivergedCopyIsRefused) {
  Put(*store_, "common", "x");
  EXPECT_OK(store_->Close());
  store_.reset();
  Machine copy = machine_.AfterCrash(CrashOptions::Mode::kProcessKill);
  copy.random = std::make_shared<testing::SeededRandom>(2);
  std::vector<Machine> machines;
  std::vector<std::string> active;
  for (const Machine& machine : {machine_, copy}) {
    const auto store = Open(machine);
    for (int roll = 0; roll < 3; ++roll) {
      Put(*store, "k" + std::to_string(roll), "of copy " + std::to_string(machines.size()));
      EXPECT_OK(store->SealActive());
    }
    Put(*store, "last", "of copy " + std::to_string(machines.size()));
    testing::WaitUntilIdle(*store);
    for (const auto& segment : store->GetSegments()) {
      if (segment.state == SegmentState::kActive) active.push_back(segment.file);
    }
    machines.push_back(machine.AfterCrash(CrashOptions::Mode::kProcessKill));
  }
  ASSERT_EQ(active.size(), 2u);
  ASSERT_EQ(active[0], active[1]);
  const auto foreign = Must(machines[0].fs->Contents(kPath / active[0]));
  EXPECT_OK(machines[1].fs->Overwrite(kPath / active[1], foreign));
  const auto opened = testing::TryOpen(machines[1]);
  ASSERT_FALSE(opened.has_value());
  EXPECT_EQ(opened.error().code(), StatusCode::kCorruption);
  EXPECT_NE(opened.error().message().find(active[1]), std::string::npos);
}

}  // namespace
}  // namespace freyja::engine
