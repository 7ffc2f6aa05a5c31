// Outputs that are sealed beside the job that copies the next ones.
#include <gtest/gtest.h>
#include <pthread.h>

#include <atomic>
#include <chrono>
#include <map>
#include <set>
#include <system_error>
#include <thread>

#include "base/mutex.h"
#include "base/sanitizer.h"
#include "compaction/compaction_testing.h"

namespace freyja::compaction {
namespace {

using engine::testing::FilesOf;
using io::Operation;
using testing::CodeOf;
using testing::Fixture;
using testing::Must;

const HotSwapConfig kConfig{.min_space_saving = 0.1};
constexpr std::size_t kOutputs = 4;

// Victims whose live records fill kOutputs segments.
void Prepare(Fixture& f) { f.MakeLongGarbage("k", static_cast<int>(2 * kOutputs), 7000); }

// The threads that synced data files, by segment, since the log was made.
class SyncLog {
 public:
  explicit SyncLog(Fixture& f) : fs_(*f.machine.fs) {
    fs_.SetOperationHook([this](Operation operation, const std::filesystem::path& path) {
      const auto file = format::ParseFileName(path.filename().native());
      if (operation != Operation::kSync || file.kind != format::FileKind::kData) return;
      base::MutexLock lock(mutex_);
      threads_[path.filename().native()] = std::this_thread::get_id();
    });
  }
  SyncLog(const SyncLog&) = delete;
  SyncLog& operator=(const SyncLog&) = delete;
  ~SyncLog() { fs_.SetOperationHook({}); }

  std::set<std::thread::id> Of(const std::vector<std::string>& files) const {
    base::MutexLock lock(mutex_);
    std::set<std::thread::id> threads;
    for (const std::string& file : files) threads.insert(threads_.at(file));
    return threads;
  }

 private:
  io::MemoryFileSystem& fs_;
  mutable base::Mutex mutex_;
  std::map<std::string, std::thread::id> threads_ FREYJA_GUARDED_BY(mutex_);
};

TEST(SealingTest, IsTheJobsOwnWithOneThreadOrARateAndBesideItElse) {
  struct Case {
    unsigned worker_threads;
    std::uint64_t rate;
    std::filesystem::path temp_dir;
    bool beside;
  };
  for (const auto& [worker_threads, rate, temp_dir, beside] :
       {Case{1, 0, "", false}, Case{2, std::uint64_t{1} << 40, "", false}, Case{2, 0, "", true},
        Case{2, 0, "/temp", true}}) {
    SCOPED_TRACE(::testing::Message() << worker_threads << " threads, rate " << rate << temp_dir);
    Fixture f(worker_threads);
    EXPECT_OK(f.machine.fs->CreateDirectory("/temp"));
    Prepare(f);
    const SyncLog syncs(f);
    HotSwapConfig config = kConfig;
    config.temp_dir = temp_dir;
    JobState state(1, config);
    state.throttle().SetRate(rate);
    const CompactionReport report = Must(f.Run(state));
    ASSERT_EQ(report.output_files.size(), kOutputs);
    EXPECT_GT(report.bytes_after, 2 * kOutputs * 7000);
    EXPECT_EQ(syncs.Of(report.output_files).contains(std::this_thread::get_id()), !beside);
    EXPECT_EQ(Must(f.machine.fs->List("/temp")), std::vector<std::string>{});
    f.ExpectModelForGood();
  }
}

TEST(SealingTest, WithoutAThreadToBeHadItIsTheJobsOwn) {
  if (base::kWithSanitizer) GTEST_SKIP() << "a sanitizer ends a process that gets no thread";
  Fixture f(2);
  Prepare(f);
  pthread_attr_t usual;
  pthread_attr_t too_large;
  ASSERT_EQ(pthread_getattr_default_np(&usual), 0);
  ASSERT_EQ(pthread_attr_init(&too_large), 0);
  ASSERT_EQ(pthread_attr_setstacksize(&too_large, std::size_t{1} << 47), 0);
  ASSERT_EQ(pthread_setattr_default_np(&too_large), 0);
  EXPECT_THROW(std::thread([] {}).join(), std::system_error);
  const SyncLog syncs(f);
  const CompactionReport report = f.MustCompact(kConfig);
  ASSERT_EQ(pthread_setattr_default_np(&usual), 0);
  EXPECT_TRUE(syncs.Of(report.output_files).contains(std::this_thread::get_id()));
  f.ExpectModelForGood();
}

// One that is limited may not be faster than its rate, re-reading included.
TEST(SealingTest, WhatIsReadAgainIsPaidFor) {
  constexpr std::uint64_t kMiB = std::uint64_t{1} << 20;
  Fixture f(2);
  f.MakeLongGarbage("k", 500, 7000);
  JobState state(1, kConfig);
  state.throttle().SetRate(64 * kMiB);
  const auto began = std::chrono::steady_clock::now();
  const CompactionReport report = Must(f.Run(state));
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - began;
  const std::uint64_t moved =
      report.counters.bytes_read + report.counters.bytes_copied + report.bytes_after;
  EXPECT_GT(moved, 10 * kMiB);
  // A burst is saved up, another one is not paid for yet.
  EXPECT_GT(took.count(), static_cast<double>(moved - 2 * kMiB) / (64 * kMiB));
}

// --- Jobs that end while an output is being sealed --------------------------------------

// Calls one of two actions before an operation on an output's data file: of the job, which is on
// this thread, or of who seals for it.
void BeforeOutputs(Fixture& f, std::function<void(Operation)> of_job,
                   std::function<void(Operation, const std::string&)> of_sealing) {
  f.machine.fs->SetOperationHook(
      [job = std::this_thread::get_id(), newest = f.NewestFile(), of_job = std::move(of_job),
       of_sealing = std::move(of_sealing)](Operation operation, const std::filesystem::path& path) {
        const auto file = format::ParseFileName(path.filename().native());
        if (file.kind != format::FileKind::kData || file.segment_id <= newest) return;
        if (std::this_thread::get_id() == job) return of_job(operation);
        of_sealing(operation, path.native());
      });
}
void Linger() { std::this_thread::sleep_for(std::chrono::milliseconds(10)); }

// The job fails, or is stopped, as it makes its second output, and the sealing of the first then.
TEST(SealingTest, AJobThatEndsBeforeItLeavesNoTraceAndTellsItsError) {
  for (const auto code : {StatusCode::kNoSpace, StatusCode::kCancelled}) {
    SCOPED_TRACE(StatusCodeName(code));
    Fixture f(2);
    Prepare(f);
    const auto files = FilesOf(f.machine);
    std::atomic<bool> sealing = false;
    std::atomic<bool> ended = false;
    int made = 0;
    BeforeOutputs(
        f,
        [&](Operation operation) {
          if (operation != Operation::kCreate || ++made != 2) return;
          while (!sealing.load()) std::this_thread::yield();
          f.machine.fs->InjectFault(
              {.operations = {Operation::kCreate}, .status = Status(code, "no second output")});
          ended.store(true);
        },
        [&](Operation operation, const std::string& path) {
          if (operation != Operation::kSync) return;
          sealing.store(true);
          while (!ended.load()) std::this_thread::yield();
          Linger();
          f.machine.fs->InjectFault({.operations = {Operation::kSync}, .path_contains = path});
        });
    EXPECT_EQ(CodeOf(f.Compact(kConfig)), code);
    f.machine.fs->SetOperationHook({});
    EXPECT_EQ(f.store->GetStats().background_error.code(),
              code == StatusCode::kCancelled ? StatusCode::kIoError : code);
    EXPECT_EQ(FilesOf(f.machine), files);
    f.ExpectModel();
    f.MustCompact(kConfig);
    f.ExpectModelForGood();
  }
}

TEST(SealingTest, WithoutMemoryForItTheJobRollsBack) {
  Fixture f(2);
  Prepare(f);
  const auto files = FilesOf(f.machine);
  BeforeOutputs(
      f, [](Operation) {},
      [&](Operation operation, const std::string& path) {
        if (operation != Operation::kSync) return;
        f.machine.fs->InjectFault(
            {.operations = {operation}, .path_contains = path, .no_memory = true});
      });
  EXPECT_EQ(CodeOf(f.Compact(kConfig)), StatusCode::kOutOfMemory);
  f.machine.fs->SetOperationHook({});
  EXPECT_EQ(FilesOf(f.machine), files);
  f.ExpectModelForGood();
}

TEST(SealingTest, NothingIsCommittedBeforeEachIsReadAgain) {
  Fixture f(2);
  Prepare(f);
  const std::uint64_t before = f.store->manifest().generation();
  std::set<std::string> read;
  BeforeOutputs(
      f, [](Operation) {},
      [&](Operation operation, const std::string& path) {
        if (operation != Operation::kRead) return;
        Linger();
        EXPECT_EQ(f.store->manifest().generation(), before);
        read.insert(path);
      });
  f.MustCompact(kConfig);
  f.machine.fs->SetOperationHook({});
  EXPECT_EQ(read.size(), kOutputs);
  f.ExpectModelForGood();
}

}  // namespace
}  // namespace freyja::compaction
