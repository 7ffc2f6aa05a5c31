// A store that is steered through its control socket, on a real file system.
#include "freyja/control.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <csignal>
#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "api/store_parts.h"
#include "control/fields.h"
#include "control/testing.h"
#include "freyja/freyja.h"
#include "io/memory_file_system.h"

namespace freyja {
namespace {

using control::testing::RawClient;
using io::testing::CodeOf;
using io::testing::Must;
using io::testing::TemporaryDirectory;
using std::chrono::milliseconds;
using std::chrono::seconds;

Options WithControl() {
  Options options;
  options.create_if_missing = true;
  options.sync = Sync::kNone;
  options.segment_bytes = 64 << 10;
  options.scheduler.enabled = false;
  options.control_socket = true;
  return options;
}

class ControlTest : public ::testing::Test {
 protected:
  void Open(const Options& options = WithControl()) { store_ = Must(KVStore::Open(db_, options)); }
  StoreControl Control() const { return Must(StoreControl::Connect(db_, seconds(20))); }
  // About 40 sealed segments, nearly all of it dead.
  void MakeGarbage(int rounds = 64) {
    for (int round = 0; round < rounds; ++round) {
      for (int key = 0; key < 40; ++key) {
        EXPECT_OK(store_->Put("key" + std::to_string(key), std::string(1000, 'v')));
      }
    }
  }
  // Segments are sealed, and the next one is prepared, in the background.
  void AwaitBackground() const {
    const auto count = [this](SegmentState state) {
      return std::ranges::count(store_->GetSegments(), state, &SegmentInfo::state);
    };
    for (int i = 0; i < 6000; ++i) {
      if (count(SegmentState::kFull) == 0 && count(SegmentState::kPrepared) == 1) return;
      std::this_thread::sleep_for(milliseconds(10));
    }
    ADD_FAILURE() << "the segments were never sealed";
  }
  // Running on after it has been started by a client, until somebody cancels it: it is paused.
  RemoteCompactionJob StartPausedJob(StoreControl& control) {
    EXPECT_OK(control.Pause());
    auto job = Must(control.Compact({.min_space_saving = 0, .seal_active = true}));
    EXPECT_FALSE(job.WaitFor(milliseconds(50)).has_value());
    return job;
  }
  std::filesystem::path SocketPath() const { return db_ / "CONTROL"; }

  TemporaryDirectory root_;
  const std::filesystem::path db_ = root_.path() / "db";
  std::unique_ptr<KVStore> store_;
};

TEST_F(ControlTest, WithoutTheOptionThereIsNoSocket) {
  Options options = WithControl();
  options.control_socket = false;
  Open(options);
  EXPECT_FALSE(std::filesystem::exists(SocketPath()));
  EXPECT_EQ(CodeOf(StoreControl::Connect(db_)), StatusCode::kNotFound);
}

TEST_F(ControlTest, StatisticsAndSegmentsAreThoseOfTheStore) {
  Open();
  MakeGarbage();
  AwaitBackground();
  StoreControl control = Control();
  Stats stats;
  // Syncs are still counted.
  for (int i = 0; i < 500; ++i) {
    stats = Must(control.GetStats());
    if (control::ToJson(stats) == control::ToJson(store_->GetStats())) break;
    std::this_thread::sleep_for(milliseconds(10));
  }
  EXPECT_EQ(control::ToJson(stats), control::ToJson(store_->GetStats()));
  EXPECT_EQ(stats.puts, 64U * 40);
  EXPECT_EQ(stats.latency.writes.samples, stats.puts / kLatencySampleInterval);
  EXPECT_GT(stats.latency.writes.p99.count(), 0);
  const auto segments = Must(control.GetSegments());
  EXPECT_EQ(control::ToJson(segments), control::ToJson(store_->GetSegments()));
  EXPECT_GT(segments.size(), 20U);
}

TEST_F(ControlTest, PlanIsThatOfTheCompactorAndChangesNothing) {
  Open();
  MakeGarbage();
  AwaitBackground();
  const HotSwapConfig config{.min_space_saving = 0.1, .max_input_bytes = 300'000};
  StoreControl control = Control();
  const CompactionPlan plan = Must(control.Plan(config));
  EXPECT_EQ(control::ToJson(plan), control::ToJson(Must(HotSwapCompactor(*store_, config).Plan())));
  EXPECT_GT(plan.bytes_reclaimed, 0U);
  EXPECT_EQ(store_->GetStats().compactions_completed, 0U);
}

TEST_F(ControlTest, CompactionRunsInTheOtherProcessAndReports) {
  Open();
  MakeGarbage();
  StoreControl control = Control();
  auto job = Must(control.Compact({.min_space_saving = 0, .seal_active = true}));
  const auto outcome = job.WaitFor(seconds(20));
  ASSERT_TRUE(outcome.has_value());
  const CompactionReport report = Must(*outcome);
  EXPECT_TRUE(report.ran);
  EXPECT_EQ(report.job_id, job.id());
  EXPECT_GT(report.space_saved, 1'000'000);
  EXPECT_GT(report.input_files.size(), 20U);
  EXPECT_EQ(store_->GetStats().dead_bytes, 0U);
  // Again, and of another connection: the report stays for a while.
  EXPECT_EQ(Must(*job.WaitFor(milliseconds(0))).space_saved, report.space_saved);
}

TEST_F(ControlTest, ChosenSegmentsBoundsAndDeadlinesReachTheJob) {
  Open();
  MakeGarbage();
  std::uint64_t sealed = 0;
  for (const SegmentInfo& segment : store_->GetSegments()) {
    if (segment.state == SegmentState::kSealed) sealed = segment.id;
  }
  StoreControl control = Control();
  auto one = Must(control.Compact({.min_space_saving = 0, .segments = {sealed}}));
  EXPECT_EQ(Must(*one.WaitFor(seconds(20))).input_files.size(), 1U);
  EXPECT_EQ(CodeOf(control.Compact({.segments = {999'999}})), StatusCode::kInvalidArgument);
  EXPECT_EQ(CodeOf(control.Compact({.temp_dir = "relative"})), StatusCode::kInvalidArgument);
  EXPECT_OK(control.Pause());
  auto late = Must(control.Compact(
      {.min_space_saving = 0, .compaction_timeout = milliseconds(50), .seal_active = true}));
  const auto outcome = late.WaitFor(seconds(20));
  ASSERT_TRUE(outcome.has_value());
  EXPECT_EQ(CodeOf(*outcome), StatusCode::kTimedOut);
}

TEST_F(ControlTest, UndoRunsInTheOtherProcessAndEndsItsQuarantine) {
  Options options = WithControl();
  options.quarantine.keep_for = std::chrono::hours(1);
  Open(options);
  MakeGarbage();
  StoreControl control = Control();
  EXPECT_TRUE(Must(control.Quarantine()).empty());
  auto compaction = Must(control.Compact({.min_space_saving = 0, .seal_active = true}));
  const CompactionReport compacted = Must(*compaction.WaitFor(seconds(20)));
  const auto kept = Must(control.Quarantine());
  ASSERT_EQ(kept.size(), 1U);
  EXPECT_EQ(kept[0].id, compaction.id());
  EXPECT_EQ(kept[0].input_files, compacted.input_files);
  EXPECT_EQ(kept[0].why_not, "");
  EXPECT_EQ(control::ToJson(kept), control::ToJson(Must(HotSwapCompactor(*store_).Quarantine())));
  EXPECT_EQ(Must(control.GetStats()).quarantined_segments, compacted.input_files.size());

  auto undo = Must(control.Undo(compaction.id()));
  const CompactionReport undone = Must(*undo.WaitFor(seconds(20)));
  EXPECT_EQ(undone.output_files.size(), compacted.input_files.size());
  EXPECT_TRUE(Must(control.Quarantine()).empty());
  EXPECT_EQ(CodeOf(control.Undo(compaction.id())), StatusCode::kNotFound);
  const auto history = Must(control.History());
  EXPECT_EQ(history, Must(HotSwapCompactor(*store_).History()));
  ASSERT_EQ(history.size(), 2U);
  EXPECT_EQ(history[1].outcome, "undone");
}

TEST_F(ControlTest, WaitingUndoSaysWhatItIsForAndQuarantineCanBeEnded) {
  Options options = WithControl();
  options.quarantine.keep_for = std::chrono::hours(1);
  Open(options);
  MakeGarbage();
  StoreControl control = Control();
  auto compaction = Must(control.Compact({.min_space_saving = 0, .seal_active = true}));
  EXPECT_EQ(CodeOf(*compaction.WaitFor(seconds(20))), StatusCode::kOk);
  EXPECT_OK(control.Pause());
  auto undo = Must(control.Undo(compaction.id()));
  const CompactionStatus status = Must(control.GetStatus());
  ASSERT_EQ(status.jobs.size(), 1U);
  EXPECT_EQ(status.jobs[0].reason, "undoes job " + std::to_string(compaction.id()));
  EXPECT_OK(control.EndQuarantine(compaction.id()));
  EXPECT_EQ(CodeOf(control.EndQuarantine(compaction.id())), StatusCode::kNotFound);
  EXPECT_OK(control.Resume());
  const auto outcome = undo.WaitFor(seconds(20));
  ASSERT_TRUE(outcome.has_value());
  EXPECT_FALSE(outcome->has_value());
  EXPECT_OK(store_->VerifyChecksums());
}

TEST_F(ControlTest, PauseHoldsAJobResumeLetsItGo) {
  Open();
  MakeGarbage();
  StoreControl control = Control();
  auto job = StartPausedJob(control);
  const CompactionStatus status = Must(control.GetStatus());
  EXPECT_TRUE(status.paused);
  ASSERT_EQ(status.jobs.size(), 1U);
  EXPECT_EQ(status.jobs[0].id, job.id());
  EXPECT_OK(control.Resume());
  EXPECT_TRUE(Must(*job.WaitFor(seconds(20))).ran);
  EXPECT_FALSE(Must(control.GetStatus()).paused);
  EXPECT_TRUE(Must(control.GetStatus()).jobs.empty());
}

TEST_F(ControlTest, CancelEndsOneJobOrAll) {
  Open();
  MakeGarbage();
  StoreControl control = Control();
  auto first = StartPausedJob(control);
  auto second = Must(control.Compact({.min_space_saving = 0}));
  auto mine = Must(HotSwapCompactor(*store_, {.min_space_saving = 0}).CompactInBackground());
  EXPECT_EQ(Must(control.GetStatus()).jobs.size(), 3U);
  EXPECT_EQ(Must(control.Cancel(first.id())), 1U);
  EXPECT_EQ(CodeOf(*first.WaitFor(seconds(20))), StatusCode::kCancelled);
  EXPECT_EQ(CodeOf(control.Cancel(first.id())), StatusCode::kNotFound);
  EXPECT_EQ(Must(control.Cancel()), 2U);
  EXPECT_EQ(CodeOf(*second.WaitFor(seconds(20))), StatusCode::kCancelled);
  EXPECT_EQ(CodeOf(mine.Wait()), StatusCode::kCancelled);
  EXPECT_EQ(Must(control.Cancel()), 0U);
}

TEST_F(ControlTest, JobGoesOnWhenItsClientLeaves) {
  Open();
  MakeGarbage();
  {
    StoreControl control = Control();
    StartPausedJob(control);
  }
  StoreControl control = Control();
  EXPECT_EQ(Must(control.GetStatus()).jobs.size(), 1U);
  EXPECT_OK(control.Resume());
  for (int i = 0; i < 2000 && store_->GetStats().dead_bytes != 0; ++i) {
    std::this_thread::sleep_for(milliseconds(10));
  }
  EXPECT_EQ(store_->GetStats().dead_bytes, 0U);
}

TEST_F(ControlTest, LimitsAreChangedWholeAndNonsenseIsRefused) {
  Open();
  StoreControl control = Control();
  CompactionLimits limits = Must(control.GetStatus()).limits;
  EXPECT_FALSE(limits.bytes_per_second.has_value());
  limits.bytes_per_second = 5 << 20;
  limits.latency_target = std::chrono::microseconds(700);
  EXPECT_OK(control.SetLimits(limits));
  EXPECT_EQ(control::ToJson(HotSwapCompactor(*store_).limits()), control::ToJson(limits));
  EXPECT_EQ(Must(control.GetStats()).scheduler.bytes_per_second, std::uint64_t{5} << 20);
  limits.bytes_per_second = 7;
  EXPECT_EQ(CodeOf(control.SetLimits(limits)), StatusCode::kInvalidArgument);
  EXPECT_EQ(*Must(control.GetStatus()).limits.bytes_per_second, std::uint64_t{5} << 20);
}

TEST_F(ControlTest, WrongCommandsAndArgumentsAreRefusedByName) {
  Open();
  RawClient client(db_);
  const auto code = [&](const std::string& command, const std::string& arguments) {
    return CodeOf(control::DecodeReply(client.Ask(R"({"freyja":1,"command":")" + command +
                                                  R"(","arguments":)" + arguments + "}")));
  };
  EXPECT_EQ(code("no_such_command", "{}"), StatusCode::kUnsupported);
  for (const std::string command :
       {"stats", "segments", "status", "pause", "resume", "quarantine", "history"}) {
    EXPECT_EQ(code(command, "{}"), StatusCode::kOk) << command;
    EXPECT_EQ(code(command, R"({"x":1})"), StatusCode::kInvalidArgument) << command;
  }
  for (const std::string command :
       {"plan", "compact", "cancel", "set_limits", "job", "undo", "end_quarantine"}) {
    EXPECT_EQ(code(command, R"({"no_such_field":1})"), StatusCode::kInvalidArgument) << command;
  }
  EXPECT_EQ(code("job", "{}"), StatusCode::kInvalidArgument);
  EXPECT_EQ(code("job", R"({"id":"x"})"), StatusCode::kInvalidArgument);
  for (const std::string command : {"job", "undo", "end_quarantine"}) {
    EXPECT_EQ(code(command, R"({"id":77})"), StatusCode::kNotFound) << command;
  }
  EXPECT_EQ(code("compact", R"({"temp_dir":"relative"})"), StatusCode::kInvalidArgument);
  EXPECT_EQ(code("compact", R"({"min_space_saving":7})"), StatusCode::kInvalidArgument);
}

TEST_F(ControlTest, CloseEndsAClientThatWaitsForAJobAndRemovesTheSocket) {
  Open();
  MakeGarbage();
  StoreControl control = Control();
  auto job = StartPausedJob(control);
  std::atomic<bool> waits{false};
  std::optional<Result<CompactionReport>> outcome;
  std::thread waiter([&] {
    waits = true;
    outcome = job.WaitFor(seconds(60));
  });
  while (!waits) std::this_thread::yield();
  const auto begin = std::chrono::steady_clock::now();
  EXPECT_OK(store_->Close());
  EXPECT_LT(std::chrono::steady_clock::now() - begin, seconds(10));
  waiter.join();
  ASSERT_TRUE(outcome.has_value());
  // The job ended, or nobody was there any more to say so.
  EXPECT_TRUE(CodeOf(*outcome) == StatusCode::kClosed || CodeOf(*outcome) == StatusCode::kCancelled)
      << outcome->error().ToString();
  EXPECT_FALSE(std::filesystem::exists(std::filesystem::symlink_status(SocketPath())));
  EXPECT_EQ(CodeOf(control.GetStats()), StatusCode::kClosed);
}

TEST_F(ControlTest, ConnectionIsMadeAnewWhenTheStoreIsOpenedAgain) {
  Open();
  StoreControl control = Control();
  EXPECT_OK(control.Pause());
  store_.reset();
  EXPECT_EQ(CodeOf(control.GetStats()), StatusCode::kClosed);
  Open();
  EXPECT_FALSE(Must(control.GetStatus()).paused);
}

TEST_F(ControlTest, SocketOfAKilledProcessIsReplaced) {
  const pid_t child = ::fork();
  if (child == 0) {
    const auto opened = KVStore::Open(db_, WithControl());
    if (opened) ::kill(::getpid(), SIGKILL);
    ::_exit(1);
  }
  int ended = 0;
  ASSERT_EQ(::waitpid(child, &ended, 0), child);
  ASSERT_TRUE(WIFSIGNALED(ended));
  ASSERT_TRUE(std::filesystem::is_socket(SocketPath()));
  EXPECT_EQ(CodeOf(StoreControl::Connect(db_)), StatusCode::kNotFound);
  Open();
  EXPECT_OK(Control().Pause());
  // And it is in nobody's way where the option is off.
  store_.reset();
  Options options = WithControl();
  options.control_socket = false;
  Open(options);
  EXPECT_OK(store_->VerifyChecksums());
}

TEST_F(ControlTest, StoreInADirectoryWithALongPath) {
  const std::filesystem::path deep =
      root_.path() / std::string(100, 'a') / std::string(100, 'b') / "db";
  std::filesystem::create_directories(deep.parent_path());
  const auto store = Must(KVStore::Open(deep, WithControl()));
  EXPECT_OK(Must(StoreControl::Connect(deep)).Pause());
  EXPECT_TRUE(store->GetStats().scheduler.paused);
}

TEST_F(ControlTest, SocketIsFoundAndRemovedFromAnotherWorkingDirectory) {
  const std::filesystem::path before = std::filesystem::current_path();
  std::filesystem::current_path(root_.path());
  auto store = Must(KVStore::Open("db", WithControl()));
  std::filesystem::current_path(before);
  EXPECT_OK(Control().Pause());
  store->parts().control->Shutdown();
  EXPECT_FALSE(std::filesystem::exists(std::filesystem::symlink_status(SocketPath())));
}

TEST_F(ControlTest, StoreOpenedByARelativePathOutlivesAChangeOfTheWorkingDirectory) {
  const std::filesystem::path before = std::filesystem::current_path();
  std::filesystem::current_path(root_.path());
  store_ = Must(KVStore::Open("db", WithControl()));
  std::filesystem::current_path(before);
  EXPECT_EQ(store_->path(), db_);
  MakeGarbage();
  EXPECT_TRUE(Must(HotSwapCompactor(*store_, {.seal_active = true}).Compact()).ran);
  EXPECT_OK(store_->VerifyChecksums());
  EXPECT_OK(store_->Close());
}

TEST_F(ControlTest, OpenFailsWhereTheSocketCannotBeMade) {
  Open();
  store_.reset();
  Options options = WithControl();
  options.create_if_missing = false;
  options.read_only = true;
  EXPECT_EQ(CodeOf(KVStore::Open(db_, options)), StatusCode::kInvalidArgument);
  std::filesystem::create_directory(SocketPath());
  EXPECT_EQ(CodeOf(KVStore::Open(db_, WithControl())), StatusCode::kAlreadyExists);
  std::filesystem::remove(SocketPath());
  Open();  // the lock was given back
}

TEST(ControlInMemoryTest, IsRefusedWithoutARealDirectory) {
  const auto opened = api::OpenStore("/store", WithControl(),
                                     {.file_system = std::make_shared<io::MemoryFileSystem>(),
                                      .clock = std::make_shared<base::SystemClock>(),
                                      .random = std::make_shared<base::SystemRandom>()});
  EXPECT_EQ(CodeOf(opened), StatusCode::kUnsupported);
}

TEST_F(ControlTest, ManyClientsAskWhileWritersWrite) {
  Options options = WithControl();
  options.scheduler.enabled = true;
  Open(options);
  std::atomic<bool> stop{false};
  std::thread writer([&] {
    while (!stop) MakeGarbage(1);
  });
  std::vector<std::thread> clients;
  for (int i = 0; i < 8; ++i) {
    clients.emplace_back([this] {
      StoreControl control = Control();
      for (int n = 0; n < 100; ++n) {
        EXPECT_EQ(CodeOf(control.GetStats()), StatusCode::kOk);
        EXPECT_EQ(CodeOf(control.Plan({})), StatusCode::kOk);
        EXPECT_EQ(CodeOf(control.GetSegments()), StatusCode::kOk);
      }
    });
  }
  for (std::thread& client : clients) client.join();
  stop = true;
  writer.join();
  EXPECT_OK(store_->Close());
}

}  // namespace
}  // namespace freyja
