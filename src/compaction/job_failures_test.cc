// Jobs that fail, are stopped or lose their power at any operation: the map never changes.
#include <gtest/gtest.h>

#include <array>
#include <atomic>
#include <tuple>

#include "base/mutex.h"
#include "compaction/compaction_testing.h"

namespace freyja::compaction {
namespace {

using engine::testing::Contents;
using engine::testing::FilesOf;
using engine::testing::WaitUntilIdle;
using io::CrashOptions;
using io::Operation;
using testing::Before;
using testing::CodeOf;
using testing::Fixture;
using testing::kPath;
using testing::Must;
using testing::ValueOf;

// Old puts, tombstones for them in a victim, live and dead records, an expired record.
void Prepare(Fixture& f) {
  f.PutMany("old", 10, 1);
  f.Seal();
  f.Put("expires", "soon", f.machine.clock->WallMs() + 1);
  f.Delete("old3");
  f.Delete("old4");
  f.MakeGarbage("k", 6);
  f.PutMany("k", 2, 3);
  f.machine.clock->Pass(ExpiryClock::kGraceMs + 10);
  f.model.erase("expires");
  EXPECT_OK(f.store->Sync());
  WaitUntilIdle(*f.store);
}
const HotSwapConfig kConfig{.min_space_saving = 0.1};

std::vector<std::string> ListedFiles(const Fixture& f) {
  const format::Manifest manifest = f.store->manifest().Current();
  std::vector<std::string> names;
  for (const auto& segment : manifest.log) names.push_back(format::DataFileName(segment.id));
  for (const auto& segment : manifest.sealed) {
    names.push_back(format::DataFileName(segment.id));
    names.push_back(format::HintFileName(segment.id));
  }
  std::ranges::sort(names);
  return names;
}
std::vector<std::string> SegmentFiles(const Fixture& f) {
  std::vector<std::string> names;
  for (const std::string& name : f.FileNames()) {
    if (format::ParseFileName(name).kind != format::FileKind::kForeign) names.push_back(name);
  }
  std::ranges::sort(names);
  return names;
}
void ExpectNothingUnlisted(const Fixture& f) {
  std::vector<std::string> unlisted;
  std::ranges::set_difference(SegmentFiles(f), ListedFiles(f), std::back_inserter(unlisted));
  EXPECT_EQ(unlisted, std::vector<std::string>{});
}

// With a full output, which is sealed while the job goes on.
void PrepareTwoOutputs(Fixture& f) {
  Prepare(f);
  f.MakeLongGarbage("long", 3, 6000);
}

// Calls `action(operation, path)` before each operation, from now on, of a job on this thread and
// of whoever seals its outputs for it.
void BeforeEach(Fixture& f, std::function<void(Operation, const std::filesystem::path&)> action) {
  f.machine.fs->SetOperationHook(
      [thread = std::this_thread::get_id(), newest = f.NewestFile(), action = std::move(action)](
          Operation operation, const std::filesystem::path& path) {
        if (std::this_thread::get_id() == thread ||
            format::ParseFileName(path.filename().native()).segment_id > newest) {
          action(operation, path);
        }
      });
}

void ExpectModelAfterEveryKindOfEnd(Fixture& f) {
  EXPECT_EQ(Contents(*f.store), f.model);
  for (const auto mode : {CrashOptions::Mode::kLoseAllUnsynced, CrashOptions::Mode::kProcessKill,
                          CrashOptions::Mode::kRandom}) {
    engine::testing::Machine after = f.machine.AfterCrash(mode, 11);
    after.clock = f.machine.clock;
    const auto store = engine::testing::Open(after);
    EXPECT_EQ(Contents(*store), f.model);
    engine::testing::ExpectConsistent(*store);
  }
  const bool poisoned = f.store->health().poisoned();
  EXPECT_EQ(f.store->Close().ok(), !poisoned);
  f.store.reset();
  f.Open();
  f.ExpectModel();
  WaitUntilIdle(*f.store);  // a segment being prepared is not listed yet
  ExpectNothingUnlisted(f);
}

struct FaultKind {
  std::string name;
  StatusCode code;
  bool after_effect;
};
const std::array kFaultKinds{FaultKind{"IoError", StatusCode::kIoError, false},
                             FaultKind{"IoErrorAfterTheEffect", StatusCode::kIoError, true},
                             FaultKind{"NoSpace", StatusCode::kNoSpace, false}};
// With one thread, and with one that seals beside the job.
class AnyOperationFails
    : public ::testing::TestWithParam<std::tuple<FaultKind, unsigned /*threads*/>> {};
INSTANTIATE_TEST_SUITE_P(Kinds, AnyOperationFails,
                         ::testing::Combine(::testing::ValuesIn(kFaultKinds),
                                            ::testing::Values(1u, 2u)),
                         [](const auto& test) {
                           return std::get<0>(test.param).name +
                                  std::to_string(std::get<1>(test.param));
                         });

TEST_P(AnyOperationFails, EveryKeyIsReadNowAndAfterEveryKindOfEnd) {
  const auto& [kind, threads] = GetParam();
  bool hit = true;
  int failures = 0;
  for (std::uint64_t n = 0; hit; ++n) {
    Fixture f(threads);
    PrepareTwoOutputs(f);
    hit = false;
    std::string what;
    Operation failed{};
    std::atomic<std::uint64_t> count = 0;
    BeforeEach(f, [&](Operation operation, const std::filesystem::path& path) {
      if (count++ != n) return;
      f.machine.fs->InjectFault({.operations = {operation},
                                 .path_contains = path.native(),
                                 .status = Status(kind.code, "injected"),
                                 .after_effect = kind.after_effect});
      hit = true;
      failed = operation;
      what = std::to_string(static_cast<int>(operation)) + " " + path.native();
    });
    const auto result = f.Compact(kConfig);
    f.machine.fs->SetOperationHook({});
    f.machine.fs->ClearFaults();
    if (result) {
      EXPECT_EQ(result->output_files.size(), 2u);
    }
    SCOPED_TRACE("operation " + std::to_string(n) + ": " + what + ": " +
                 (result ? "completed" : result.error().ToString()));
    failures += result ? 0 : 1;
    if (!f.store->health().poisoned()) {
      f.Put("more", "writes go on");
      EXPECT_OK(f.store->Sync());
      WaitUntilIdle(*f.store);
      if (failed != Operation::kUnlink) ExpectNothingUnlisted(f);
      EXPECT_EQ(SegmentFiles(f).empty(), false);
    } else {
      EXPECT_EQ(f.store->Put("more", "x", {}).code(), StatusCode::kReadOnly);
      EXPECT_FALSE(result.has_value());
    }
    ExpectModelAfterEveryKindOfEnd(f);
    if (::testing::Test::HasFailure()) return;
  }
  EXPECT_GT(failures, 10);
}

class JobCrashTest : public ::testing::TestWithParam<unsigned /*threads*/> {};
INSTANTIATE_TEST_SUITE_P(Threads, JobCrashTest, ::testing::Values(1u, 2u));

TEST_P(JobCrashTest, PowerFailsAtAnyOperationOfAJob) {
  for (const auto mode : {CrashOptions::Mode::kLoseAllUnsynced, CrashOptions::Mode::kRandom}) {
    Fixture f(GetParam());
    PrepareTwoOutputs(f);
    base::Mutex mutex;
    std::vector<engine::testing::Machine> images;
    BeforeEach(f, [&](Operation, const std::filesystem::path&) {
      base::MutexLock lock(mutex);
      images.push_back(f.machine.AfterCrash(mode, images.size()));
      images.back().clock = f.machine.clock;
    });
    EXPECT_EQ(f.MustCompact(kConfig).output_files.size(), 2u);
    f.store->reaper().Collect();  // the victims' files go
    f.machine.fs->SetOperationHook({});
    images.push_back(f.machine.AfterCrash(mode, 99));
    images.back().clock = f.machine.clock;
    ASSERT_GT(images.size(), 20u);
    for (std::size_t i = 0; i < images.size(); ++i) {
      SCOPED_TRACE(i);
      const auto store = engine::testing::Open(images[i]);
      EXPECT_EQ(Contents(*store), f.model);
      engine::testing::ExpectConsistent(*store);
    }
  }
}

// --- An error in the midst of the commit ------------------------------------------------

class UnknownOutcome : public ::testing::TestWithParam<Operation> {};
INSTANTIATE_TEST_SUITE_P(Operations, UnknownOutcome,
                         ::testing::Values(Operation::kRename, Operation::kSyncDirectory),
                         [](const auto& test) {
                           return test.param == Operation::kRename ? "Rename" : "DirectorySync";
                         });

TEST_P(UnknownOutcome, KeepsBothSetsOfFilesAndTurnsTheStoreReadOnly) {
  for (const bool after_effect : {false, true}) {
    testing::EventLog log;
    Fixture f;
    Prepare(f);
    const auto before = SegmentFiles(f);
    f.events.Add(log.Listener());
    Before(*f.machine.fs, Operation::kRename, "MANIFEST", [&] {
      f.machine.fs->InjectFault({.operations = {GetParam()},
                                 .status = Status(StatusCode::kIoError, "the disk went away"),
                                 .after_effect = after_effect});
    });
    const auto result = f.Compact(kConfig);
    f.machine.fs->SetOperationHook({});
    ASSERT_FALSE(result.has_value());

    const Status refused = f.store->Put("k", "v", {});
    EXPECT_EQ(refused.code(), StatusCode::kReadOnly);
    EXPECT_NE(refused.message().find("the disk went away"), std::string::npos);
    EXPECT_TRUE(f.store->GetStats().read_only);
    EXPECT_EQ(f.Compact(kConfig).error().code(), StatusCode::kReadOnly);
    const auto now = SegmentFiles(f);
    EXPECT_TRUE(std::ranges::includes(now, before));
    EXPECT_GT(now.size(), before.size()) << "the outputs are kept";
    ExpectModelAfterEveryKindOfEnd(f);
    f.Put("k", "writable again");

    f.events.Shutdown();
    for (const auto& event : log.All()) {
      EXPECT_FALSE(event.job_id == 1 && event.type == CompactionEventType::kRolledBack);
    }
  }
}

TEST(JobFailureTest, AFailedSyncOfAnOutputFailsTheJobAlone) {
  Fixture f;
  Prepare(f);
  Before(*f.machine.fs, Operation::kCreate, ".data", [&] {
    f.machine.fs->InjectFault({.operations = {Operation::kSync}, .path_contains = ".data"});
  });
  EXPECT_EQ(CodeOf(f.Compact(kConfig)), StatusCode::kIoError);
  f.machine.fs->SetOperationHook({});
  EXPECT_FALSE(f.store->GetStats().read_only);
  EXPECT_EQ(f.store->GetStats().compaction_failures_in_a_row, 1u);
  ExpectNothingUnlisted(f);
  f.MustCompact(kConfig);
  EXPECT_EQ(f.store->GetStats().compaction_failures_in_a_row, 0u);
  f.ExpectModelForGood();
}

TEST(JobFailureTest, AnOutputThatReadsBackWronglyIsNotCommitted) {
  Fixture f;
  Prepare(f);
  // The output is written, synced and has a hint; then the disk flips a bit of it.
  Before(*f.machine.fs, Operation::kCreate, ".hint", [&] {
    const std::string output = format::DataFileName(f.NewestFile());
    EXPECT_OK(f.machine.fs->Corrupt(kPath / output, 100, std::byte{1}));
  });
  EXPECT_EQ(CodeOf(f.Compact(kConfig)), StatusCode::kCorruption);
  f.machine.fs->SetOperationHook({});
  ExpectNothingUnlisted(f);
  f.ExpectModelForGood();
}

// --- Full disks -----------------------------------------------------------------------

TEST(FullDiskTest, AJobOnADiskThatFillsUpFailsOrSucceedsAndTheStoreGoesOn) {
  int succeeded = 0;
  int failed = 0;
  for (std::uint64_t blocks = 0; blocks < 24; ++blocks) {
    SCOPED_TRACE(blocks);
    Fixture f;
    Prepare(f);
    const std::uint64_t free = Must(f.machine.fs->FreeSpace(kPath));
    const std::uint64_t used = io::MemoryFileSystem::kDefaultCapacityBytes - free;
    // The disk fills up after the plan was made.
    Before(*f.machine.fs, Operation::kCreate, ".data",
           [&] { f.machine.fs->SetCapacity(used + blocks * 4096); });
    const auto result = f.Compact(kConfig);
    f.machine.fs->SetOperationHook({});
    f.machine.fs->SetCapacity(used + blocks * 4096);
    (result ? succeeded : failed) += 1;
    EXPECT_TRUE(result || result.error().code() == StatusCode::kNoSpace);
    EXPECT_FALSE(f.store->health().poisoned());
    EXPECT_EQ(Contents(*f.store), f.model);
    f.Delete("old7");  // deletes work on a full disk
    if (!result) {
      ExpectNothingUnlisted(f);
    }
    f.machine.fs->SetCapacity(io::MemoryFileSystem::kDefaultCapacityBytes);
    f.Put("more", "room again");
    f.ExpectModelForGood();
  }
  EXPECT_GT(succeeded, 0);
  EXPECT_GT(failed, 0);
}

TEST(FullDiskTest, AJobWhoseOutputsWouldNotFitIsRefusedBeforeItWritesAnything) {
  Fixture f;
  f.MakeGarbage("k", 5);
  WaitUntilIdle(*f.store);
  const engine::Reserve::Loan loan(f.store->reserve());  // somebody else needs it
  f.machine.fs->SetCapacity(0);
  const auto files = f.FileNames();
  const auto refused = f.Compact(kConfig);
  ASSERT_FALSE(refused.has_value());
  EXPECT_EQ(refused.error().code(), StatusCode::kNoSpace);
  EXPECT_NE(refused.error().message().find("would not fit"), std::string::npos);
  EXPECT_EQ(f.store->GetStats().background_error, refused.error());
  EXPECT_EQ(f.FileNames(), files);
  f.machine.fs->SetCapacity(io::MemoryFileSystem::kDefaultCapacityBytes);
  f.MustCompact(kConfig);
  f.ExpectModel();
}

TEST(FullDiskTest, DeletingAndCompactingOnAFullDiskMakesRoomForPuts) {
  Fixture f;
  f.machine.fs->SetCapacity(1 << 20);
  Status status;
  int written = 0;
  for (; status.ok() && written < 20'000; ++written) {
    const std::string key = "k" + std::to_string(written);
    status = f.store->Put(key, ValueOf(key, 1), {});
    if (status.ok()) f.model[key] = ValueOf(key, 1);
  }
  ASSERT_EQ(status.code(), StatusCode::kNoSpace);
  EXPECT_EQ(Contents(*f.store), f.model) << "reads go on";
  const auto compact = [&] {
    const auto report = f.Compact({.min_space_saving = 0.01, .seal_active = true});
    f.store->reaper().Collect();
    return report;
  };
  for (int i = 0; i < written; ++i) {
    const std::string key = "k" + std::to_string(i);
    if (i % 4 == 0) continue;
    auto deleted = f.store->Delete(key, {});
    if (!deleted) {  // what is held back for deletes is used up: compacting gives it back
      ASSERT_EQ(deleted.error().code(), StatusCode::kNoSpace);
      const auto report = compact();
      ASSERT_TRUE(report.has_value()) << report.error().message();
      ASSERT_TRUE(report->ran) << report->reason;
      deleted = f.store->Delete(key, {});
      ASSERT_TRUE(deleted.has_value()) << i << ": " << deleted.error().message();
    }
    EXPECT_EQ(*deleted, f.model.erase(key) != 0);
  }
  for (bool more = true; more;) {
    const auto report = compact();
    ASSERT_TRUE(report.has_value()) << report.error().message();
    more = report->ran;
  }
  f.ExpectModel();
  f.PutMany("again", 100, 1);
  f.ExpectModelForGood();
}

// --- Jobs that are stopped ------------------------------------------------------------

std::vector<std::tuple<std::uint64_t, int, std::uint64_t, std::uint64_t>> Facts(const Fixture& f) {
  std::vector<std::tuple<std::uint64_t, int, std::uint64_t, std::uint64_t>> facts;
  for (const auto& segment : f.store->GetSegments()) {
    facts.emplace_back(segment.id, static_cast<int>(segment.state), segment.live_records,
                       segment.live_bytes);
  }
  return facts;
}

class StoppedJobTest : public ::testing::Test {
 protected:
  StoppedJobTest() {
    Prepare(f_);
    f_.events.Add(log_.Listener());
    files_ = FilesOf(f_.machine);
    facts_ = Facts(f_);
  }
  void ExpectRolledBack(const Result<CompactionReport>& result, StatusCode code) {
    f_.machine.fs->SetOperationHook({});
    EXPECT_EQ(CodeOf(result), code);
    f_.events.Shutdown();
    using enum CompactionEventType;
    EXPECT_EQ(log_.Types(), (std::vector{kStarted, kCancelled, kRolledBack}));
    EXPECT_EQ(FilesOf(f_.machine), files_);
    EXPECT_EQ(Facts(f_), facts_);
    const Stats stats = f_.store->GetStats();
    EXPECT_EQ(stats.compactions_completed, 0u);
    EXPECT_EQ(stats.compaction_bytes_written, 0u);
    EXPECT_OK(stats.background_error);
    f_.ExpectModel();
  }
  testing::EventLog log_;  // outlives the thread that fills it
  Fixture f_;
  engine::testing::Files files_;
  std::vector<std::tuple<std::uint64_t, int, std::uint64_t, std::uint64_t>> facts_;
};

TEST_F(StoppedJobTest, CancelledWhileCopyingItLeavesNoTrace) {
  JobState state(1, kConfig);
  Before(*f_.machine.fs, Operation::kCreate, ".data", [&] { state.Cancel(); });
  ExpectRolledBack(f_.Run(state), StatusCode::kCancelled);
}

TEST_F(StoppedJobTest, CancelledJustBeforeTheCommitItLeavesNoTrace) {
  JobState state(1, kConfig);
  Before(*f_.machine.fs, Operation::kMap, ".data", [&] { state.Cancel(); });
  ExpectRolledBack(f_.Run(state), StatusCode::kCancelled);
}

TEST_F(StoppedJobTest, RunningLongerThanItsLimitItLeavesNoTrace) {
  JobState state(1, {.min_space_saving = 0.1, .compaction_timeout = std::chrono::milliseconds(1)});
  Before(*f_.machine.fs, Operation::kCreate, ".hint", [] {
    const auto start = std::chrono::steady_clock::now();
    while (std::chrono::steady_clock::now() - start < std::chrono::milliseconds(3)) {
    }
  });
  const auto result = f_.Run(state);
  f_.machine.fs->SetOperationHook({});
  EXPECT_EQ(CodeOf(result), StatusCode::kTimedOut);
  EXPECT_NE(result.error().message().find("1 ms"), std::string::npos);
  EXPECT_EQ(FilesOf(f_.machine), files_);
  EXPECT_EQ(Facts(f_), facts_);
}

TEST_F(StoppedJobTest, TheLongestPossibleTimeLimitIsNotReachedAtOnce) {
  f_.MustCompact({.min_space_saving = 0.1, .compaction_timeout = std::chrono::milliseconds::max()});
}

TEST_F(StoppedJobTest, CancelledAfterItsCommitItCompletes) {
  JobState state(1, kConfig);
  Before(*f_.machine.fs, Operation::kRename, "MANIFEST", [&] { state.Cancel(); });
  EXPECT_TRUE(f_.Run(state).has_value());
  f_.machine.fs->SetOperationHook({});
  f_.ExpectModelForGood();
}

}  // namespace
}  // namespace freyja::compaction
