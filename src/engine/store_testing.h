// What the tests of the engine and of compaction share: a machine in memory, and stores
// that are compared with a std::map.
#pragma once

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "base/mutex.h"
#include "engine/store.h"
#include "io/memory_file_system.h"
#include "io/test_support.h"

namespace freyja::engine::testing {

using io::testing::CodeOf;
using io::testing::Must;

class ManualClock final : public base::Clock {
 public:
  std::uint64_t WallMs() const override { return wall_ms_.load(); }
  std::chrono::steady_clock::time_point Monotonic() const override {
    return std::chrono::steady_clock::time_point(std::chrono::milliseconds(monotonic_ms_.load()));
  }
  void Pass(std::uint64_t ms) {
    wall_ms_.fetch_add(ms);
    monotonic_ms_.fetch_add(static_cast<std::int64_t>(ms));
  }
  void SetWall(std::uint64_t ms) { wall_ms_.store(ms); }

 private:
  std::atomic<std::uint64_t> wall_ms_{1'000'000};
  std::atomic<std::int64_t> monotonic_ms_{5'000};
};

class SeededRandom final : public base::Random {
 public:
  explicit SeededRandom(std::uint64_t seed) : engine_(seed) {}
  std::uint64_t Next64() override {
    base::MutexLock lock(mutex_);
    return engine_();
  }

 private:
  base::Mutex mutex_;
  std::mt19937_64 engine_ FREYJA_GUARDED_BY(mutex_);
};

// A disk, a clock and dice. Copies share them.
struct Machine {
  std::shared_ptr<io::MemoryFileSystem> fs = std::make_shared<io::MemoryFileSystem>();
  std::shared_ptr<ManualClock> clock = std::make_shared<ManualClock>();
  std::shared_ptr<SeededRandom> random = std::make_shared<SeededRandom>(1);

  Environment environment() const { return {.file_system = fs, .clock = clock, .random = random}; }

  // The machine as it comes up again after a crash at this moment.
  Machine AfterCrash(io::CrashOptions::Mode mode, std::uint64_t seed = 0) const {
    Machine other;
    other.fs = fs->CrashImage({.mode = mode, .seed = seed});
    return other;
  }
};

inline const std::filesystem::path kPath = "/db";

inline Options SmallOptions() {
  Options options;
  options.create_if_missing = true;
  options.sync = Sync::kNone;  // nothing happens by time
  options.segment_bytes = kMinSegmentBytes;
  options.reserve_bytes = 256 << 10;
  options.worker_threads = 1;
  return options;
}

inline Result<std::unique_ptr<Store>> TryOpen(const Machine& machine,
                                              const Options& options = SmallOptions()) {
  return Store::Open(kPath, options, machine.environment());
}
inline std::unique_ptr<Store> Open(const Machine& machine,
                                   const Options& options = SmallOptions()) {
  return Must(TryOpen(machine, options));
}

inline void Put(Store& store, std::string_view key, std::string_view value, Sync sync = Sync::kNone,
                std::uint64_t expires_at_ms = 0) {
  EXPECT_OK(store.Put(key, value, {.sync = sync, .expires_at_ms = expires_at_ms}));
}

inline bool Delete(Store& store, std::string_view key) { return Must(store.Delete(key, {})); }

inline std::optional<std::string> Get(const Store& store, std::string_view key) {
  std::string value;
  if (!Must(store.Get(key, value))) return std::nullopt;
  return value;
}

using Model = std::map<std::string, std::string>;

// All keys, by a walk; each is compared with its own get.
inline Model Contents(const Store& store) {
  Model contents;
  const auto iterator = Must(store.NewIterator());
  for (iterator->Next(); iterator->valid(); iterator->Next()) {
    const auto& record = iterator->record();
    const bool is_new = contents.emplace(record.key, record.value).second;
    EXPECT_TRUE(is_new) << record.key << " was walked twice";
  }
  EXPECT_OK(iterator->status());
  for (const auto& [key, value] : contents) EXPECT_EQ(Get(store, key), value) << key;
  return contents;
}

// Everything a healthy store must satisfy besides its contents.
inline void ExpectConsistent(const Store& store) {
  std::uint64_t live = 0;
  for (const SegmentInfo& segment : store.GetSegments()) {
    live += segment.live_records;
    EXPECT_LE(segment.live_bytes, segment.record_bytes) << segment.file;
  }
  EXPECT_EQ(live, store.GetStats().keys);
  EXPECT_OK(store.VerifyChecksums());
}

// Every file of a directory with its bytes.
using Files = std::map<std::string, std::vector<std::byte>>;
inline Files FilesOf(const io::MemoryFileSystem& fs, const std::vector<std::string>& names,
                     const std::filesystem::path& directory = kPath) {
  Files files;
  for (const std::string& name : names) files[name] = Must(fs.Contents(directory / name));
  return files;
}
inline Files FilesOf(const Machine& machine, const std::filesystem::path& directory = kPath) {
  return FilesOf(*machine.fs, Must(machine.fs->List(directory)), directory);
}

inline bool FileExists(const Machine& machine, const std::string& name) {
  return Must(machine.fs->Exists(kPath / name));
}

inline std::vector<std::string> SealedFiles(const Store& store) {
  std::vector<std::string> names;
  for (const SegmentInfo& segment : store.GetSegments()) {
    if (segment.state == SegmentState::kSealed) names.push_back(segment.file);
  }
  return names;
}

// Waits, without an upper bound of its own, for what a background thread is about to do.
template <class Condition>
void WaitUntil(Condition&& condition) {
  while (!condition()) std::this_thread::sleep_for(std::chrono::microseconds(200));
}

// Until the background thread has nothing left to do: a full segment sealed, the next one
// prepared, nothing retired waiting.
inline void WaitUntilIdle(Store& store) {
  WaitUntil([&] {
    bool prepared = false;
    bool busy = false;
    std::size_t in_log = 0;
    for (const SegmentInfo& segment : store.GetSegments()) {
      prepared |= segment.state == SegmentState::kPrepared;
      busy |= segment.state == SegmentState::kFull || segment.state == SegmentState::kRetired;
      const bool is_whole =
          segment.state == SegmentState::kSealed || segment.state == SegmentState::kQuarantined;
      in_log += is_whole ? 0 : 1;
    }
    if (busy) store.maintenance().Wake();
    return prepared && !busy && store.manifest().Current().log.size() == in_log;
  });
}

inline std::string ValueOf(std::string_view key, int version, std::size_t bytes = 100) {
  std::string value = std::string(key) + "#" + std::to_string(version) + "#";
  value.resize(std::max(bytes, value.size()), static_cast<char>('a' + version % 26));
  return value;
}

// A store and what must be in it.
class ModelledStoreTest : public ::testing::Test {
 protected:
  // Keys prefix0, prefix1, ...
  void Write(const std::string& prefix, int count, int version = 1) {
    for (int i = 0; i < count; ++i) {
      const std::string key = prefix + std::to_string(i);
      Put(*store_, key, model_[key] = ValueOf(key, version));
    }
  }
  void Remove(const std::string& key) {
    EXPECT_TRUE(Delete(*store_, key));
    model_.erase(key);
  }
  void Close() {
    EXPECT_OK(store_->Close());
    store_.reset();
  }
  void OpenAndExpectModel(const Options& options = SmallOptions()) {
    store_ = Open(machine_, options);
    EXPECT_EQ(Contents(*store_), model_);
    ExpectConsistent(*store_);
  }

  Machine machine_;
  std::unique_ptr<Store> store_ = Open(machine_);
  Model model_;
};

}  // namespace freyja::engine::testing
