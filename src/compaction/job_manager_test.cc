// Configurations, the queue of jobs, temporary directories and events.
#include "compaction/job_manager.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "compaction/compaction_testing.h"

namespace freyja::compaction {
namespace {

using engine::testing::WaitUntil;
using io::Operation;
using testing::CodeOf;
using testing::EventLog;
using testing::Fixture;
using testing::kPath;
using testing::Must;

const std::filesystem::path kTemp = "/temporary";

// --- Configurations -------------------------------------------------------------------

class JobManagerTest : public ::testing::Test {
 protected:
  JobManagerTest() {
    EXPECT_OK(f_.machine.fs->CreateDirectory(kTemp));
    EXPECT_OK(f_.machine.fs->SyncDirectory("/"));
  }
  Status Refusal(HotSwapConfig config) {
    const auto job = manager_.Submit(config);
    return job ? Status::Ok() : job.error();
  }
  Result<CompactionReport> Compact(HotSwapConfig config) {
    auto job = manager_.Submit(config);
    if (!job) return std::unexpected(job.error());
    return (*job)->Wait();
  }

  Fixture f_;
  JobManager manager_{*f_.store, f_.events};
};

TEST_F(JobManagerTest, ANonsensicalMinimumIsRefused) {
  for (const double value :
       {std::nan(""), -1.0, -1e-9, 1.0 + 1e-9, 2.0, std::numeric_limits<double>::infinity()}) {
    const Status status = Refusal({.min_space_saving = value});
    EXPECT_EQ(status.code(), StatusCode::kInvalidArgument) << value;
    EXPECT_NE(status.message().find("min_space_saving"), std::string::npos);
  }
  EXPECT_OK(Refusal({.min_space_saving = 0.0}));
  EXPECT_OK(Refusal({.min_space_saving = 1.0}));
}

TEST_F(JobManagerTest, ANegativeTimeLimitIsRefused) {
  const Status status = Refusal({.compaction_timeout = std::chrono::milliseconds(-1)});
  EXPECT_EQ(status.code(), StatusCode::kInvalidArgument);
  EXPECT_NE(status.message().find("compaction_timeout"), std::string::npos);
}

TEST_F(JobManagerTest, OnlySegmentsThatSaveTheMinimumAreTaken) {
  f_.MakeGarbage("a", 2);
  f_.MakeGarbage("b", 5);
  f_.MakeGarbage("c", 8);
  EXPECT_FALSE(Must(Compact({.min_space_saving = 0.9})).ran);
  EXPECT_EQ(Must(Compact({.min_space_saving = 0.6})).input_files.size(), 1u);
  EXPECT_EQ(Must(Compact({.min_space_saving = 0.4})).input_files.size(), 1u);
  EXPECT_EQ(Must(Compact({.min_space_saving = 0.0})).input_files.size(), 1u);
  f_.ExpectModel();
}

TEST_F(JobManagerTest, AReadOnlyStoreIsNotCompacted) {
  f_.store->health().Poison(Status(StatusCode::kIoError, "test"));
  EXPECT_EQ(Refusal({}).code(), StatusCode::kReadOnly);
}

TEST_F(JobManagerTest, ShutdownCancelsWhatIsQueuedAndRefusesMore) {
  f_.MakeGarbage("k", 9);
  std::atomic<bool> copying = false;
  std::atomic<bool> go = false;
  f_.machine.fs->SetOperationHook([&](Operation operation, const std::filesystem::path& path) {
    if (operation != Operation::kCreate || !path.native().ends_with(".hint")) return;
    copying = true;
    WaitUntil([&] { return go.load(); });
  });
  const auto running = Must(manager_.Submit({.min_space_saving = 0.1}));
  WaitUntil([&] { return copying.load(); });
  const auto queued = Must(manager_.Submit({.min_space_saving = 0.1}));
  EXPECT_EQ(queued->Progress().phase, "queued");
  EXPECT_FALSE(queued->WaitFor(std::chrono::milliseconds(1)).has_value());
  std::thread shutdown([&] { manager_.Shutdown(); });
  WaitUntil([&] { return running->cancelled() && queued->cancelled(); });
  go = true;
  shutdown.join();
  f_.machine.fs->SetOperationHook({});
  EXPECT_EQ(CodeOf(running->Wait()), StatusCode::kCancelled);
  EXPECT_EQ(CodeOf(queued->Wait()), StatusCode::kCancelled);
  EXPECT_EQ(Refusal({}).code(), StatusCode::kClosed);
  f_.ExpectModel();
}

TEST_F(JobManagerTest, WaitingForEverIsLongerThanNotAtAll) {
  f_.MakeGarbage("k", 9);
  const auto job = Must(manager_.Submit({.min_space_saving = 0.1}));
  EXPECT_TRUE(job->WaitFor(std::chrono::milliseconds::max()).has_value());
}

// --- Temporary directories ------------------------------------------------------------

TEST_F(JobManagerTest, OutputsAreMadeInTheTemporaryDirectory) {
  f_.MakeGarbage("k", 5);
  engine::testing::WaitUntilIdle(*f_.store);
  std::atomic<bool> made_there = false;
  std::atomic<bool> made_elsewhere = false;
  f_.machine.fs->SetOperationHook([&](Operation operation, const std::filesystem::path& path) {
    if (operation != Operation::kCreate || path.extension() != ".data") return;
    (path.parent_path() == kTemp ? made_there : made_elsewhere) = true;
  });
  const auto report = Must(Compact({.temp_dir = kTemp, .min_space_saving = 0.3}));
  f_.machine.fs->SetOperationHook({});
  EXPECT_TRUE(made_there);
  EXPECT_FALSE(made_elsewhere);
  EXPECT_TRUE(report.ran);
  EXPECT_FALSE(report.output_files.empty());
  EXPECT_TRUE(Must(f_.machine.fs->List(kTemp)).empty());
  for (const std::string& file : report.output_files) {
    EXPECT_TRUE(engine::testing::FileExists(f_.machine, file));
  }
  f_.ExpectModel();
}

TEST_F(JobManagerTest, AfterAPowerCutOutputsMovedThereAreFound) {
  f_.MakeGarbage("k", 5);
  Must(Compact({.temp_dir = kTemp, .min_space_saving = 0.3}));
  manager_.Shutdown();
  f_.Crash(io::CrashOptions::Mode::kLoseAllUnsynced);
  f_.ExpectModel();
}

TEST_F(JobManagerTest, WhatACrashLeftInTheTemporaryDirectoryIsRemovedAndNothingElse) {
  f_.MakeGarbage("k", 5);
  const auto victim = f_.store->GetSegments().front();
  // An output of ours that a crash left, another store's, and somebody's file.
  const auto ours = Must(f_.machine.fs->Contents(kPath / victim.file));
  EXPECT_OK(f_.machine.fs->Overwrite(kTemp / "77.data", ours));
  engine::testing::Machine other;
  other.random = std::make_shared<engine::testing::SeededRandom>(2);
  auto other_store = engine::testing::Open(other);
  engine::testing::Put(*other_store, "k", "v");
  const auto foreign = Must(other.fs->Contents(kPath / other_store->GetSegments().front().file));
  EXPECT_OK(f_.machine.fs->Overwrite(kTemp / "78.data", foreign));
  EXPECT_OK(f_.machine.fs->Overwrite(kTemp / "79.data", {}));
  EXPECT_OK(f_.machine.fs->Overwrite(kTemp / "notes.txt", {}));
  Must(Compact({.temp_dir = kTemp, .min_space_saving = 0.3}));
  EXPECT_EQ(Must(f_.machine.fs->List(kTemp)),
            (std::vector<std::string>{"78.data", "79.data", "notes.txt"}));
}

TEST_F(JobManagerTest, AStoresOwnDirectoryAsTheTemporaryOneLosesNothing) {
  f_.MakeGarbage("k", 5);
  const auto result = Compact({.temp_dir = kPath, .min_space_saving = 0.3});
  EXPECT_TRUE(result || result.error().code() == StatusCode::kInvalidArgument);
  f_.ExpectModel();
  manager_.Shutdown();
  f_.ExpectModelForGood();
}

TEST_F(JobManagerTest, ATemporaryDirectoryOnAnotherFileSystemIsRefused) {
  f_.machine.fs->AddMount("/elsewhere");
  const Status status = Refusal({.temp_dir = "/elsewhere"});
  EXPECT_EQ(status.code(), StatusCode::kInvalidArgument);
  EXPECT_NE(status.message().find("/elsewhere"), std::string::npos);
}

TEST_F(JobManagerTest, AMissingTemporaryDirectoryIsRefused) {
  const Status status = Refusal({.temp_dir = "/nowhere"});
  EXPECT_EQ(status.code(), StatusCode::kInvalidArgument);
  EXPECT_NE(status.message().find("/nowhere"), std::string::npos);
}

TEST_F(JobManagerTest, AFailureRemovesTheOutputsFromTheTemporaryDirectory) {
  f_.MakeGarbage("k", 5);
  for (const Operation operation : {Operation::kWrite, Operation::kSync, Operation::kRename}) {
    f_.machine.fs->InjectFault(
        {.operations = {operation},
         .path_contains = operation == Operation::kRename ? ".data" : "temporary"});
    EXPECT_FALSE(Compact({.temp_dir = kTemp, .min_space_saving = 0.3}).has_value());
    f_.machine.fs->ClearFaults();
    EXPECT_TRUE(Must(f_.machine.fs->List(kTemp)).empty());
  }
  engine::testing::WaitUntilIdle(*f_.store);
  f_.ExpectModel();
}

// --- Events ---------------------------------------------------------------------------

using enum CompactionEventType;

class EventsTest : public ::testing::Test {
 protected:
  EventsTest() { f_.MakeGarbage("k", 5); }
  void CompactAndRetire() {
    const auto listener = f_.events.Add(
        [this](const CompactionEvent& event) { retired_ = retired_ || event.type == kRetired; });
    report_ = f_.MustCompact({.min_space_saving = 0.3});
    WaitUntil([&] {
      f_.store->maintenance().Wake();
      return retired_.load();
    });
    f_.events.Remove(listener);
  }
  Fixture f_;
  CompactionReport report_;
  std::atomic<bool> retired_ = false;
};

TEST_F(EventsTest, ASuccessfulJobTellsItsStepsInOrder) {
  EventLog log;
  f_.events.Add(log.Listener());
  CompactAndRetire();
  f_.events.Shutdown();
  std::vector<CompactionEventType> steps;
  int retired = 0;
  for (const auto& event : log.All()) {
    EXPECT_EQ(event.job_id, report_.job_id);
    if (event.type == kRetired) {
      ++retired;
      EXPECT_EQ(event.input_files, report_.input_files);
      EXPECT_GE(steps.size(), 3u) << "only when published";
    } else {
      steps.push_back(event.type);
    }
  }
  EXPECT_EQ(steps, (std::vector{kStarted, kCommitted, kPublished, kCompleted}));
  EXPECT_EQ(retired, 1);

  const auto started = log.All().front();
  EXPECT_EQ(started.input_files, report_.input_files);
  EXPECT_FALSE(started.reason.empty());
  const auto events = log.All();
  const auto completed = *std::ranges::find(events, kPublished, &CompactionEvent::type);
  EXPECT_EQ(completed.output_files, report_.output_files);
  EXPECT_EQ(completed.counters.records_read, 10u);
  EXPECT_EQ(completed.counters.records_copied, 5u);
  EXPECT_EQ(completed.counters.records_dropped, 5u);
  EXPECT_EQ(completed.space_saved, report_.space_saved);
  EXPECT_GT(report_.space_saved, 0);
}

TEST_F(EventsTest, AFailedJobTellsWhyAndThatItRolledBack) {
  EventLog log;
  f_.events.Add(log.Listener());
  engine::testing::WaitUntilIdle(*f_.store);
  f_.machine.fs->InjectFault({.operations = {Operation::kWrite},
                              .path_contains = ".data",
                              .status = Status(StatusCode::kIoError, "worn out")});
  EXPECT_FALSE(f_.Compact({.min_space_saving = 0.3}).has_value());
  f_.events.Shutdown();
  EXPECT_EQ(log.Types(), (std::vector{kStarted, kFailed, kRolledBack}));
  EXPECT_NE(log.All()[1].reason.find("worn out"), std::string::npos);
  EXPECT_EQ(log.All()[1].space_saved, 0);
}

TEST_F(EventsTest, ASlowListenerDelaysNobody) {
  EventLog log;
  std::atomic<bool> go = false;
  f_.events.Add([&](const CompactionEvent&) { WaitUntil([&] { return go.load(); }); });
  f_.events.Add(log.Listener());
  CompactAndRetire();  // would never end
  WaitUntil([&] { return log.All().size() == 5; });
  go = true;
  f_.events.Shutdown();  // the listeners refer to what ends here
}

TEST_F(EventsTest, AThrowingListenerHurtsNobodyAndIsCounted) {
  EventLog log;
  f_.events.Add([](const CompactionEvent&) { throw std::runtime_error("listener"); });
  f_.events.Add(log.Listener());
  CompactAndRetire();
  f_.events.Shutdown();
  EXPECT_EQ(log.All().size(), 5u);
  EXPECT_EQ(f_.events.exceptions(), 5u);
}

TEST_F(EventsTest, ARemovedListenerHearsNothingMoreEvenDuringAJob) {
  EventLog log;
  const auto id = f_.events.Add(log.Listener());
  testing::Before(*f_.machine.fs, Operation::kCreate, ".hint", [&] { f_.events.Remove(id); });
  CompactAndRetire();
  f_.machine.fs->SetOperationHook({});
  EXPECT_LE(log.All().size(), 1u);
  f_.events.Remove(id);  // again: no effect
}

TEST(EventDispatcherTest, AFullQueueGivesUpProgressFirst) {
  EventDispatcher events;
  EventLog log;
  std::atomic<bool> go = false;
  std::atomic<bool> entered = false;
  events.Add([&, listener = log.Listener()](const CompactionEvent& event) {
    entered = true;
    WaitUntil([&] { return go.load(); });
    listener(event);
  });
  const auto emit = [&](CompactionEventType type) {
    CompactionEvent event;
    event.type = type;
    events.Emit(event);
  };
  emit(kStarted);
  WaitUntil([&] { return entered.load(); });
  emit(kProgress);
  for (std::size_t i = 1; i < EventDispatcher::kMaxQueued; ++i) emit(kRetired);
  emit(kProgress);   // full: not taken
  emit(kCompleted);  // takes the place of the progress in the queue
  EXPECT_EQ(events.dropped(), 2u);
  go = true;
  events.Shutdown();
  const auto types = log.Types();
  EXPECT_EQ(types.size(), EventDispatcher::kMaxQueued + 1);
  EXPECT_EQ(std::ranges::count(types, kProgress), 0);
  EXPECT_EQ(types.front(), kStarted);
  EXPECT_EQ(types.back(), kCompleted);
}

}  // namespace
}  // namespace freyja::compaction
