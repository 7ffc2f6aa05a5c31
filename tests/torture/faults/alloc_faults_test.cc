// The library when memory runs out.
//
// This program's operator new fails the n-th allocation of the calling thread while it is told
// to. Every call of the API is repeated with n = 0, 1, 2, ... until it makes fewer allocations
// than that: it must succeed or report kOutOfMemory, throw nothing, and what it answers must be
// right. The store's own threads always get memory.
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <functional>
#include <limits>
#include <memory>
#include <new>
#include <string>
#include <utility>
#include <vector>

#include "api/store_parts.h"
#include "compaction/expiry.h"
#include "compaction/job.h"
#include "engine/store_testing.h"
#include "freyja/freyja.h"
#include "io/memory_file_system.h"
#include "io/test_support.h"
#include "support/history.h"
#include "support/store_contents.h"

namespace freyja::torture {
namespace {

constexpr std::uint64_t kNever = std::numeric_limits<std::uint64_t>::max();

// Allocations of this thread that still succeed; kNever: all of them.
thread_local std::uint64_t allocations_left = kNever;
thread_local bool failed_one = false;
thread_local bool fail_once = false;

bool MayAllocate() {
  if (allocations_left == kNever) return true;
  if (allocations_left > 0) {
    --allocations_left;
    return true;
  }
  failed_one = true;
  if (fail_once) allocations_left = kNever;
  return false;
}

// The calling thread gets no memory after `n` allocations while this lives; for good or, with
// `once`, for one allocation.
class OutOfMemory {
 public:
  OutOfMemory(std::uint64_t n, bool once) {
    failed_one = false;
    fail_once = once;
    allocations_left = n;
  }
  ~OutOfMemory() { allocations_left = kNever; }
  OutOfMemory(const OutOfMemory&) = delete;
  OutOfMemory& operator=(const OutOfMemory&) = delete;
};

void* Allocate(std::size_t bytes, std::size_t alignment) noexcept {
  if (!MayAllocate()) return nullptr;
  if (alignment <= alignof(std::max_align_t)) return std::malloc(bytes == 0 ? 1 : bytes);
  return std::aligned_alloc(alignment, (bytes + alignment - 1) / alignment * alignment);
}

void* AllocateOrThrow(std::size_t bytes, std::size_t alignment) {
  void* const memory = Allocate(bytes, alignment);
  if (memory == nullptr) throw std::bad_alloc();
  return memory;
}

}  // namespace
}  // namespace freyja::torture

using freyja::torture::Allocate;
using freyja::torture::AllocateOrThrow;
// Not inlined: a compiler that sees malloc in one and delete in the other warns.
constexpr std::size_t kUsual = alignof(std::max_align_t);

[[gnu::noinline]] void* operator new(std::size_t bytes) { return AllocateOrThrow(bytes, kUsual); }
[[gnu::noinline]] void* operator new[](std::size_t bytes) { return AllocateOrThrow(bytes, kUsual); }
[[gnu::noinline]] void* operator new(std::size_t bytes, std::align_val_t alignment) {
  return AllocateOrThrow(bytes, static_cast<std::size_t>(alignment));
}
[[gnu::noinline]] void* operator new[](std::size_t bytes, std::align_val_t alignment) {
  return AllocateOrThrow(bytes, static_cast<std::size_t>(alignment));
}
[[gnu::noinline]] void* operator new(std::size_t bytes, const std::nothrow_t&) noexcept {
  return Allocate(bytes, kUsual);
}
[[gnu::noinline]] void* operator new[](std::size_t bytes, const std::nothrow_t&) noexcept {
  return Allocate(bytes, kUsual);
}
[[gnu::noinline]] void operator delete(void* memory) noexcept { std::free(memory); }
[[gnu::noinline]] void operator delete[](void* memory) noexcept { std::free(memory); }
[[gnu::noinline]] void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }
[[gnu::noinline]] void operator delete[](void* memory, std::size_t) noexcept { std::free(memory); }
[[gnu::noinline]] void operator delete(void* memory, std::align_val_t) noexcept {
  std::free(memory);
}
[[gnu::noinline]] void operator delete[](void* memory, std::align_val_t) noexcept {
  std::free(memory);
}
[[gnu::noinline]] void operator delete(void* memory, std::size_t, std::align_val_t) noexcept {
  std::free(memory);
}
[[gnu::noinline]] void operator delete[](void* memory, std::size_t, std::align_val_t) noexcept {
  std::free(memory);
}

namespace freyja::torture {
namespace {

// What a call came to under one allocation failure.
struct Outcome {
  bool failed_one = false;  // whether an allocation did fail
  std::string thrown;
  Status status;
};

class AllocationFaultsTest : public ::testing::TestWithParam<bool> {
 protected:
  AllocationFaultsTest() {
    options_.create_if_missing = true;
    options_.scheduler.enabled = false;
    options_.sync = Sync::kNone;
    options_.segment_bytes = kMinSegmentBytes;
    options_.reserve_bytes = 256 << 10;
    options_.worker_threads = 1;
    Open();
    for (int i = 0; i < 60; ++i) Put("key" + std::to_string(i % 20), 500);
  }

  void Open() {
    auto opened = KVStore::Open(path_, options_);
    ASSERT_TRUE(opened.has_value()) << opened.error().ToString();
    store_ = *std::move(opened);
  }
  void Put(const std::string& key, std::size_t bytes) {
    const std::string value = support::MakeValue(key, ++number_, bytes);
    ASSERT_TRUE(store_->Put(key, value).ok());
    contents_[key] = value;
  }

  // The same contents without the segments that recoveries have added: with each there is more to
  // allocate.
  void StartOver() {
    store_.reset();
    std::filesystem::remove_all(path_);
    Open();
    for (const auto& [key, value] : contents_) ASSERT_TRUE(store_->Put(key, value).ok());
  }

  Outcome Try(std::uint64_t n, const std::function<Status()>& call) {
    Outcome outcome;
    {
      const OutOfMemory none(n, once_);
      try {
        outcome.status = call();
      } catch (const std::exception&) {
        allocations_left = kNever;
        outcome.thrown = "threw";
      }
    }
    outcome.failed_one = failed_one;
    return outcome;
  }

  // The other answer of a write: its record could not be made visible but may be found later.
  bool MayBeStored(const Outcome& outcome) const {
    return outcome.status.code() == StatusCode::kIoError && store_ != nullptr &&
           store_->GetStats().read_only;
  }

  // Repeats `call` with fewer and fewer failures; `after` is called after each, with memory.
  // Returns how often an allocation failed.
  std::uint64_t Sweep(const std::string& name, const std::function<Status()>& call,
                      const std::function<void(const Outcome&)>& after = {}) {
    constexpr std::uint64_t kMost = 20'000;
    for (std::uint64_t n = 0; n < kMost; ++n) {
      const Outcome outcome = Try(n, call);
      EXPECT_EQ(outcome.thrown, "") << name << ", allocation " << n;
      EXPECT_TRUE(outcome.status.ok() || outcome.status.code() == StatusCode::kOutOfMemory ||
                  MayBeStored(outcome))
          << name << ", allocation " << n << ": " << outcome.status.ToString();
      if (after) after(outcome);
      if (HasFailure() || !outcome.failed_one) return n;
    }
    ADD_FAILURE() << name << " allocates without end";
    return kMost;
  }

  // In memory if there is such a file system: nobody waits for a disk there.
  static const char* Place() {
    if (::access("/dev/shm", W_OK) == 0) ::setenv("TMPDIR", "/dev/shm", /*replace=*/1);
    return ::getenv("TMPDIR");
  }

  bool once_ = GetParam();
  const char* const place_ = Place();
  io::testing::TemporaryDirectory temporary_;
  const std::filesystem::path path_ = temporary_.path() / "store";
  Options options_;
  std::uint64_t number_ = 0;
  support::Contents contents_;
  std::unique_ptr<KVStore> store_;
};
INSTANTIATE_TEST_SUITE_P(, AllocationFaultsTest, ::testing::Bool(), [](const auto& test) {
  return std::string(test.param ? "Once" : "ForGood");
});

template <typename T>
Status StatusOf(const Result<T>& result) {
  return result ? Status::Ok() : result.error();
}

TEST_P(AllocationFaultsTest, ReadsSucceedOrSayThatMemoryIsOut) {
  EXPECT_GT(Sweep("Get", [&] { return StatusOf(store_->Get("key1")); }), 0u);
  Sweep("Get of nothing", [&] { return StatusOf(store_->Get("nothing")); });
  Sweep("GetPinned", [&] { return StatusOf(store_->GetPinned("key1")); });
  const std::vector<std::string_view> keys = {"key1", "key2", "nothing"};
  Sweep("VerifyChecksums", [&] { return store_->VerifyChecksums(); });
  EXPECT_EQ(support::CompareReads(*store_, contents_), "");
}

// Without any memory at all not even the vector of the answers can be returned.
TEST_P(AllocationFaultsTest, ManyReadsSucceedOrSayThatMemoryIsOut) {
  once_ = true;
  const std::vector<std::string_view> keys = {"key1", "key2", "nothing"};
  EXPECT_GT(Sweep("MultiGet",
                  [&]() -> Status {
                    for (const auto& one : store_->MultiGet(keys)) {
                      if (!one) return one.error();
                    }
                    return Status::Ok();
                  }),
            0u);
  std::vector<std::string> values(keys.size());
  EXPECT_GT(Sweep("MultiGet into buffers",
                  [&]() -> Status {
                    for (std::string& value : values) std::string().swap(value);
                    for (const auto& one : store_->MultiGet(keys, values)) {
                      if (!one) {
                        EXPECT_TRUE(std::ranges::all_of(values, &std::string::empty));
                        return one.error();
                      }
                    }
                    return Status::Ok();
                  }),
            0u);
}

TEST_P(AllocationFaultsTest, AnIteratorShowsEverythingOrSaysThatMemoryIsOut) {
  EXPECT_GT(Sweep("NewIterator and Next",
                  [&]() -> Status {
                    auto it = store_->NewIterator();
                    if (!it) return it.error();
                    std::size_t seen = 0;
                    for (it->Next(); it->Valid(); it->Next()) ++seen;
                    if (!it->status().ok()) return it->status();
                    return seen == contents_.size() ? Status::Ok()
                                                    : Status(StatusCode::kCorruption, "too few");
                  }),
            0u);
}

TEST_P(AllocationFaultsTest, AWriteHappensOrDoesNotAndTheStoreOpensAgain) {
  WriteBatch batch;
  batch.Put("key3", "a value of a batch");
  batch.Put("key4", "another value of a batch");
  std::uint64_t failed = 0;
  for (const char* kind : {"put", "put under an iterator", "delete", "batch"}) {
    const std::string what(kind);
    failed += Sweep(
        what,
        [&]() -> Status {
          const std::string_view key = "key3";
          if (what == "put") return store_->Put(key, "a value that is longer than a short one");
          if (what == "put under an iterator") {
            const auto iterator = store_->NewIterator();  // for which the old value is saved
            if (!iterator) return iterator.error();
            return store_->Put(key, "another value, also longer than a short one");
          }
          if (what == "delete") return StatusOf(store_->Delete(key));
          return store_->Write(batch);
        },
        [&](const Outcome& outcome) {
          const auto now = support::ReadContents(*store_);
          ASSERT_TRUE(now.has_value()) << now.error().ToString();
          const bool read_only = store_->GetStats().read_only;
          if (!outcome.status.ok() && !read_only) {
            EXPECT_EQ(*now, contents_) << what << " failed";
          }
          const support::Contents before = std::exchange(contents_, *now);
          if (!read_only) return;
          EXPECT_FALSE(store_->Close().ok());
          store_.reset();
          Open();
          const auto found = support::ReadContents(*store_);
          ASSERT_TRUE(found.has_value());
          if (outcome.status.code() == StatusCode::kOutOfMemory) {
            EXPECT_EQ(*found, before) << what << " said that nothing is stored";
          }
          contents_ = *found;
        });
  }
  EXPECT_GE(failed, 3u);
}

TEST_P(AllocationFaultsTest, SyncSucceedsOrSaysThatMemoryIsOut) {
  Sweep(
      "Sync", [&] { return store_->Sync(); },
      [&](const Outcome& outcome) {
        EXPECT_FALSE(store_->GetStats().read_only) << outcome.status.ToString();
        Put("key5", 300);
      });
  EXPECT_EQ(support::CompareReads(*store_, contents_), "");
}

TEST_P(AllocationFaultsTest, ClosingSucceedsOrSaysThatMemoryIsOutAndLosesNothing) {
  Sweep(
      "Close", [&] { return store_->Close(); },
      [&](const Outcome&) {
        store_.reset();
        Open();
        ASSERT_EQ(support::CompareReads(*store_, contents_), "");
        StartOver();
        Put("key6", 700);
      });
}

TEST_P(AllocationFaultsTest, OpeningSucceedsOrSaysThatMemoryIsOutAndLosesNothing) {
  ASSERT_TRUE(store_->Close().ok());
  store_.reset();
  std::unique_ptr<KVStore> opened;
  EXPECT_GT(Sweep(
                "Open",
                [&]() -> Status {
                  auto store = KVStore::Open(path_, options_);
                  if (!store) return store.error();
                  opened = *std::move(store);
                  return Status::Ok();
                },
                [&](const Outcome&) { opened.reset(); }),
            20u);
  Open();
  EXPECT_EQ(support::CompareReads(*store_, contents_), "");
}

TEST_P(AllocationFaultsTest, CompactionsAreStartedOrSayThatMemoryIsOut) {
  HotSwapConfig config;
  config.min_space_saving = 0;
  config.seal_active = true;
  Sweep(
      "Compact",
      [&]() -> Status {
        HotSwapCompactor compactor(*store_, config);
        return StatusOf(compactor.Compact());
      },
      [&](const Outcome&) { Put("key7", 600); });
  EXPECT_EQ(support::CompareReads(*store_, contents_), "");
}

// A job on this thread, above all between its outputs' registration and its commit.
TEST_P(AllocationFaultsTest, AJobWithoutMemoryLeavesNoSegmentBehindAndChangesNothing) {
  const base::SystemClock clock;
  const compaction::ExpiryClock expiry(clock);
  const auto make_garbage = [&] {
    store_.reset();
    Open();
    for (int i = 0; i < 20; ++i) Put("key" + std::to_string(i), 1500);
    for (int i = 0; i < 20; i += 2) Put("key" + std::to_string(i), 1500);  // the others are copied
    ASSERT_TRUE(store_->parts().store->SealActive().ok());
    engine::testing::WaitUntilIdle(*store_->parts().store);
  };
  const auto segment_ids = [&] {
    std::vector<std::uint64_t> ids;
    for (const SegmentInfo& segment : store_->GetSegments()) ids.push_back(segment.id);
    return ids;
  };
  make_garbage();
  std::uint64_t rolled_back = 0;
  Outcome outcome;
  outcome.failed_one = true;
  for (std::uint64_t n = 0; outcome.failed_one && !HasFailure(); ++n) {
    const auto before = segment_ids();
    const auto generation = store_->GetStats().manifest_generation;
    outcome = Try(n, [&]() -> Status {
      try {
        compaction::JobState state(1, {.min_space_saving = 0.1});
        return StatusOf(
            compaction::HotSwapJob(*store_->parts().store, expiry, store_->parts().events, state)
                .Run());
      } catch (const std::bad_alloc&) {  // as the queue of jobs does
        return Status(StatusCode::kOutOfMemory, "");
      }
    });
    ASSERT_EQ(support::CompareReads(*store_, contents_), "") << "allocation " << n;
    const Stats stats = store_->GetStats();
    if (stats.manifest_generation != generation || stats.read_only) {
      make_garbage();  // it had committed, or may have
      continue;
    }
    ++rolled_back;
    EXPECT_EQ(segment_ids(), before) << "allocation " << n;
  }
  EXPECT_GT(rolled_back, 50u);
}

TEST(SchedulerAllocationFaultsTest, ASchedulerWithoutMemorySaysSoAndTheStoreGoesOn) {
  const auto fs = std::make_shared<io::MemoryFileSystem>();
  Options options;
  options.create_if_missing = true;
  options.scheduler.interval = std::chrono::milliseconds(2);
  options.scheduler.jitter = std::chrono::milliseconds(0);
  auto store = api::OpenStore("/store", options,
                              {.file_system = fs,
                               .clock = std::make_shared<base::SystemClock>(),
                               .random = std::make_shared<base::SystemRandom>()});
  ASSERT_TRUE(store.has_value()) << store.error().ToString();
  // It asks for the free space whenever it looks.
  fs->SetOperationHook([main = std::this_thread::get_id()](io::Operation operation, const auto&) {
    if (operation == io::Operation::kStat && std::this_thread::get_id() != main)
      allocations_left = 0;
  });
  engine::testing::WaitUntil(
      [&] { return (*store)->GetStats().background_error.code() == StatusCode::kOutOfMemory; });
  EXPECT_TRUE((*store)->Put("key", "value").ok());
  EXPECT_TRUE((*store)->Close().ok());
  fs->SetOperationHook(nullptr);
}

}  // namespace
}  // namespace freyja::torture
