// Limits, locks, read-only stores, full disks: what a caller meets at the engine's door.
#include "engine/store.h"

#include <gtest/gtest.h>

#include <array>
#include <chrono>
#include <functional>
#include <future>
#include <thread>
#include <vector>

#include "engine/at_step.h"
#include "engine/cold_reads.h"
#include "engine/store_testing.h"

namespace freyja::engine {
namespace {

using io::CrashOptions;
using io::Operation;
#if defined(FREYJA_SCHEDULE_POINTS)
using testing::AtStep;
#endif
using testing::CodeOf;
using testing::Contents;
using testing::Delete;
using testing::FilesOf;
using testing::Get;
using testing::kPath;
using testing::Machine;
using testing::Model;
using testing::Must;
using testing::Open;
using testing::Put;
using testing::SmallOptions;
using testing::TryOpen;
using testing::ValueOf;

class StoreTest : public ::testing::Test {
 protected:
  static Options BigSegments() {
    Options options = SmallOptions();
    options.segment_bytes = 256 << 10;
    return options;
  }
  Machine machine_;
};

// --- Limits ---------------------------------------------------------------------------

TEST_F(StoreTest, AnEmptyKeyIsRefusedEverywhere) {
  const auto store = Open(machine_);
  std::string value;
  WriteBatch batch;
  batch.Put("good", "v");
  batch.Put("", "v");
  for (const Status& status :
       {store->Put("", "v", {}), store->Delete("", {}).error(), store->Get("", value).error(),
        store->GetPinned("").error(), store->Write(batch, {})}) {
    EXPECT_EQ(status.code(), StatusCode::kInvalidArgument);
    EXPECT_NE(status.message().find("empty"), std::string::npos);
  }
  EXPECT_EQ(Get(*store, "good"), std::nullopt) << "the whole batch is refused";
}

TEST_F(StoreTest, TheLongestKeyIsTakenAndOneByteMoreIsRefused) {
  const auto store = Open(machine_, BigSegments());
  const std::string longest(kMaxKeyBytes, 'k');
  Put(*store, longest, "v");
  EXPECT_EQ(Get(*store, longest), "v");
  const Status status = store->Put(longest + "k", "v", {});
  EXPECT_EQ(status.code(), StatusCode::kInvalidArgument);
  EXPECT_NE(status.message().find("65536"), std::string::npos);
  EXPECT_TRUE(Delete(*store, longest));
}

TEST_F(StoreTest, TheValueLimitIsExact) {
  for (const Options& options : {SmallOptions(), BigSegments()}) {
    Machine machine;
    const auto store = Open(machine, options);
    const std::string largest(store->max_value_bytes(), 'v');
    Put(*store, "k", largest);
    Put(*store, "k", largest, Sync::kAlways);  // the next record carries a watermark
    Put(*store, "k", largest, Sync::kNone, UINT64_MAX);
    EXPECT_EQ(Get(*store, "k"), largest);
    const Status status = store->Put("k", largest + "v", {});
    EXPECT_EQ(status.code(), StatusCode::kInvalidArgument);
    EXPECT_NE(status.message().find(std::to_string(largest.size())), std::string::npos);
    EXPECT_EQ(store->Put("kk", largest, {}).code(), StatusCode::kInvalidArgument);
    EXPECT_EQ(Get(*store, "k"), largest);
  }
}

TEST_F(StoreTest, ABatchLargerThanASegmentIsRefusedWhole) {
  const auto store = Open(machine_);
  WriteBatch batch;
  for (int i = 0; i < 4; ++i) batch.Put("k" + std::to_string(i), std::string(4096, 'v'));
  const Status status = store->Write(batch, {});
  EXPECT_EQ(status.code(), StatusCode::kInvalidArgument);
  EXPECT_NE(status.message().find("segment"), std::string::npos);
  EXPECT_TRUE(Contents(*store).empty());
  batch.Clear();
  for (int i = 0; i < 3; ++i) batch.Put("k" + std::to_string(i), std::string(4096, 'v'));
  EXPECT_OK(store->Write(batch, {}));
  EXPECT_EQ(Contents(*store).size(), 3u);
  EXPECT_OK(store->Write(WriteBatch(), {}));
}

TEST_F(StoreTest, EmptyValuesAreValues) {
  auto store = Open(machine_);
  Put(*store, "k", "");
  EXPECT_EQ(Get(*store, "k"), "");
  EXPECT_OK(store->Close());
  store.reset();
  EXPECT_EQ(Get(*Open(machine_), "k"), "");
}

TEST_F(StoreTest, AnUnknownSyncIsRefused) {
  const auto store = Open(machine_);
  EXPECT_EQ(store->Put("k", "v", {.sync = static_cast<Sync>(9)}).code(),
            StatusCode::kInvalidArgument);
  EXPECT_EQ(Get(*store, "k"), std::nullopt);
}

TEST_F(StoreTest, DeletingAMissingKeyWritesNothing) {
  const auto store = Open(machine_);
  Put(*store, "k", "v");
  const auto before = store->GetStats();
  EXPECT_FALSE(Delete(*store, "never there"));
  EXPECT_TRUE(Delete(*store, "k"));
  EXPECT_FALSE(Delete(*store, "k"));
  const auto after = store->GetStats();
  EXPECT_EQ(after.last_sequence, before.last_sequence + 1);
  EXPECT_EQ(after.deletes, before.deletes + 1);
}

TEST_F(StoreTest, ABatchAppliesItsOperationsInOrder) {
  const auto store = Open(machine_);
  WriteBatch batch;
  batch.Put("a", "1");
  batch.Delete("a");
  batch.Put("b", "1");
  batch.Put("b", "2");
  batch.Delete("c");
  batch.Put("c", "3");
  EXPECT_OK(store->Write(batch, {}));
  EXPECT_EQ(Contents(*store), (Model{{"b", "2"}, {"c", "3"}}));
}

TEST_F(StoreTest, AnExpiredRecordIsHiddenAndDeletingItSaysItWasNotThere) {
  const auto store = Open(machine_);
  Put(*store, "k", "v", Sync::kNone, machine_.clock->WallMs() + 5);
  EXPECT_EQ(Get(*store, "k"), "v");
  machine_.clock->Pass(5);
  EXPECT_EQ(Get(*store, "k"), std::nullopt);
  EXPECT_FALSE(Delete(*store, "k"));
}

// --- Opening --------------------------------------------------------------------------

TEST_F(StoreTest, AStoreIsOpenedForWritingOnce) {
  auto store = Open(machine_);
  EXPECT_EQ(CodeOf(TryOpen(machine_)), StatusCode::kBusy);
  Options reading = SmallOptions();
  reading.create_if_missing = false;
  reading.read_only = true;
  EXPECT_EQ(CodeOf(TryOpen(machine_, reading)), StatusCode::kBusy);
  store.reset();
  const auto one = Open(machine_, reading);
  const auto two = Open(machine_, reading);
  EXPECT_EQ(CodeOf(TryOpen(machine_)), StatusCode::kBusy);
}

TEST_F(StoreTest, AMissingStoreIsNotMadeUnlessAskedFor) {
  Options options = SmallOptions();
  options.create_if_missing = false;
  EXPECT_EQ(CodeOf(TryOpen(machine_, options)), StatusCode::kNotFound);
  EXPECT_FALSE(Must(machine_.fs->Exists(kPath)));
  EXPECT_OK(machine_.fs->CreateDirectory(kPath));
  EXPECT_EQ(CodeOf(TryOpen(machine_, options)), StatusCode::kNotFound);
  EXPECT_TRUE(Must(machine_.fs->List(kPath)).empty());
}

TEST_F(StoreTest, TheDirectoryOfAStoreThatIsFoundIsDurable) {
  std::vector<Machine> killed;
  const Machine machine;
  machine.fs->SetOperationHook([&](Operation, const std::filesystem::path&) {
    killed.push_back(machine.AfterCrash(CrashOptions::Mode::kProcessKill));
  });
  Open(machine).reset();
  machine.fs->SetOperationHook(nullptr);
  EXPECT_GT(killed.size(), 10u);
  for (const Machine& restarted : killed) {
    const auto store = Open(restarted);
    Put(*store, "key", "x", Sync::kAlways);
    Options options = testing::SmallOptions();
    options.create_if_missing = false;
    const auto found = TryOpen(restarted.AfterCrash(CrashOptions::Mode::kLoseAllUnsynced), options);
    ASSERT_TRUE(found.has_value()) << found.error().ToString();
    EXPECT_EQ(Get(**found, "key"), "x");
  }
}

TEST_F(StoreTest, ANewDirectoryThatCanNotBeMadeDurableIsNoStore) {
  Machine machine;
  const auto fail = [&](StatusCode code) {
    machine.fs->InjectFault(
        {.operations = {Operation::kSyncDirectory}, .status = Status(code, "injected")});
  };
  fail(StatusCode::kIoError);
  EXPECT_EQ(CodeOf(TryOpen(machine)), StatusCode::kIoError);
  EXPECT_FALSE(testing::FileExists(machine, "MANIFEST"));
  fail(StatusCode::kReadOnly);  // a parent that we may not open
  EXPECT_EQ(CodeOf(TryOpen(machine)), StatusCode::kOk);
  EXPECT_EQ(machine.fs->FaultsFired(), 2u);
}

TEST_F(StoreTest, ErrorIfExistsRefusesAStoreThatIsThere) {
  Open(machine_).reset();
  Options options = SmallOptions();
  options.error_if_exists = true;
  EXPECT_EQ(CodeOf(TryOpen(machine_, options)), StatusCode::kAlreadyExists);
}

TEST_F(StoreTest, SomebodyElsesDirectoryIsLeftAlone) {
  EXPECT_OK(machine_.fs->CreateDirectory(kPath));
  EXPECT_OK(machine_.fs->Overwrite(kPath / "letter.txt", {}));
  EXPECT_EQ(CodeOf(TryOpen(machine_)), StatusCode::kInvalidArgument);
  EXPECT_EQ(Must(machine_.fs->List(kPath)), std::vector<std::string>{"letter.txt"});
}

TEST_F(StoreTest, ReadOnlyChangesNoByte) {
  Options options = SmallOptions();
  options.create_if_missing = false;
  options.read_only = true;
  Model model;
  {
    auto store = Open(machine_);
    for (int i = 0; i < 300; ++i) {
      const std::string key = "k" + std::to_string(i % 90);
      Put(*store, key, model[key] = ValueOf(key, i));
    }
    EXPECT_OK(store->Sync());
    testing::WaitUntilIdle(*store);
    Put(*store, "last", model["last"] = "unsynced");
    const auto crashed = machine_.AfterCrash(CrashOptions::Mode::kProcessKill);
    EXPECT_OK(store->Close());
    store.reset();
    for (const Machine& machine : {machine_, crashed}) {
      EXPECT_OK(machine.fs->Overwrite(kPath / "99.hint", {}));  // unlisted; stays
      EXPECT_OK(machine.fs->Unlink(kPath / "1.hint"));          // not made again
      const auto before = FilesOf(machine);
      {
        const auto reader = Open(machine, options);
        EXPECT_EQ(Contents(*reader), model);
        EXPECT_EQ(reader->Put("k", "v", {}).code(), StatusCode::kReadOnly);
        EXPECT_EQ(reader->Delete("k", {}).error().code(), StatusCode::kReadOnly);
        EXPECT_EQ(reader->Sync().code(), StatusCode::kReadOnly);
        EXPECT_OK(reader->Close());
      }
      EXPECT_EQ(FilesOf(machine), before);
      // On a medium that takes no writes at all, too.
      machine.fs->MakeReadOnly(true);
      EXPECT_EQ(Contents(*Open(machine, options)), model);
      machine.fs->MakeReadOnly(false);
    }
  }
}

TEST_F(StoreTest, AfterCloseEveryCallSaysSo) {
  const auto store = Open(machine_);
  Put(*store, "k", "v");
  EXPECT_OK(store->Close());
  EXPECT_OK(store->Close());
  std::string value;
  EXPECT_EQ(store->Put("k", "v", {}).code(), StatusCode::kClosed);
  EXPECT_EQ(store->Delete("k", {}).error().code(), StatusCode::kClosed);
  EXPECT_EQ(CodeOf(store->Get("k", value)), StatusCode::kClosed);
  EXPECT_EQ(CodeOf(store->NewIterator()), StatusCode::kClosed);
  EXPECT_EQ(store->Sync().code(), StatusCode::kClosed);
}

#if defined(FREYJA_SCHEDULE_POINTS)

// Reading what a write replaces may take as long as a disk takes; once that has shown, nobody else
// waits for it.
TEST_F(StoreTest, OnAColdStoreAWriteLooksAtWhatItReplacesBeforeItsTurn) {
  const auto store = Open(machine_);
  WriteBatch batch;
  batch.Put("k", "batched");
  batch.Put("l", "batched");
  const std::vector<std::function<Status()>> writes = {
      [&] { return store->Put("k", "new", {}); },
      [&] { return store->Write(batch, {}); },
      [&] {
        const auto deleted = store->Delete("k", {});
        return deleted ? Status::Ok() : deleted.error();
      },
  };
  Put(*store, "k", "v");
  for (std::uint32_t i = 0; i < ColdReads::kEvery; ++i) {
    const AtStep slow("read.key", [] { std::this_thread::sleep_for(ColdReads::kDisk); });
    Put(*store, "k", "v");
  }
  for (const auto& write : writes) {
    std::future<Status> other;
    bool reached = false;
    const AtStep reading("read.key", [&] {
      reached = true;
      other = std::async(std::launch::async, [&] { return store->Put("other", "v", {}); });
      EXPECT_EQ(other.wait_for(std::chrono::seconds(10)), std::future_status::ready);
    });
    EXPECT_OK(write());
    ASSERT_TRUE(reached);
    EXPECT_OK(other.get());
  }
  EXPECT_EQ(Contents(*store), (Model{{"l", "batched"}, {"other", "v"}}));
}

TEST_F(StoreTest, ManyKeysAreReadIntoBuffersThatAreUsedAgain) {
  auto store = Open(machine_);
  for (int i = 0; i < 20; ++i) Put(*store, "k" + std::to_string(i), ValueOf("k", i));
  EXPECT_OK(store->Put("expired", "v", {.expires_at_ms = 1}));
  const std::string long_key(kMaxKeyBytes + 1, 'k');
  std::vector<std::string> keys;
  for (int i = 0; i < 40; ++i) keys.push_back("k" + std::to_string(i));
  keys.insert(keys.begin() + 17, {"expired", "", long_key});
  const std::vector<std::string_view> views(keys.begin(), keys.end());
  std::vector<std::string> values(keys.size(), std::string(1000, 'x'));
  const void* const first = values[0].data();
  const auto found = store->MultiGet(views, values);
  ASSERT_EQ(found.size(), keys.size());
  for (std::size_t i = 0; i < keys.size(); ++i) {
    if (keys[i].empty() || keys[i].size() > kMaxKeyBytes) {
      EXPECT_EQ(CodeOf(found[i]), StatusCode::kInvalidArgument);
      EXPECT_EQ(values[i], "");
      continue;
    }
    const auto one = Must(store->Get(keys[i], values.emplace_back()));
    EXPECT_EQ(Must(found[i]), one) << keys[i];
    EXPECT_EQ(values[i], values.back()) << keys[i];
    values.pop_back();
  }
  EXPECT_EQ(Must(found[0]), true);
  EXPECT_EQ(values[0].data(), first) << "its memory was there";

  const auto too_few = store->MultiGet(views, std::span(values).first(2));
  ASSERT_EQ(too_few.size(), keys.size());
  for (const auto& each : too_few) EXPECT_EQ(CodeOf(each), StatusCode::kInvalidArgument);
  EXPECT_NE(values[0], "") << "nothing is changed";
  EXPECT_OK(store->Close());
  for (const auto& each : store->MultiGet(views, values)) {
    EXPECT_EQ(CodeOf(each), StatusCode::kClosed);
  }
  for (const std::string& value : values) EXPECT_EQ(value, "");
}

#if defined(FREYJA_SCHEDULE_POINTS)

// The key is there at every moment, so no read may miss it.
TEST_F(StoreTest, ARecordThatWasReplacedBeforeItExpiredIsNotMissed) {
  for (const bool many : {false, true}) {
    auto store = Open(machine_);
    const std::uint64_t expiry = machine_.clock->WallMs() + 1000;
    EXPECT_OK(store->Put("k", "first", {.expires_at_ms = expiry}));
    const AtStep reading("read.key", [&] {
      std::thread([&] { Put(*store, "k", "second"); }).join();
      machine_.clock->Pass(2000);
    });
    std::vector<std::string> values(1);
    const std::array<std::string_view, 1> keys{"k"};
    const auto found = many ? store->MultiGet(keys, values).at(0) : store->Get("k", values[0]);
    EXPECT_TRUE(Must(found)) << many;
    EXPECT_EQ(values[0], "second");
    EXPECT_OK(store->Close());
  }
}

#endif

// A listener's, for one. An answer of success would be a promise that the clean mark breaks.
TEST_F(StoreTest, AWriteThatComesTooLateForTheCloseIsRefused) {
  for (const bool is_delete : {false, true}) {
    auto store = Open(machine_);
    Put(*store, "k", "v");
    {
      const AtStep close("writer.queue",
                         [&] { std::thread([&] { EXPECT_OK(store->Close()); }).join(); });
      if (is_delete) {
        EXPECT_EQ(CodeOf(store->Delete("k", {})), StatusCode::kClosed);
      } else {
        EXPECT_EQ(store->Put("late", std::string(10'000, 'x'), {}).code(), StatusCode::kClosed);
      }
    }
    store.reset();
    store = Open(machine_);
    EXPECT_EQ(store->GetStats().recovered_tail_records_copied, 0u);
    EXPECT_EQ(Contents(*store), (Model{{"k", "v"}}));
  }
}

#endif

// --- Full disks -----------------------------------------------------------------------

class FullDiskTest : public StoreTest {
 protected:
  FullDiskTest() {
    machine_.fs->SetCapacity(1 << 20);
    store_ = Open(machine_);
    Status status;
    for (int i = 0; status.ok() && i < 20'000; ++i) {
      const std::string key = "k" + std::to_string(i);
      status = store_->Put(key, ValueOf(key, 1), {});
      if (status.ok()) model_[key] = ValueOf(key, 1);
    }
    EXPECT_EQ(status.code(), StatusCode::kNoSpace);
    EXPECT_TRUE(status.message().contains("full") || status.message().contains("no space"));
  }
  std::unique_ptr<Store> store_;
  Model model_;
};

TEST_F(FullDiskTest, PutsFailAndReadsGoOnAndNothingIsLost) {
  EXPECT_EQ(store_->Put("more", ValueOf("more", 1), {}).code(), StatusCode::kNoSpace);
  EXPECT_EQ(Contents(*store_), model_);
  EXPECT_FALSE(store_->GetStats().read_only);
  testing::ExpectConsistent(*store_);
}

TEST_F(FullDiskTest, DeletesWork) {
  for (int i = 0; i < 300; ++i) {
    const std::string key = "k" + std::to_string(i);
    ASSERT_TRUE(Delete(*store_, key));
    model_.erase(key);
  }
  EXPECT_EQ(Contents(*store_), model_);
  testing::ExpectConsistent(*store_);
}

TEST_F(FullDiskTest, TheStoreOpensAgainAfterACloseAndAfterACrash) {
  Delete(*store_, "k1");
  model_.erase("k1");
  for (const auto mode : {CrashOptions::Mode::kProcessKill, CrashOptions::Mode::kRandom}) {
    EXPECT_OK(store_->Sync());
    const auto after = Open(machine_.AfterCrash(mode, 5));
    EXPECT_EQ(Contents(*after), model_);
    EXPECT_FALSE(after->GetStats().read_only) << "so that compaction can make room";
  }
  EXPECT_OK(store_->Close());
  store_.reset();
  store_ = Open(machine_);
  EXPECT_EQ(Contents(*store_), model_);
  EXPECT_TRUE(Delete(*store_, "k3"));
}

TEST_F(FullDiskTest, PutsGoOnWhenThereIsRoomAgain) {
  machine_.fs->SetCapacity(8 << 20);
  for (int i = 0; i < 100; ++i) {
    const std::string key = "again" + std::to_string(i);
    Put(*store_, key, model_[key] = ValueOf(key, 1));
  }
  EXPECT_EQ(Contents(*store_), model_);
}

TEST_F(StoreTest, NoSpaceAtAnyOperationOfWritingLosesNothingAcknowledged) {
  bool hit = true;
  for (std::uint64_t n = 0; hit; n += 3) {
    SCOPED_TRACE(n);
    Machine machine;
    auto store = Open(machine);
    machine.fs->InjectFault(
        {.operations = {Operation::kCreate, Operation::kAllocate, Operation::kWrite},
         .skip = n,
         .status = Status(StatusCode::kNoSpace, "injected")});
    Model model;
    for (int i = 0; i < 400; ++i) {
      const std::string key = "k" + std::to_string(i);
      const Status status = store->Put(key, ValueOf(key, 1), {});
      if (status.ok()) model[key] = ValueOf(key, 1);
      EXPECT_TRUE(status.ok() || status.code() == StatusCode::kNoSpace) << status.ToString();
    }
    hit = machine.fs->FaultsFired() != 0;
    EXPECT_EQ(Contents(*store), model);
    EXPECT_FALSE(store->GetStats().read_only);
    const Machine after = machine.AfterCrash(CrashOptions::Mode::kProcessKill);
    EXPECT_OK(store->Close());
    store.reset();
    EXPECT_EQ(Contents(*Open(machine)), model);
    EXPECT_EQ(Contents(*Open(after)), model);
    if (::testing::Test::HasFailure()) return;
  }
}

}  // namespace
}  // namespace freyja::engine
