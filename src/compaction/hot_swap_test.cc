// The swap under live use: writers, readers, pins and iterators that overlap it.
#include <gtest/gtest.h>

#include <optional>
#include <random>
#include <set>

#include "compaction/compaction_testing.h"
#include "compaction/job_manager.h"
#include "engine/segment_file.h"

namespace freyja::compaction {
namespace {

using engine::testing::Contents;
using engine::testing::WaitUntil;
using io::Operation;
using testing::Before;
using testing::CodeOf;
using testing::Fixture;
using testing::Get;
using testing::kPath;
using testing::Model;
using testing::Must;
using testing::ValueOf;

// Moments of a job, by the operation that comes next.
struct Moment {
  const char* name;
  Operation operation;
  const char* path;
};
const Moment kMoments[] = {
    {"FirstCopy", Operation::kCreate, ".data"},
    {"AfterTheLastCopy", Operation::kCreate, ".hint"},
    {"AfterTheLastDecision", Operation::kMap, ".data"},
    {"Commit", Operation::kRename, "MANIFEST"},
};

class AtMoment : public ::testing::TestWithParam<Moment> {
 protected:
  void Do(std::function<void()> action) {
    Before(*f_.machine.fs, GetParam().operation, GetParam().path, std::move(action));
  }
  // After the commit, before the first location is published.
  void DoBetweenCommitAndPublish(std::function<void()> action) {
    Before(*f_.machine.fs, Operation::kRename, "MANIFEST", [this, action = std::move(action)] {
      Before(*f_.machine.fs, Operation::kSyncDirectory, "", action);
    });
  }
  Fixture f_;
};

std::string MomentName(const ::testing::TestParamInfo<Moment>& info) { return info.param.name; }
INSTANTIATE_TEST_SUITE_P(Moments, AtMoment, ::testing::ValuesIn(kMoments), MomentName);

class HotSwapTest : public AtMoment {};

TEST_P(AtMoment, AnOverwriteWinsOverTheCopyAndADeletedKeyStaysDeleted) {
  f_.MakeGarbage("k", 5);  // k5 to k9 are copied
  bool done = false;
  Do([&] {
    f_.Put("k5", "newer");
    f_.Delete("k6");
    f_.Delete("k7");
    f_.Put("k7", "back again");
    done = true;
  });
  f_.MustCompact({.min_space_saving = 0.3});
  f_.machine.fs->SetOperationHook({});
  ASSERT_TRUE(done);
  EXPECT_EQ(Get(*f_.store, "k5"), "newer");
  EXPECT_EQ(Get(*f_.store, "k6"), std::nullopt);
  f_.ExpectModelForGood();
}

TEST_P(AtMoment, AnIteratorOpenedThenSeesItsPointInTimeThroughLaterSwaps) {
  f_.MakeGarbage("k", 5);
  std::unique_ptr<engine::IteratorImpl> iterator;
  Model then;
  Do([&] {
    iterator = Must(f_.store->NewIterator());
    then = f_.model;
  });
  f_.MustCompact({.min_space_saving = 0.3});
  f_.machine.fs->SetOperationHook({});
  ASSERT_NE(iterator, nullptr);
  for (int round = 0; round < 3; ++round) {
    f_.PutMany("k", 10, 10 + round);
    f_.Delete("k" + std::to_string(round));
    f_.MustCompact(Fixture::Everything());
    f_.store->reaper().Collect();
  }
  Model seen;
  for (iterator->Next(); iterator->valid(); iterator->Next()) {
    seen.emplace(iterator->record().key, iterator->record().value);
  }
  EXPECT_OK(iterator->status());
  EXPECT_EQ(seen, then);
  EXPECT_GT(f_.store->GetStats().retired_segments, 0u) << "held until the iterator closes";
  EXPECT_EQ(f_.store->GetStats().open_snapshots, 1u);
  iterator.reset();
  WaitUntil([&] {
    f_.store->maintenance().Wake();
    return f_.store->GetStats().retired_segments == 0;
  });
  f_.ExpectModelForGood();
}

TEST_P(AtMoment, APinnedValueStaysAndItsFileGoesWithThePin) {
  f_.MakeGarbage("k", 5);
  const auto victim = f_.store->GetSegments().front().id;
  std::unique_ptr<engine::PinnedRecord> pin;
  std::string_view value;
  Do([&] {
    auto found = Must(f_.store->GetPinned("k9"));
    pin = std::move(found->pin);
    value = found->value;
  });
  f_.MustCompact({.min_space_saving = 0.3});
  f_.machine.fs->SetOperationHook({});
  f_.PutMany("k", 10, 3);
  f_.MustCompact(Fixture::Everything());
  f_.store->reaper().Collect();
  EXPECT_TRUE(f_.HasFile(victim));
  ASSERT_NE(pin, nullptr);
  EXPECT_EQ(value, ValueOf("k9", 1));
  pin.reset();
  WaitUntil([&] {
    f_.store->maintenance().Wake();
    return !f_.HasFile(victim);
  });
}

TEST_F(HotSwapTest, WritesBetweenCommitAndPublicationWin) {
  f_.MakeGarbage("k", 5);
  bool done = false;
  DoBetweenCommitAndPublish([&] {
    f_.Put("k5", "newer");
    f_.Delete("k6");
    EXPECT_EQ(Contents(*f_.store), f_.model);
    done = true;
  });
  f_.MustCompact({.min_space_saving = 0.3});
  f_.machine.fs->SetOperationHook({});
  ASSERT_TRUE(done);
  f_.ExpectModelForGood();
}

TEST_F(HotSwapTest, ASnapshotOpenedBetweenCommitAndPublicationHoldsTheVictims) {
  f_.MakeGarbage("k", 5);
  const auto victim = f_.store->GetSegments().front().id;
  std::unique_ptr<engine::IteratorImpl> iterator;
  DoBetweenCommitAndPublish([&] {
    iterator = Must(f_.store->NewIterator());
    f_.Put("k9", "newer");  // saves the location in the victim
  });
  f_.MustCompact({.min_space_saving = 0.3});
  f_.machine.fs->SetOperationHook({});
  f_.store->reaper().Collect();
  EXPECT_TRUE(f_.HasFile(victim));
  Model seen;
  for (iterator->Next(); iterator->valid(); iterator->Next()) {
    seen.emplace(iterator->record().key, iterator->record().value);
  }
  EXPECT_OK(iterator->status());
  Model then = f_.model;
  then["k9"] = ValueOf("k9", 1);
  EXPECT_EQ(seen, then);
}

TEST_F(HotSwapTest, ASnapshotKeepsAPutWhoseTombstoneIsDropped) {
  f_.Put("k", "still seen");
  f_.Put("other", "x");
  const auto iterator = Must(f_.store->NewIterator());
  f_.Delete("k");
  f_.MustCompact(Fixture::Everything());
  f_.store->reaper().Collect();
  Model seen;
  for (iterator->Next(); iterator->valid(); iterator->Next()) {
    seen.emplace(iterator->record().key, iterator->record().value);
  }
  EXPECT_OK(iterator->status());
  EXPECT_EQ(seen, (Model{{"k", "still seen"}, {"other", "x"}}));
  EXPECT_EQ(Get(*f_.store, "k"), std::nullopt);
}

TEST_F(HotSwapTest, APinHoldsItsOwnSegmentAndNoOther) {
  f_.PutMany("a", 10, 1);
  const auto held = f_.Seal();
  f_.PutMany("b", 10, 1);
  const auto free = f_.Seal();
  f_.PutMany("a", 9, 2);
  f_.PutMany("b", 9, 2);
  const auto pin = std::move(Must(f_.store->GetPinned("a9"))->pin);
  f_.MustCompact({.min_space_saving = 0.5});
  WaitUntil([&] {
    f_.store->maintenance().Wake();
    return !f_.HasFile(free);
  });
  EXPECT_TRUE(f_.HasFile(held));
  for (const auto& segment : f_.store->GetSegments()) {
    EXPECT_EQ(segment.pins, segment.id == held ? 1u : 0u) << segment.file;
  }
}

TEST_F(HotSwapTest, RetiredSegmentsAreNeverVictimsAgain) {
  f_.MakeGarbage("k", 9);
  auto iterator = Must(f_.store->NewIterator());
  std::set<std::string> taken;
  for (int round = 0; round < 5; ++round) {
    f_.PutMany("k", 10, round);
    for (const std::string& input : f_.MustCompact(Fixture::Everything()).input_files) {
      EXPECT_TRUE(taken.insert(input).second) << input;
    }
  }
  EXPECT_GE(f_.store->GetStats().retired_segments, taken.size());
  iterator.reset();
}

TEST_F(HotSwapTest, TheSegmentsBeingWrittenAreNoVictims) {
  f_.PutMany("k", 10, 1);
  f_.PutMany("k", 10, 2);  // garbage, but in the active segment
  EXPECT_FALSE(Must(f_.Compact({.min_space_saving = 0.0})).ran);
}

TEST_F(HotSwapTest, ConcurrentJobsRetireEachVictimOnce) {
  testing::EventLog log;
  f_.events.Add(log.Listener());
  {
    JobManager manager(*f_.store, f_.events);
    for (int round = 0; round < 5; ++round) {
      f_.MakeGarbage("k", 9);
      std::vector<std::shared_ptr<JobState>> submitted;
      base::Mutex mutex;
      std::vector<std::thread> compactors;
      for (int i = 0; i < 2; ++i) {
        compactors.emplace_back([&] {
          for (int n = 0; n < 3; ++n) {
            auto job = Must(manager.Submit({.min_space_saving = 0.01}));
            base::MutexLock lock(mutex);
            submitted.push_back(std::move(job));
          }
        });
      }
      for (auto& compactor : compactors) compactor.join();
      for (const auto& job : submitted) EXPECT_TRUE(job->Wait().has_value());
    }
    WaitUntil([&] {
      f_.store->maintenance().Wake();
      return f_.store->GetStats().retired_segments == 0;
    });
  }
  f_.events.Shutdown();
  std::set<std::string> retired;
  for (const auto& event : log.All()) {
    if (event.type != CompactionEventType::kRetired) continue;
    for (const std::string& file : event.input_files) EXPECT_TRUE(retired.insert(file).second);
  }
  EXPECT_GE(retired.size(), 5u);
  f_.ExpectModelForGood();
}

TEST_F(HotSwapTest, BatchRecordsAreCopiedWithoutTheirFlags) {
  WriteBatch batch;
  for (int i = 0; i < 6; ++i) {
    batch.Put("b" + std::to_string(i), ValueOf("b", i));
    f_.model["b" + std::to_string(i)] = ValueOf("b", i);
  }
  EXPECT_OK(f_.store->Write(batch, {}));
  f_.Seal();
  f_.Put("b5", "overwrites the closing record");
  f_.Put("b0", "and the opening one");
  const auto report = f_.MustCompact(Fixture::Everything());
  const format::Manifest manifest = f_.store->manifest().Current();
  int seen = 0;
  for (const auto& sealed : manifest.sealed) {
    const format::SegmentIdentity identity{manifest.store, sealed.id, sealed.nonce};
    const auto file = Must(engine::OpenDataFile(f_.store->directory(), identity,
                                                manifest.generation, /*writable=*/false));
    EXPECT_OK(engine::ScanSealed(*file, identity, sealed, [&](const engine::ScannedRecord& one) {
      EXPECT_FALSE(one.record.begins_batch || one.record.ends_batch) << one.record.key;
      ++seen;
      return Status::Ok();
    }));
  }
  EXPECT_GE(seen, 6);
  f_.ExpectModelForGood();
  f_.Crash(io::CrashOptions::Mode::kLoseAllUnsynced);
  f_.ExpectModel();
}

TEST_F(HotSwapTest, WhatJustifiedADropIsDurableWhenTheDropIs) {
  f_.PutMany("k", 10, 1);
  f_.Seal();
  EXPECT_OK(f_.store->Sync());
  f_.PutMany("k", 9, 2);  // nobody asked for a sync of these
  f_.Delete("k9");
  f_.MustCompact({.min_space_saving = 0.5});
  f_.Crash(io::CrashOptions::Mode::kLoseAllUnsynced);
  f_.ExpectModel();
}

TEST_F(HotSwapTest, ADamagedRecordOfAVictimAbortsAndIsNamed) {
  f_.MakeGarbage("k", 5);
  engine::testing::WaitUntilIdle(*f_.store);
  const auto victim = f_.store->GetSegments().front();
  const auto before = engine::testing::FilesOf(f_.machine);
  const std::uint64_t record = victim.record_bytes / victim.records;
  const std::uint64_t offset = 64 + 7 * record;  // k7, live
  EXPECT_OK(f_.machine.fs->Corrupt(kPath / victim.file, offset + 40, std::byte{1}));
  const auto result = f_.Compact({.min_space_saving = 0.3});
  ASSERT_EQ(CodeOf(result), StatusCode::kCorruption);
  EXPECT_NE(result.error().message().find(victim.file + ": offset " + std::to_string(offset)),
            std::string::npos)
      << result.error().message();
  EXPECT_EQ(f_.store->GetStats().background_error.code(), StatusCode::kCorruption);

  EXPECT_OK(f_.machine.fs->Corrupt(kPath / victim.file, offset + 40, std::byte{1}));
  EXPECT_EQ(engine::testing::FilesOf(f_.machine), before) << "untouched, and nothing left behind";
  EXPECT_OK(f_.machine.fs->Corrupt(kPath / victim.file, offset + 40, std::byte{1}));
  std::string value;
  EXPECT_EQ(CodeOf(f_.store->Get("k7", value)), StatusCode::kCorruption);
  for (const int i : {0, 5, 6, 8, 9}) {
    const std::string key = "k" + std::to_string(i);
    EXPECT_EQ(Get(*f_.store, key), f_.model[key]);
  }
  f_.Put("k0", "goes on");
}

TEST_F(HotSwapTest, ADamagedDeadRecordAbortsToo) {
  f_.MakeGarbage("k", 5);
  const auto victim = f_.store->GetSegments().front();
  EXPECT_OK(f_.machine.fs->Corrupt(kPath / victim.file, 64 + 40, std::byte{1}));
  EXPECT_EQ(CodeOf(f_.Compact({.min_space_saving = 0.3})), StatusCode::kCorruption);
  EXPECT_EQ(Contents(*f_.store), f_.model);
}

TEST_F(HotSwapTest, RandomWritesAndCompactionsKeepContentsAndLiveCounts) {
  std::mt19937_64 dice(7);
  for (int round = 0; round < 40; ++round) {
    for (int i = 0; i < 60; ++i) {
      const std::string key = "k" + std::to_string(dice() % 80);
      if (dice() % 4 == 0) {
        f_.Delete(key);
      } else {
        f_.Put(key, ValueOf(key, static_cast<int>(dice() % 1000), dice() % 400));
      }
    }
    static_cast<void>(Must(f_.Compact({.min_space_saving = 0.1, .seal_active = dice() % 2 == 0})));
    f_.ExpectModel();
    if (round % 10 == 9) f_.Reopen();
  }
  f_.ExpectModelForGood();
}

}  // namespace
}  // namespace freyja::compaction
