// The order of appending, syncing and listing, and what a failed sync means.
#include "engine/log.h"

#include <gtest/gtest.h>

#include <future>
#include <set>

#include "engine/store_testing.h"
#include "format/segment_header.h"

namespace freyja::engine {
namespace {

using io::CrashOptions;
using io::Operation;
using testing::Contents;
using testing::Get;
using testing::kPath;
using testing::Machine;
using testing::Model;
using testing::Must;
using testing::Open;
using testing::Put;
using testing::ValueOf;

class LogTest : public testing::ModelledStoreTest {};

// --- Listing --------------------------------------------------------------------------

TEST_F(LogTest, NoSegmentHoldsRecordsBeforeADurableManifestListsIt) {
  std::vector<Machine> images;
  base::Mutex mutex;
  machine_.fs->SetOperationHook([&](Operation operation, const std::filesystem::path&) {
    if (operation != Operation::kCreate && operation != Operation::kRename &&
        operation != Operation::kSyncDirectory && operation != Operation::kAllocate) {
      return;
    }
    base::MutexLock lock(mutex);
    images.push_back(machine_.AfterCrash(CrashOptions::Mode::kProcessKill));
    // The manifest as a power cut would leave it, at the same moment or earlier.
    const auto durable = machine_.AfterCrash(CrashOptions::Mode::kLoseAllUnsynced);
    const auto manifest = durable.fs->Contents(kPath / "MANIFEST");
    if (!manifest) return;
    EXPECT_OK(images.back().fs->Overwrite("/durable", *manifest));
  });
  Write("k", 600);  // several rolls
  machine_.fs->SetOperationHook({});
  EXPECT_GT(store_->GetStats().rolls, 3u);
  base::MutexLock lock(mutex);
  ASSERT_GT(images.size(), 10u);
  for (const Machine& image : images) {
    std::set<std::uint64_t> listed;
    if (const auto bytes = image.fs->Contents("/durable")) {
      const format::Manifest manifest = Must(format::DecodeManifest(*bytes));
      for (const auto& segment : manifest.log) listed.insert(segment.id);
      for (const auto& segment : manifest.sealed) listed.insert(segment.id);
    }
    for (const std::string& name : Must(image.fs->List(kPath))) {
      const auto parsed = format::ParseFileName(name);
      if (parsed.kind != format::FileKind::kData || listed.contains(parsed.segment_id)) continue;
      const auto bytes = Must(image.fs->Contents(kPath / name));
      for (std::size_t i = format::kSegmentHeaderBytes; i < bytes.size(); ++i) {
        ASSERT_EQ(bytes[i], std::byte{0}) << name << " offset " << i;
      }
    }
  }
}

TEST_F(LogTest, SegmentsAreSealedInTheOrderOfTheLog) {
  Write("k", 1000);
  EXPECT_OK(store_->SealActive());
  std::uint64_t expected = 1;
  for (const auto& segment : store_->GetSegments()) {
    if (segment.state != SegmentState::kSealed) continue;
    EXPECT_EQ(segment.lowest_sequence, expected) << segment.file;
    expected = segment.highest_sequence + 1;
  }
  EXPECT_EQ(expected, 1001u);
}

TEST_F(LogTest, NothingIsSealedThatIsNotDurable) {
  machine_.fs->SetOperationHook([&](Operation operation, const std::filesystem::path& path) {
    if (operation != Operation::kRename || path.filename() != "MANIFEST") return;
    const auto next = format::DecodeManifest(Must(machine_.fs->Contents(kPath / "MANIFEST.tmp")));
    ASSERT_TRUE(next.has_value());
    const auto durable = machine_.AfterCrash(CrashOptions::Mode::kLoseAllUnsynced);
    for (const auto& sealed : next->sealed) {
      const auto now = Must(machine_.fs->Contents(kPath / format::DataFileName(sealed.id)));
      const auto then = Must(durable.fs->Contents(kPath / format::DataFileName(sealed.id)));
      ASSERT_GE(then.size(), sealed.data_bytes);
      EXPECT_TRUE(std::equal(then.begin(),
                             then.begin() + static_cast<std::ptrdiff_t>(sealed.data_bytes),
                             now.begin()));
    }
  });
  Write("k", 600);
  EXPECT_OK(store_->SealActive());
  machine_.fs->SetOperationHook({});
}

// --- Syncing --------------------------------------------------------------------------

// A sync writes what was made present ahead of the appends, too, and costs the writer a fault
// for each of these pages.
TEST_F(LogTest, SealingDoesNotSyncTheSegmentThatIsWrittenTo) {
  std::atomic<int> syncs = 0;
  machine_.fs->SetOperationHook([&](Operation operation, const std::filesystem::path& path) {
    const Segment* const active = store_->log().active();
    if (operation != Operation::kSync || path.extension() != ".data" || active == nullptr) return;
    ++syncs;
    EXPECT_NE(path.filename(), active->name());
  });
  Write("k", 600);  // several rolls
  testing::WaitUntilIdle(*store_);
  machine_.fs->SetOperationHook({});
  EXPECT_GT(syncs, 3);
}

TEST_F(LogTest, AWriteThatAskedForItSurvivesAPowerCut) {
  for (int i = 0; i < 20; ++i) {
    Put(*store_, "k" + std::to_string(i % 3), ValueOf("k", i), Sync::kAlways);
    const auto after = Open(machine_.AfterCrash(CrashOptions::Mode::kLoseAllUnsynced));
    EXPECT_EQ(Get(*after, "k" + std::to_string(i % 3)), ValueOf("k", i));
  }
}

TEST_F(LogTest, OlderSegmentsAreDurableBeforeANewerOneIsAcknowledged) {
  Write("k", 500);  // rolls, without a sync of its own
  Put(*store_, "last", "x", Sync::kAlways);
  model_["last"] = "x";
  for (const auto mode : {CrashOptions::Mode::kLoseAllUnsynced, CrashOptions::Mode::kRandom}) {
    const auto after = Open(machine_.AfterCrash(mode, 3));
    EXPECT_EQ(Contents(*after), model_);
  }
}

TEST_F(LogTest, ASyncOfAFullSegmentSaysNothingOfTheNextOne) {
  Put(*store_, "first", "x");
  testing::WaitUntilIdle(*store_);
  std::promise<void> go;
  const std::shared_future<void> gone = go.get_future().share();
  machine_.fs->SetOperationHook([&](Operation operation, const std::filesystem::path& path) {
    // What follows the roll, before the sealing.
    if (operation == Operation::kCreate && path.extension() == ".data") gone.wait();
  });
  const std::uint64_t rolls = store_->log().rolls();
  while (store_->log().rolls() == rolls) Write("k", 1);
  Write("later", 3);
  go.set_value();
  testing::WaitUntilIdle(*store_);
  machine_.fs->SetOperationHook({});
  const SegmentInfo sealed = store_->GetSegments().front();
  ASSERT_EQ(sealed.state, SegmentState::kSealed);
  EXPECT_EQ(store_->log().durable(), sealed.highest_sequence);
  EXPECT_LT(store_->log().durable(), store_->log().appended());
}

TEST_F(LogTest, ALaterWriteIsNotVisibleBeforeAnEarlierPendingSync) {
  Put(*store_, "k", "old");
  testing::WaitUntilIdle(*store_);
  std::promise<void> syncing;
  std::promise<void> go;
  std::atomic<bool> released = false;
  std::atomic<bool> once = false;
  machine_.fs->SetOperationHook([&](Operation operation, const std::filesystem::path& path) {
    if (operation != Operation::kSync || path.extension() != ".data" || once.exchange(true)) return;
    syncing.set_value();
    go.get_future().wait();
  });
  std::thread first([&] { Put(*store_, "k", "synced", Sync::kAlways); });
  syncing.get_future().wait();
  auto second = std::async(std::launch::async, [&] {
    Put(*store_, "k", "later", Sync::kNone);
    return released.load();
  });
  auto remove = std::async(std::launch::async, [&] {
    EXPECT_FALSE(Must(store_->Delete("never there", {})));
    return released.load();
  });
  EXPECT_EQ(second.wait_for(std::chrono::milliseconds(30)), std::future_status::timeout);
  EXPECT_EQ(Get(*store_, "k"), "old") << "what isn't durable yet must not be visible";
  released = true;
  go.set_value();
  first.join();
  EXPECT_TRUE(second.get());
  EXPECT_TRUE(remove.get());
  machine_.fs->SetOperationHook({});
  EXPECT_EQ(Get(*store_, "k"), "later");
}

// What a power cut leaves of bytes behind the last record, which stand for the pages that were made
// present there: they are written only where every write waits for a sync.
TEST(SyncAheadTest, PagesBehindTheRecordsAreSyncedOnlyWhereEveryWriteIs) {
  for (const Sync sync : {Sync::kNone, Sync::kInterval, Sync::kAlways}) {
    Machine machine;
    freyja::Options options = testing::SmallOptions();
    options.sync = sync;
    const auto store = Open(machine, options);
    Put(*store, "k", "v");
    testing::WaitUntilIdle(*store);
    store->maintenance().Stop();
    std::string path;
    store->segments().ForEach([&](Segment& segment) {
      if (segment.state() != SegmentState::kActive) return;
      path = segment.file().path();
      segment.log_mapping()->data()[segment.limit() - 1] = std::byte{1};
    });
    EXPECT_OK(store->Sync());
    const auto after = machine.AfterCrash(CrashOptions::Mode::kLoseAllUnsynced);
    const std::string text = io::testing::ReadAll(*after.fs, path);
    EXPECT_EQ(text.back(), sync == Sync::kAlways ? '\1' : '\0');
    EXPECT_NE(text.find('k', format::kSegmentHeaderBytes), std::string::npos);
  }
}

class FailedSyncTest : public LogTest {
 protected:
  void FailNextSync() {
    std::string active;
    for (const auto& segment : store_->GetSegments()) {
      if (segment.state == SegmentState::kActive) active = segment.file;
    }
    machine_.fs->InjectFault({.operations = {Operation::kSync},
                              .path_contains = "/" + active,
                              .status = Status(StatusCode::kIoError, "sync failed"),
                              .sync_drops_dirty = true});
  }
  // From now on nothing succeeds that promises durability, although the disk would say yes.
  void ExpectPoisoned() {
    store_->maintenance().Stop();  // it may be in the midst of a sync of its own
    const auto syncs = machine_.fs->OperationCount(Operation::kSync);
    EXPECT_EQ(store_->Put("k", "v", {.sync = Sync::kAlways}).code(), StatusCode::kReadOnly);
    EXPECT_EQ(store_->Put("k", "v", {}).code(), StatusCode::kReadOnly);
    EXPECT_EQ(store_->Delete("k", {}).error().code(), StatusCode::kReadOnly);
    EXPECT_EQ(store_->Sync().code(), StatusCode::kReadOnly);
    EXPECT_NE(store_->Sync().message().find("sync failed"), std::string::npos);
    EXPECT_EQ(store_->SealActive().code(), StatusCode::kReadOnly);
    EXPECT_TRUE(store_->GetStats().read_only);
    EXPECT_EQ(store_->GetStats().background_error.code(), StatusCode::kIoError);
    EXPECT_EQ(store_->Close().code(), StatusCode::kReadOnly);
    EXPECT_EQ(machine_.fs->OperationCount(Operation::kSync), syncs) << "nobody syncs after it";
  }
};

TEST_F(FailedSyncTest, PoisonsTheWriterForGoodCloseIncluded) {
  Put(*store_, "durable", "x", Sync::kAlways);
  testing::WaitUntilIdle(*store_);
  FailNextSync();
  EXPECT_EQ(store_->Put("lost", "x", {.sync = Sync::kAlways}).code(), StatusCode::kIoError);
  EXPECT_EQ(Get(*store_, "lost"), std::nullopt) << "never visible";
  EXPECT_EQ(Get(*store_, "durable"), "x") << "reads go on";
  ExpectPoisoned();
  store_.reset();
  for (const auto mode : {CrashOptions::Mode::kProcessKill, CrashOptions::Mode::kLoseAllUnsynced}) {
    const auto after = Open(machine_.AfterCrash(mode));
    EXPECT_EQ(Get(*after, "durable"), "x");
  }
}

TEST_F(FailedSyncTest, OfAnExplicitSyncPoisons) {
  Put(*store_, "k", "x");
  testing::WaitUntilIdle(*store_);
  FailNextSync();
  EXPECT_EQ(store_->Sync().code(), StatusCode::kIoError);
  ExpectPoisoned();
}

TEST_F(FailedSyncTest, OfACloseIsReportedAndLeavesTheStoreUnclean) {
  Put(*store_, "k", "x");
  testing::WaitUntilIdle(*store_);
  FailNextSync();
  EXPECT_EQ(store_->Close().code(), StatusCode::kIoError);
  store_.reset();
  const auto after = Open(machine_.AfterCrash(CrashOptions::Mode::kProcessKill));
  EXPECT_EQ(Get(*after, "k"), "x");
  EXPECT_EQ(after->GetStats().recovered_tail_records_copied, 1u);
}

TEST_F(FailedSyncTest, WhileSealingPoisons) {
  Write("k", 5);
  testing::WaitUntilIdle(*store_);
  FailNextSync();
  EXPECT_FALSE(store_->SealActive().ok());  // the background thread may have met it first
  ExpectPoisoned();
}

TEST_F(FailedSyncTest, OfManyConcurrentWritersAcknowledgesNone) {
  Put(*store_, "first", "x", Sync::kAlways);
  testing::WaitUntilIdle(*store_);
  FailNextSync();
  std::vector<std::thread> writers;
  std::atomic<int> acknowledged = 0;
  for (int t = 0; t < 4; ++t) {
    writers.emplace_back([&, t] {
      for (int i = 0; i < 20; ++i) {
        const std::string key = std::to_string(t) + "-" + std::to_string(i);
        if (store_->Put(key, "v", {.sync = Sync::kAlways}).ok()) ++acknowledged;
      }
    });
  }
  for (auto& writer : writers) writer.join();
  EXPECT_EQ(acknowledged, 0);
  ExpectPoisoned();
}

TEST_F(FailedSyncTest, OfTheDirectoryPoisonsWhoeverAsked) {
  Write("k", 5);
  testing::WaitUntilIdle(*store_);
  machine_.fs->InjectFault({.operations = {Operation::kSyncDirectory},
                            .status = Status(StatusCode::kIoError, "sync failed")});
  EXPECT_EQ(store_->SealActive().code(), StatusCode::kReadOnly);
  ExpectPoisoned();
}

// --- Batches --------------------------------------------------------------------------

TEST_F(LogTest, ABatchIsThereAsAWholeOrNotAtAllAfterAnyPowerCut) {
  Put(*store_, "before", "x", Sync::kAlways);
  WriteBatch batch;
  for (int i = 0; i < 10; ++i) batch.Put("b" + std::to_string(i), ValueOf("b", i, 300));
  batch.Delete("before");
  EXPECT_OK(store_->Write(batch, {}));
  int whole = 0;
  int none = 0;
  for (std::uint64_t seed = 0; seed < 60; ++seed) {
    Machine after;
    after.fs = machine_.fs->CrashImage(
        {.mode = CrashOptions::Mode::kRandom, .seed = seed, .keep_probability = 0.95});
    const auto contents = Contents(*Open(after));
    if (contents.contains("before")) {
      EXPECT_EQ(contents, (Model{{"before", "x"}}));
      ++none;
    } else {
      EXPECT_EQ(contents.size(), 10u);
      ++whole;
    }
  }
  EXPECT_GT(whole, 0);
  EXPECT_GT(none, 0);
}

}  // namespace
}  // namespace freyja::engine
