// Compactions that are taken back: what returns, what stays, and when it is too late.
#include "compaction/undo.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <memory>
#include <string>
#include <vector>

#include "compaction/compaction_testing.h"
#include "compaction/steps.h"

namespace freyja::compaction {
namespace {

using std::chrono::hours;
using std::chrono::seconds;
using testing::CodeOf;
using testing::EventLog;
using testing::Fixture;
using testing::Get;
using testing::Must;
using testing::ValueOf;

Status StatusOf(const Result<CompactionReport>& result) {
  return result ? Status::Ok() : result.error();
}

class UndoTest : public ::testing::Test {
 protected:
  UndoTest() { Configure({.keep_for = hours(1)}); }
  void Configure(const QuarantineOptions& quarantine) {
    f_.options.quarantine = quarantine;
    f_.Reopen();
  }

  Result<CompactionReport> Compact(HotSwapConfig config = {.min_space_saving = 0.25}) {
    JobState state(++f_.jobs, std::move(config));
    return RunInSteps(*f_.store, *f_.expiry, f_.events, state);
  }
  // A job that is expected to have worked; its id.
  std::uint64_t MustCompact(HotSwapConfig config = {.min_space_saving = 0.25}) {
    const CompactionReport report = Must(Compact(std::move(config)));
    EXPECT_TRUE(report.ran) << report.reason;
    return report.job_id;
  }
  Result<CompactionReport> Undo(std::uint64_t job_id) {
    JobState state(++f_.jobs, {}, std::make_shared<Throttle>(), job_id);
    return UndoJob(*f_.store, f_.events, state).Run();
  }
  std::vector<std::uint64_t> InState(SegmentState wanted) const {
    std::vector<std::uint64_t> ids;
    for (const SegmentInfo& segment : f_.store->GetSegments()) {
      if (segment.state == wanted) ids.push_back(segment.id);
    }
    return ids;
  }
  std::unique_ptr<engine::Store::Pinned> Pin(const std::string& key) {
    auto pinned = Must(f_.store->GetPinned(key));
    EXPECT_TRUE(pinned.has_value());
    return std::make_unique<engine::Store::Pinned>(*std::move(pinned));
  }
  void PowerCut() {
    f_.Crash(io::CrashOptions::Mode::kLoseAllUnsynced);
    f_.ExpectModel();
  }

  Fixture f_;
};

TEST_F(UndoTest, WhatACompactionReplacedIsBackAndWhatItWroteIsGone) {
  f_.MakeGarbage("k", 9);
  const auto before = InState(SegmentState::kSealed);
  const std::uint64_t job = MustCompact();
  f_.ExpectModel();
  EXPECT_EQ(InState(SegmentState::kQuarantined), std::vector{before.front()});
  EXPECT_EQ(f_.store->GetStats().quarantined_segments, 1u);
  EXPECT_GT(f_.store->GetStats().quarantined_bytes, 0u);

  const CompactionReport report = Must(Undo(job));
  EXPECT_TRUE(report.ran);
  EXPECT_LT(report.space_saved, 0);
  EXPECT_EQ(report.output_files, std::vector{format::DataFileName(before.front())});
  EXPECT_EQ(InState(SegmentState::kSealed), before);
  EXPECT_EQ(f_.store->GetStats().quarantined_segments, 0u);
  engine::testing::WaitUntilIdle(*f_.store);
  for (const std::string& output : report.input_files) {
    EXPECT_FALSE(engine::testing::FileExists(f_.machine, output)) << output;
  }
  f_.ExpectModelForGood();
  PowerCut();
}

TEST_F(UndoTest, AnIndexImageSpeaksOfTheSegmentsThatAreNotInQuarantine) {
  f_.MakeGarbage("k", 9);
  f_.PutMany("log", 5, 1);
  const std::uint64_t job = MustCompact();
  f_.Reopen();
  EXPECT_TRUE(f_.store->index_from_image());
  f_.ExpectModel();
  EXPECT_OK(StatusOf(Undo(job)));
  f_.Reopen();
  EXPECT_TRUE(f_.store->index_from_image());
  f_.ExpectModel();
  MustCompact(Fixture::Everything());
  f_.Reopen();
  EXPECT_TRUE(f_.store->index_from_image());
  f_.ExpectModelForGood();
}

TEST_F(UndoTest, TheStoreCanBeCompactedAgainAfterwards) {
  f_.MakeGarbage("k", 9);
  for (int round = 0; round < 3; ++round) {
    EXPECT_OK(StatusOf(Undo(MustCompact())));
    f_.ExpectModel();
  }
  MustCompact();
  f_.ExpectModelForGood();
}

TEST_F(UndoTest, WritesMadeSinceStay) {
  f_.MakeGarbage("k", 5);
  const std::uint64_t job = MustCompact();
  f_.Put("k7", "newer");
  f_.Delete("k8");
  f_.Put("new", "value");
  EXPECT_OK(StatusOf(Undo(job)));
  f_.ExpectModelForGood();
  PowerCut();
}

TEST_F(UndoTest, AKeyOverwrittenWhileItIsUndoneIsNotPutBack) {
  f_.MakeGarbage("k", 5);
  const std::uint64_t job = MustCompact();
  testing::Before(*f_.machine.fs, io::Operation::kRename, "MANIFEST", [&] {
    f_.Put("k7", "newer");
    f_.Delete("k8");
  });
  EXPECT_OK(StatusOf(Undo(job)));
  f_.machine.fs->SetOperationHook({});
  f_.ExpectModelForGood();
}

// Trap 1 with an undo: the tombstone's only reason to stay is in quarantine.
TEST_F(UndoTest, ATombstoneStaysAsLongAsWhatItHidesCanComeBack) {
  f_.MakeGarbage("k", 5);
  f_.Delete("k9");
  f_.PutMany("k", 8, 3);
  f_.Seal();
  const std::uint64_t older = MustCompact();  // "k9" is gone, "k8" is in the output
  f_.Delete("k8");
  MustCompact(Fixture::Everything());  // the tombstones must not be
  EXPECT_EQ(Get(*f_.store, "k9"), std::nullopt);
  f_.ExpectModelForGood();
  EXPECT_EQ(CodeOf(Undo(older)), StatusCode::kAborted) << "its output was compacted";
  f_.ExpectModel();
}

TEST_F(UndoTest, JobsAreUndoneInTheOppositeOrder) {
  f_.MakeGarbage("k", 5);
  f_.Delete("k9");
  const std::uint64_t first = MustCompact({.min_space_saving = 0, .seal_active = true});
  f_.PutMany("k", 8, 4);
  const std::uint64_t second = MustCompact({.min_space_saving = 0, .seal_active = true});
  EXPECT_EQ(CodeOf(Undo(first)), StatusCode::kAborted);
  EXPECT_OK(StatusOf(Undo(second)));
  f_.ExpectModel();
  EXPECT_OK(StatusOf(Undo(first)));
  f_.ExpectModelForGood();
  PowerCut();
  MustCompact(Fixture::Everything());
  f_.ExpectModelForGood();
}

TEST_F(UndoTest, AllStepsOfAJobAreUndoneTogether) {
  for (const char* prefix : {"a", "b", "c"}) f_.MakeGarbage(prefix, 5);
  const auto before = InState(SegmentState::kSealed);
  const std::uint64_t job = MustCompact({.min_space_saving = 0.25, .step_bytes = 1});
  EXPECT_EQ(InState(SegmentState::kQuarantined).size(), 3u);
  EXPECT_EQ(f_.store->quarantine().Jobs().size(), 1u);
  EXPECT_OK(StatusOf(Undo(job)));
  EXPECT_EQ(InState(SegmentState::kSealed), before);
  f_.ExpectModelForGood();
}

TEST_F(UndoTest, QuarantineOutlivesAReopen) {
  f_.MakeGarbage("k", 9);
  const std::uint64_t job = MustCompact();
  f_.options.quarantine = {};  // whoever opens it need not want any
  f_.Reopen();
  f_.ExpectModel();
  EXPECT_EQ(InState(SegmentState::kQuarantined).size(), 1u);
  PowerCut();
  EXPECT_OK(StatusOf(Undo(job)));
  f_.ExpectModelForGood();
}

TEST_F(UndoTest, WithoutQuarantineNothingIsKept) {
  Configure({});
  f_.MakeGarbage("k", 9);
  const std::uint64_t job = MustCompact();
  EXPECT_TRUE(f_.store->quarantine().empty());
  EXPECT_EQ(CodeOf(Undo(job)), StatusCode::kNotFound);
  f_.ExpectModel();
}

TEST_F(UndoTest, ItEndsWhenItsTimeIsOver) {
  f_.MakeGarbage("k", 9);
  const auto victim = InState(SegmentState::kSealed).front();
  const std::uint64_t job = MustCompact();
  engine::testing::WaitUntilIdle(*f_.store);
  EXPECT_TRUE(f_.HasFile(victim));
  f_.machine.clock->Pass(3'600'000);
  engine::testing::WaitUntil([&] {
    f_.store->maintenance().Wake();
    return !f_.HasFile(victim);
  });
  EXPECT_TRUE(f_.store->quarantine().empty());
  EXPECT_EQ(CodeOf(Undo(job)), StatusCode::kNotFound);
  f_.ExpectModelForGood();
}

TEST_F(UndoTest, TheOldestJobsLeaveWhenTheBudgetIsFull) {
  f_.MakeGarbage("a", 9);
  const std::uint64_t bytes = f_.store->GetSegments().front().file_bytes;
  Configure({.max_bytes = bytes + bytes / 2});
  const std::uint64_t first = MustCompact();
  const auto kept = InState(SegmentState::kQuarantined);
  f_.MakeGarbage("b", 9);
  const std::uint64_t second = MustCompact();
  engine::testing::WaitUntilIdle(*f_.store);
  EXPECT_EQ(CodeOf(Undo(first)), StatusCode::kNotFound);
  EXPECT_FALSE(f_.HasFile(kept.front()));
  EXPECT_OK(StatusOf(Undo(second)));
  f_.ExpectModelForGood();
}

TEST_F(UndoTest, AJobLargerThanTheBudgetIsGivenUpWhole) {
  // The third step is too much; the fourth alone would fit.
  for (const char* prefix : {"a", "b", "c", "d"}) f_.MakeGarbage(prefix, 5);
  const std::uint64_t bytes = f_.store->GetSegments().front().file_bytes;
  Configure({.max_bytes = 2 * bytes + bytes / 2});
  const CompactionReport report = Must(Compact({.min_space_saving = 0.25, .step_bytes = 1}));
  const std::uint64_t job = report.job_id;
  EXPECT_EQ(report.steps, 4u);
  engine::testing::WaitUntilIdle(*f_.store);
  EXPECT_TRUE(f_.store->quarantine().empty()) << "some of four steps can't be undone";
  EXPECT_EQ(InState(SegmentState::kQuarantined).size(), 0u);
  EXPECT_EQ(CodeOf(Undo(job)), StatusCode::kNotFound);
  f_.ExpectModelForGood();
}

TEST_F(UndoTest, AJobGivenUpBetweenItsStepsIsNotKeptInPart) {
  for (const char* prefix : {"a", "b", "c"}) f_.MakeGarbage(prefix, 5);
  engine::testing::WaitUntilIdle(*f_.store);
  int outputs = 0;
  f_.machine.fs->SetOperationHook([&](io::Operation operation, const std::filesystem::path& path) {
    if (operation != io::Operation::kCreate || path.extension() != ".data") return;
    // The first step is committed when the second writes.
    if (++outputs == 2) EXPECT_OK(f_.store->quarantine().GiveUp(f_.jobs));
  });
  const std::uint64_t job = MustCompact({.min_space_saving = 0.25, .step_bytes = 1});
  f_.machine.fs->SetOperationHook({});
  EXPECT_EQ(outputs, 3);
  EXPECT_TRUE(f_.store->quarantine().empty()) << "two of three steps can't be undone";
  EXPECT_EQ(CodeOf(Undo(job)), StatusCode::kNotFound);
  f_.ExpectModelForGood();
}

TEST_F(UndoTest, ATimeLimitBeyondTheEndOfTimeIsNotOneInThePast) {
  Configure({.keep_for = seconds::max()});
  f_.MakeGarbage("k", 9);
  const std::uint64_t job = MustCompact();
  EXPECT_EQ(f_.store->quarantine().Jobs().front().keep_until_ms, UINT64_MAX);
  EXPECT_OK(StatusOf(Undo(job)));
}

// The second job is committed, and its victim not retired yet, when files of the first one go.
TEST_F(UndoTest, AJobGivenUpBeforeItsVictimsAreRetiredIsNoDamage) {
  f_.MakeGarbage("a", 9);
  const std::uint64_t bytes = f_.store->GetSegments().front().file_bytes;
  Configure({.max_bytes = bytes + bytes / 2});
  const auto evicted = InState(SegmentState::kSealed).front();
  MustCompact();
  engine::testing::WaitUntil([&] { return f_.store->reaper().Collect() == 0; });
  f_.MakeGarbage("b", 9);
  bool done = false;
  testing::Before(*f_.machine.fs, io::Operation::kUnlink, format::DataFileName(evicted), [&] {
    const auto jobs = f_.store->quarantine().Jobs();
    ASSERT_EQ(jobs.size(), 1u);
    EXPECT_OK(f_.store->quarantine().GiveUp(jobs.front().id));
    EXPECT_FALSE(f_.HasFile(jobs.front().segments.front().id));
    EXPECT_OK(f_.store->VerifyChecksums());
    done = true;
  });
  MustCompact();
  f_.machine.fs->SetOperationHook({});
  EXPECT_TRUE(done);
  engine::testing::WaitUntilIdle(*f_.store);
  f_.ExpectModelForGood();
}

TEST_F(UndoTest, GivingUpRemovesTheFilesAlsoThoseThatAReaderHolds) {
  f_.MakeGarbage("k", 9);
  const auto victim = InState(SegmentState::kSealed).front();
  auto pinned = Pin("k9");
  const std::uint64_t job = MustCompact();
  EXPECT_OK(f_.store->quarantine().GiveUp(job));
  EXPECT_EQ(f_.store->quarantine().GiveUp(job).code(), StatusCode::kNotFound);
  EXPECT_TRUE(f_.HasFile(victim));
  EXPECT_EQ(pinned->value, ValueOf("k9", 1));
  pinned.reset();
  engine::testing::WaitUntilIdle(*f_.store);
  EXPECT_FALSE(f_.HasFile(victim));
  f_.ExpectModelForGood();
}

TEST_F(UndoTest, AReaderFromBeforeTheCompactionHoldsItsOldMappingThroughTheUndo) {
  f_.MakeGarbage("k", 9);
  auto pinned = Pin("k9");
  EXPECT_OK(StatusOf(Undo(MustCompact())));
  EXPECT_EQ(pinned->value, ValueOf("k9", 1));
  f_.ExpectModel();
  pinned.reset();
  engine::testing::WaitUntilIdle(*f_.store);
  f_.ExpectModelForGood();
}

TEST_F(UndoTest, ADamagedOldFileIsRefusedAndNothingChanges) {
  f_.MakeGarbage("k", 9);
  const auto victim = InState(SegmentState::kSealed).front();
  const std::uint64_t job = MustCompact();
  engine::testing::WaitUntilIdle(*f_.store);
  const auto path = testing::kPath / format::DataFileName(victim);
  EXPECT_OK(f_.machine.fs->Corrupt(path, 200, std::byte{0xFF}));
  EXPECT_EQ(f_.store->VerifyChecksums().code(), StatusCode::kCorruption);
  EXPECT_EQ(CodeOf(Undo(job)), StatusCode::kCorruption);
  EXPECT_EQ(InState(SegmentState::kQuarantined), std::vector{victim});
  EXPECT_EQ(engine::testing::Contents(*f_.store), f_.model);
}

// While the output could not be read, a put took its key for another one's: two slots.
TEST_F(UndoTest, AnOutputThatFailedOnceBringsNoOlderValueBack) {
  f_.MakeGarbage("k", 9);
  const std::uint64_t job = MustCompact();
  const std::uint64_t output = f_.store->quarantine().Jobs().front().outputs.front();
  const auto path = testing::kPath / format::DataFileName(output);
  const std::vector<std::byte> bytes = Must(f_.machine.fs->Contents(path));
  EXPECT_OK(f_.machine.fs->LoseBlock(path, 0));
  f_.Put("k9", "newer");
  for (std::size_t i = 0; i < std::min<std::size_t>(bytes.size(), 4096); ++i) {
    EXPECT_OK(f_.machine.fs->Corrupt(path, i, bytes[i]));  // the block is back
  }
  EXPECT_EQ(CodeOf(Undo(job)), StatusCode::kIoError);
  f_.Reopen();
  f_.ExpectModel();
  EXPECT_OK(StatusOf(Undo(job)));
  f_.ExpectModelForGood();
}

TEST_F(UndoTest, ACancelledUndoChangesNothing) {
  f_.MakeGarbage("k", 9);
  const std::uint64_t job = MustCompact();
  const auto sealed = InState(SegmentState::kSealed);
  JobState state(++f_.jobs, {}, std::make_shared<Throttle>(), job);
  testing::Before(*f_.machine.fs, io::Operation::kOpen, ".data", [&] { state.Cancel(); });
  EXPECT_EQ(CodeOf(UndoJob(*f_.store, f_.events, state).Run()), StatusCode::kCancelled);
  f_.machine.fs->SetOperationHook({});
  EXPECT_EQ(InState(SegmentState::kSealed), sealed);
  EXPECT_EQ(InState(SegmentState::kQuarantined).size(), 1u);
  f_.ExpectModel();
  EXPECT_OK(StatusOf(Undo(job)));
  f_.ExpectModelForGood();
}

TEST_F(UndoTest, ItIsReportedAsEvents) {
  EventLog log;
  f_.MakeGarbage("k", 9);
  const std::uint64_t job = MustCompact();
  f_.events.Add(log.Listener());
  EXPECT_OK(StatusOf(Undo(job)));
  engine::testing::WaitUntil([&] { return log.Types().size() == 5; });
  f_.events.Shutdown();
  using enum CompactionEventType;
  std::vector<CompactionEventType> types = log.Types();
  EXPECT_EQ(std::erase(types, kRetired), 1);
  EXPECT_EQ(types, (std::vector{kStarted, kCommitted, kPublished, kUndone}));
}

// --- Records that expire ---------------------------------------------------------------

class UndoneExpiryTest : public UndoTest {
 protected:
  // "k" has an old version that never expires and one that does, which is alone in the index.
  UndoneExpiryTest() {
    f_.Put("k", "forever");
    f_.PutMany("filler", 10, 1);
    f_.Seal();
    f_.Put("k", "for a while", f_.machine.clock->WallMs() + 1000);
    f_.PutMany("garbage", 10, 1);
    f_.Seal();
    f_.PutMany("garbage", 10, 2);
    f_.Seal();
    f_.machine.clock->Pass(1000 + ExpiryClock::kGraceMs + 1);
    f_.model.erase("k");
  }
};

TEST_F(UndoneExpiryTest, AnExpiredRecordThatIsBackGoesOnHidingOlderOnes) {
  EXPECT_OK(StatusOf(Undo(MustCompact({.min_space_saving = 0.5}))));
  f_.ExpectModel();
  // Nothing in the index says that it hides one: the next compaction must know by itself.
  MustCompact({.min_space_saving = 0.5});
  f_.ExpectModel();
  PowerCut();
}

TEST_F(UndoneExpiryTest, AlsoIfTheClockWentBackMeanwhile) {
  EXPECT_OK(StatusOf(Undo(MustCompact({.min_space_saving = 0.5}))));
  f_.machine.clock->SetWall(1'000'000);
  MustCompact({.min_space_saving = 0.5});
  EXPECT_EQ(Get(*f_.store, "k"), std::nullopt);
  PowerCut();
}

TEST_F(UndoneExpiryTest, WhatRecoveryFindsIsTheSame) {
  EXPECT_OK(StatusOf(Undo(MustCompact({.min_space_saving = 0.5}))));
  PowerCut();
  MustCompact({.min_space_saving = 0.5});
  f_.ExpectModel();
  PowerCut();
}

}  // namespace
}  // namespace freyja::compaction
