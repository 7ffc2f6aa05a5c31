// Jobs of several steps: what each leaves, what a stop or a crash between them costs.
#include "compaction/steps.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "compaction/compaction_testing.h"

namespace freyja::compaction {
namespace {

using engine::testing::FilesOf;
using io::Operation;
using testing::Before;
using testing::CodeOf;
using testing::EventLog;
using testing::Fixture;
using testing::Must;

constexpr int kGroups = 5;

class StepsTest : public ::testing::Test {
 protected:
  // Five sealed segments, each half dead, and five with what replaced the dead halves.
  // Background work is done, so that only the job is there to meet a fault.
  StepsTest() { MakeGarbage(f_); }
  static void MakeGarbage(Fixture& fixture) {
    for (int i = 0; i < kGroups; ++i) fixture.MakeGarbage("group" + std::to_string(i) + "/", 5);
    engine::testing::WaitUntilIdle(*fixture.store);
  }
  static HotSwapConfig OneSegmentAStep() { return {.min_space_saving = 0.25, .step_bytes = 1}; }

  Result<CompactionReport> Run(const HotSwapConfig& config) {
    JobState state(++f_.jobs, config);
    return Run(state);
  }
  Result<CompactionReport> Run(JobState& state) {
    return RunInSteps(*f_.store, *f_.expiry, f_.events, state);
  }
  std::uint64_t DeadSealedBytes() const {
    std::uint64_t dead = 0;
    for (const SegmentInfo& segment : f_.store->GetSegments()) {
      if (segment.state == SegmentState::kSealed) dead += segment.dead_bytes;
    }
    return dead;
  }
  std::uint64_t Generation() const { return f_.store->GetStats().manifest_generation; }

  // Calls action() before the n-th operation of `kind` of this thread on a path that ends so.
  static void BeforeNth(int n, io::MemoryFileSystem& fs, Operation kind, std::string_view ending,
                        std::function<void()> action) {
    const auto seen = std::make_shared<int>(0);
    const auto thread = std::this_thread::get_id();
    fs.SetOperationHook([=, end = std::string(ending), action = std::move(action)](
                            Operation operation, const std::filesystem::path& path) {
      if (std::this_thread::get_id() != thread || operation != kind) return;
      if (path.native().ends_with(end) && ++*seen == n) action();
    });
  }

  EventLog log_;
  Fixture f_;
};

TEST_F(StepsTest, EachStepCommitsByItselfAndTheReportHasTheirSum) {
  const CompactionReport report = Must(Run(OneSegmentAStep()));
  EXPECT_TRUE(report.ran);
  EXPECT_OK(report.stopped);
  EXPECT_EQ(report.steps, kGroups);
  EXPECT_EQ(report.input_files.size(), std::size_t{kGroups});
  EXPECT_EQ(report.output_files.size(), std::size_t{kGroups});
  EXPECT_EQ(report.counters.records_read, 10u * kGroups);
  EXPECT_EQ(report.counters.records_copied, 5u * kGroups);
  EXPECT_EQ(report.space_saved,
            static_cast<std::int64_t>(report.bytes_before - report.bytes_after));
  EXPECT_EQ(f_.store->GetStats().compactions_completed, std::uint64_t{kGroups});
  EXPECT_EQ(DeadSealedBytes(), 0u);
  f_.ExpectModelForGood();
}

TEST_F(StepsTest, WithoutABoundTheWholeJobIsOneStep) {
  const CompactionReport report = Must(Run({.min_space_saving = 0.25, .step_bytes = 0}));
  EXPECT_EQ(report.steps, 1u);
  EXPECT_EQ(report.input_files.size(), std::size_t{kGroups});
  f_.ExpectModelForGood();
}

TEST_F(StepsTest, EveryStepReportsItselfUnderTheJobsId) {
  f_.events.Add(log_.Listener());
  EXPECT_TRUE(Run(OneSegmentAStep()).has_value());
  f_.events.Shutdown();
  int completed = 0;
  for (const CompactionEvent& event : log_.All()) {
    EXPECT_EQ(event.job_id, 1u);
    if (event.type == CompactionEventType::kCompleted) ++completed;
  }
  EXPECT_EQ(completed, kGroups);
}

TEST_F(StepsTest, ACancelLosesOnlyTheStepInProgressAndTheNextJobGoesOn) {
  JobState state(1, OneSegmentAStep());
  // The second step commits all the same.
  BeforeNth(2, *f_.machine.fs, Operation::kRename, format::kManifestName, [&] { state.Cancel(); });
  const CompactionReport report = Must(Run(state));
  f_.machine.fs->SetOperationHook({});
  EXPECT_TRUE(report.ran);
  EXPECT_EQ(report.stopped.code(), StatusCode::kCancelled);
  EXPECT_EQ(report.steps, 2u);
  EXPECT_GT(report.space_saved, 0);
  f_.ExpectModel();

  const CompactionReport rest = Must(Run(OneSegmentAStep()));
  EXPECT_EQ(rest.steps, std::uint64_t{kGroups - 2});
  EXPECT_EQ(DeadSealedBytes(), 0u);
  f_.ExpectModelForGood();
}

TEST_F(StepsTest, ACancelInTheFirstStepChangesNothing) {
  JobState state(1, OneSegmentAStep());
  const auto files = FilesOf(f_.machine);
  Before(*f_.machine.fs, Operation::kCreate, ".data", [&] { state.Cancel(); });
  EXPECT_EQ(CodeOf(Run(state)), StatusCode::kCancelled);
  f_.machine.fs->SetOperationHook({});
  EXPECT_EQ(FilesOf(f_.machine), files);
  f_.ExpectModel();
}

TEST_F(StepsTest, AnErrorIsReportedThoughEarlierStepsStay) {
  BeforeNth(3, *f_.machine.fs, Operation::kCreate, ".data", [&] {
    f_.machine.fs->InjectFault({.operations = {Operation::kSync}, .path_contains = ".data"});
  });
  const auto result = Run(OneSegmentAStep());
  f_.machine.fs->SetOperationHook({});
  EXPECT_FALSE(result.has_value());
  EXPECT_EQ(f_.store->GetStats().compactions_completed, 2u);
  EXPECT_EQ(f_.store->GetStats().compactions_failed, 1u);
  f_.ExpectModelForGood();
}

TEST_F(StepsTest, WhatIsWrittenMeanwhileIsLeftForLaterSoThatTheJobEnds) {
  int rounds = 0;
  bool busy = false;
  const auto thread = std::this_thread::get_id();
  f_.machine.fs->SetOperationHook([&](Operation operation, const std::filesystem::path& path) {
    if (std::this_thread::get_id() != thread || busy || rounds >= 3 * kGroups) return;
    if (operation != Operation::kCreate || !path.native().ends_with(".hint")) return;
    busy = true;  // as much new garbage as this step takes away
    f_.MakeGarbage("later" + std::to_string(rounds++) + "/", 5);
    busy = false;
  });
  const auto report = Run(OneSegmentAStep());
  f_.machine.fs->SetOperationHook({});
  EXPECT_EQ(Must(report).steps, std::uint64_t{kGroups});
  EXPECT_EQ(rounds, kGroups);
  f_.ExpectModelForGood();
}

TEST_F(StepsTest, ABudgetEndsTheJobAfterTheStepThatUsesItUp) {
  HotSwapConfig config = OneSegmentAStep();
  config.max_input_bytes = 1;
  const CompactionReport one = Must(Run(config));
  EXPECT_EQ(one.steps, 1u);
  config.max_input_bytes = one.counters.bytes_read * 3 / 2;
  EXPECT_EQ(Must(Run(config)).steps, 2u);
  f_.ExpectModel();
}

TEST_F(StepsTest, ChosenSegmentsAreCompactedAndNoOthers) {
  std::vector<std::uint64_t> sealed;
  for (const SegmentInfo& segment : f_.store->GetSegments()) {
    if (segment.state == SegmentState::kSealed && segment.dead_bytes != 0) {
      sealed.push_back(segment.id);
    }
  }
  HotSwapConfig config = OneSegmentAStep();
  config.segments = {sealed.at(3), sealed.at(1)};
  CompactionReport report = Must(Run(config));
  EXPECT_EQ(report.steps, 2u);
  std::ranges::sort(report.input_files);
  EXPECT_EQ(report.input_files,
            (std::vector{format::DataFileName(sealed.at(1)), format::DataFileName(sealed.at(3))}));
  f_.ExpectModelForGood();
}

TEST_F(StepsTest, PowerFailsBetweenAnyTwoStepsAndNothingChangesButTheSpace) {
  for (int step = 1; step <= kGroups; ++step) {
    Fixture fixture;
    MakeGarbage(fixture);
    EXPECT_OK(fixture.store->Sync());
    JobState state(1, OneSegmentAStep());
    BeforeNth(step, *fixture.machine.fs, Operation::kRename, format::kManifestName,
              [&] { state.Cancel(); });
    EXPECT_TRUE(RunInSteps(*fixture.store, *fixture.expiry, fixture.events, state).has_value());
    fixture.machine.fs->SetOperationHook({});
    fixture.Crash(io::CrashOptions::Mode::kLoseAllUnsynced);
    fixture.ExpectModelForGood();
  }
}

}  // namespace
}  // namespace freyja::compaction
