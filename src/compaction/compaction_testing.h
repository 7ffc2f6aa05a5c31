// What the tests of compaction share: a small store in memory, its expected contents, and
// jobs that run on the test's own thread.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "base/mutex.h"
#include "compaction/events.h"
#include "compaction/expiry.h"
#include "compaction/job.h"
#include "engine/store_testing.h"

namespace freyja::compaction::testing {

using engine::testing::CodeOf;
using engine::testing::Get;
using engine::testing::kPath;
using engine::testing::Machine;
using engine::testing::Model;
using engine::testing::Must;
using engine::testing::ValueOf;

// Keeps the events of a store.
class EventLog {
 public:
  CompactionListener Listener() {
    return [this](const CompactionEvent& event) {
      base::MutexLock lock(mutex_);
      events_.push_back(event);
    };
  }
  std::vector<CompactionEvent> All() const {
    base::MutexLock lock(mutex_);
    return events_;
  }
  std::vector<CompactionEventType> Types() const {
    std::vector<CompactionEventType> types;
    for (const auto& event : All()) types.push_back(event.type);
    return types;
  }

 private:
  mutable base::Mutex mutex_;
  std::vector<CompactionEvent> events_ FREYJA_GUARDED_BY(mutex_);
};

// A store, the map it must equal, and jobs.
class Fixture {
 public:
  Fixture() { Open(); }
  explicit Fixture(unsigned worker_threads) {
    options.worker_threads = worker_threads;
    Open();
  }
  explicit Fixture(Machine on) : machine(std::move(on)) { Open(); }

  void Open() {
    store = engine::testing::Open(machine, options);
    expiry = std::make_unique<ExpiryClock>(store->clock());
  }
  void Reopen() {
    EXPECT_OK(store->Close());
    store.reset();
    Open();
  }
  // Goes on with what a crash at this moment leaves. The old store is closed.
  void Crash(io::CrashOptions::Mode mode, std::uint64_t seed = 0) {
    Machine after = machine.AfterCrash(mode, seed);
    after.clock = machine.clock;
    store.reset();
    machine = after;
    Open();
  }

  void Put(const std::string& key, const std::string& value, std::uint64_t expires_at_ms = 0) {
    engine::testing::Put(*store, key, value, Sync::kNone, expires_at_ms);
    model[key] = value;
  }
  void Delete(const std::string& key) {
    EXPECT_EQ(engine::testing::Delete(*store, key), model.erase(key) != 0) << key;
  }
  // Seals what has been written since the last call; the id of that segment.
  std::uint64_t Seal() {
    EXPECT_OK(store->SealActive());
    std::uint64_t newest = 0;
    for (const auto& segment : store->GetSegments()) {
      if (segment.state == SegmentState::kSealed) newest = std::max(newest, segment.id);
    }
    return newest;
  }
  // Puts `count` keys "<prefix>0"... with values of that version.
  void PutMany(const std::string& prefix, int count, int version) {
    for (int i = 0; i < count; ++i) {
      const std::string key = prefix + std::to_string(i);
      Put(key, ValueOf(key, version));
    }
  }
  // A sealed segment of which `dead` of ten records are dead; the dead ones' newer versions
  // are in a segment of their own.
  void MakeGarbage(const std::string& prefix, int dead) {
    PutMany(prefix, 10, 1);
    Seal();
    PutMany(prefix, dead, 2);
    Seal();
  }
  // Sealed segments with something dead in each, beside `count` live values of `bytes`.
  void MakeLongGarbage(const std::string& prefix, int count, std::size_t bytes) {
    for (int i = 0; i < count; ++i) {
      const std::string key = prefix + std::to_string(i);
      Put(key, ValueOf(key, 1, bytes));
      Put("dead", ValueOf("dead", i, 2500));
    }
    Put("dead", "short");
    Seal();
    EXPECT_OK(store->Sync());
    engine::testing::WaitUntilIdle(*store);
  }

  Result<CompactionReport> Run(JobState& state) {
    return HotSwapJob(*store, *expiry, events, state).Run();
  }
  Result<CompactionReport> Compact(HotSwapConfig config = {}) {
    JobState state(++jobs, std::move(config));
    return Run(state);
  }
  // A job that is expected to find something to do and to succeed.
  CompactionReport MustCompact(HotSwapConfig config = {}) {
    CompactionReport report = Must(Compact(std::move(config)));
    EXPECT_TRUE(report.ran) << report.reason;
    return report;
  }
  static HotSwapConfig Everything() { return {.min_space_saving = 0.0, .seal_active = true}; }

  void ExpectModel() const {
    EXPECT_EQ(engine::testing::Contents(*store), model);
    engine::testing::ExpectConsistent(*store);
  }
  // In this process, after a clean close, and after a power cut.
  void ExpectModelForGood() {
    ExpectModel();
    Reopen();
    ExpectModel();
  }
  std::vector<std::string> FileNames() const { return Must(machine.fs->List(kPath)); }
  // The highest id of a segment that has a file.
  std::uint64_t NewestFile() const {
    std::uint64_t newest = 0;
    for (const std::string& name : FileNames()) {
      newest = std::max(newest, format::ParseFileName(name).segment_id);
    }
    return newest;
  }
  bool HasFile(std::uint64_t id) const {
    return engine::testing::FileExists(machine, format::DataFileName(id));
  }

  Machine machine;
  Options options = engine::testing::SmallOptions();
  EventDispatcher events;
  std::unique_ptr<engine::Store> store;
  std::unique_ptr<ExpiryClock> expiry;
  Model model;
  std::uint64_t jobs = 0;
};

// Calls `action` once, before the calling thread's first operation of `kind` on a path that
// contains `part`. The action may use the file system and the store.
inline void Before(io::MemoryFileSystem& fs, io::Operation kind, std::string part,
                   std::function<void()> action) {
  const auto done = std::make_shared<bool>(false);
  const auto thread = std::this_thread::get_id();
  fs.SetOperationHook(
      [=, action = std::move(action)](io::Operation operation, const std::filesystem::path& path) {
        if (std::this_thread::get_id() != thread || *done || operation != kind) return;
        if (!path.native().contains(part)) return;
        *done = true;
        action();
      });
}

}  // namespace freyja::compaction::testing
