// The audit log of compactions: what it keeps, and what it puts up with.
#include "compaction/history.h"

#include <gtest/gtest.h>

#include <memory>
#include <string>

#include "compaction/compaction_testing.h"
#include "compaction/job_manager.h"

namespace freyja::compaction {
namespace {

using testing::Fixture;
using testing::kPath;
using testing::Must;

const std::filesystem::path kFile = kPath / format::kHistoryName;

class HistoryTest : public ::testing::Test {
 protected:
  static CompactionRecord Record(std::uint64_t id) {
    return {.job_id = id,
            .ended_at_ms = 1000 + id,
            .outcome = "completed",
            .reason = "dead \"bytes\"\n",
            .steps = 2,
            .input_files = 3,
            .output_files = 1,
            .bytes_before = 400,
            .bytes_after = 100,
            .bytes_copied = 90,
            .duration = std::chrono::microseconds(5)};
  }
  std::uint64_t FileBytes() { return Must(f_.machine.fs->Contents(kFile)).size(); }

  Fixture f_;
  History history_{f_.store->directory()};
};

TEST_F(HistoryTest, IsEmptyBeforeTheFirstJob) {
  EXPECT_TRUE(Must(history_.Read()).empty());
  EXPECT_FALSE(Must(f_.machine.fs->Exists(kFile)));
}

TEST_F(HistoryTest, ReadsBackWhatWasAppendedInOrder) {
  for (std::uint64_t id = 1; id <= 3; ++id) EXPECT_OK(history_.Append(Record(id)));
  const auto records = Must(History(f_.store->directory()).Read());
  ASSERT_EQ(records.size(), 3u);
  for (std::uint64_t id = 1; id <= 3; ++id) EXPECT_EQ(records[id - 1], Record(id));
}

TEST_F(HistoryTest, LosesTheOlderHalfWhenItIsFull) {
  std::uint64_t id = 0;
  std::uint64_t largest = 0;
  bool halved = false;
  while (!halved) {
    const std::uint64_t before = id == 0 ? 0 : FileBytes();
    EXPECT_OK(history_.Append(Record(++id)));
    halved = FileBytes() < before;
    largest = std::max(largest, FileBytes());
  }
  EXPECT_LE(largest, History::kMostBytes);
  const auto records = Must(history_.Read());
  EXPECT_EQ(records.back(), Record(id));
  EXPECT_GT(records.size(), id / 3);
  EXPECT_LT(records.size(), id);
  for (std::size_t i = 1; i < records.size(); ++i) {
    EXPECT_EQ(records[i].job_id, records[i - 1].job_id + 1);
  }
}

TEST_F(HistoryTest, AFailureToHalveItLeavesNoOtherFile) {
  std::uint64_t id = 0;
  std::uint64_t fired = 0;
  for (const auto operation : {io::Operation::kWrite, io::Operation::kRename}) {
    f_.machine.fs->InjectFault({.operations = {operation}, .path_contains = "HISTORY.tmp"});
    ++fired;
    while (f_.machine.fs->FaultsFired() < fired) {
      const Status appended = history_.Append(Record(++id));
      EXPECT_EQ(appended.ok(), f_.machine.fs->FaultsFired() < fired);
    }
    EXPECT_FALSE(Must(f_.machine.fs->Exists(kPath / format::kHistoryTempName)));
  }
}

TEST_F(HistoryTest, WhatACrashLeftOfHalvingItIsRemoved) {
  const auto temporary = kPath / format::kHistoryTempName;
  EXPECT_OK(f_.machine.fs->Overwrite(temporary, {}));
  f_.Reopen();
  EXPECT_FALSE(Must(f_.machine.fs->Exists(temporary)));
}

TEST_F(HistoryTest, PassesOverWhatACrashOrDamageLeft) {
  for (std::uint64_t id = 1; id <= 3; ++id) EXPECT_OK(history_.Append(Record(id)));
  const std::uint64_t line = FileBytes() / 3;
  EXPECT_OK(f_.machine.fs->Corrupt(kFile, line, std::byte{0xFF}));
  auto file = Must(f_.machine.fs->Open(kFile, io::OpenMode::kReadWrite));
  EXPECT_OK(file->Truncate(3 * line - 5));
  EXPECT_OK(history_.Append(Record(4)));
  const auto records = Must(history_.Read());
  ASSERT_EQ(records.size(), 2u);
  EXPECT_EQ(records[0], Record(1));
  EXPECT_EQ(records[1], Record(4));
}

class RememberedJobsTest : public HistoryTest {
 protected:
  void OpenManager() { manager_ = std::make_unique<JobManager>(*f_.store, f_.events); }
  RememberedJobsTest() {
    f_.options.quarantine.keep_for = std::chrono::hours(1);
    f_.Reopen();
    OpenManager();
  }

  std::unique_ptr<JobManager> manager_;
};

TEST_F(RememberedJobsTest, EveryJobThatDidSomethingIsThereAlsoAfterAReopen) {
  f_.MakeGarbage("k", 9);
  const auto compacted = Must(Must(manager_->Submit({.min_space_saving = 0.5}))->Wait());
  EXPECT_FALSE(Must(Must(manager_->Submit({.min_space_saving = 0.5}))->Wait()).ran);
  const auto undone = Must(Must(manager_->SubmitUndo(compacted.job_id))->Wait());
  manager_.reset();
  f_.Reopen();
  const auto records = Must(History(f_.store->directory()).Read());
  ASSERT_EQ(records.size(), 2u);
  EXPECT_EQ(records[0].job_id, compacted.job_id);
  EXPECT_EQ(records[0].outcome, "completed");
  EXPECT_EQ(records[0].bytes_before, compacted.bytes_before);
  EXPECT_EQ(records[0].input_files, 1u);
  EXPECT_EQ(records[0].ended_at_ms, f_.machine.clock->WallMs());
  EXPECT_EQ(records[1].job_id, undone.job_id);
  EXPECT_EQ(records[1].outcome, "undone");
}

TEST_F(RememberedJobsTest, AFailureIsThereWithItsReason) {
  f_.MakeGarbage("k", 9);
  engine::testing::WaitUntilIdle(*f_.store);  // nobody else is to meet the fault
  f_.machine.fs->InjectFault({.operations = {io::Operation::kWrite},
                              .path_contains = ".hint",
                              .status = Status(StatusCode::kIoError, "injected")});
  EXPECT_FALSE(Must(manager_->Submit({.min_space_saving = 0.5}))->Wait().has_value());
  const auto records = Must(manager_->history().Read());
  ASSERT_EQ(records.size(), 1u);
  EXPECT_EQ(records[0].outcome, "failed");
  EXPECT_TRUE(records[0].reason.contains("injected")) << records[0].reason;
}

TEST_F(RememberedJobsTest, AJobDoesNotFailBecauseItCanNotBeRemembered) {
  f_.MakeGarbage("k", 9);
  f_.machine.fs->InjectFault({.operations = {io::Operation::kOpen, io::Operation::kCreate},
                              .path_contains = "HISTORY",
                              .status = Status(StatusCode::kIoError, "injected"),
                              .sticky = true});
  EXPECT_TRUE(Must(Must(manager_->Submit({.min_space_saving = 0.5}))->Wait()).ran);
  EXPECT_TRUE(f_.store->health().error().message().contains("injected"));
  f_.ExpectModel();
}

TEST_F(RememberedJobsTest, IdsOfJobsInQuarantineOrInTheHistoryAreNotGivenAgain) {
  f_.MakeGarbage("k", 9);
  const auto first = Must(Must(manager_->Submit({.min_space_saving = 0.5}))->Wait());
  manager_.reset();
  f_.Reopen();
  OpenManager();
  f_.MakeGarbage("l", 9);
  const auto second = Must(Must(manager_->Submit({.min_space_saving = 0.5}))->Wait());
  EXPECT_GT(second.job_id, first.job_id);
  EXPECT_OK(f_.store->quarantine().GiveUp(first.job_id));
  EXPECT_OK(f_.store->quarantine().GiveUp(second.job_id));
  manager_.reset();
  f_.Reopen();
  OpenManager();
  f_.MakeGarbage("m", 9);
  const auto third = Must(Must(manager_->Submit({.min_space_saving = 0.5}))->Wait());
  EXPECT_GT(third.job_id, second.job_id) << "the history knows of it";
  EXPECT_EQ(f_.store->quarantine().Jobs().size(), 1u);
}

}  // namespace
}  // namespace freyja::compaction
