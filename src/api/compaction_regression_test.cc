// Compaction where it is easy to get wrong: odd directories, damage, a full disk, listeners
// and readers that come at the wrong moment.
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "api/store_parts.h"
#include "freyja/freyja.h"
#include "io/memory_file_system.h"

namespace freyja {
namespace {

using io::Operation;

const std::filesystem::path kStore = "/store";

class CompactionRegression : public ::testing::Test {
 protected:
  ~CompactionRegression() override { fs_->SetOperationHook(nullptr); }

  void Open(std::uint64_t segment_bytes = 64 << 10, std::uint64_t reserve_bytes = 0) {
    Options options;
    options.create_if_missing = true;
    options.scheduler.enabled = false;
    options.sync = Sync::kNone;
    options.segment_bytes = segment_bytes;
    options.reserve_bytes = reserve_bytes;
    auto opened = api::OpenStore(kStore, options,
                                 {.file_system = fs_,
                                  .clock = std::make_shared<base::SystemClock>(),
                                  .random = std::make_shared<base::SystemRandom>()});
    ASSERT_TRUE(opened.has_value()) << opened.error().ToString();
    store_ = *std::move(opened);
  }

  static std::string Key(int i) { return "key" + std::to_string(i); }
  static std::string Value(int i) { return std::string(1000, static_cast<char>('a' + i % 26)); }

  void Put(int first, int last) {
    for (int i = first; i < last; ++i) {
      const Status put = store_->Put(Key(i), Value(i));
      ASSERT_TRUE(put.ok()) << put.ToString();
    }
  }
  void Delete(int first, int last) {
    for (int i = first; i < last; ++i) {
      const auto deleted = store_->Delete(Key(i));
      ASSERT_TRUE(deleted.has_value()) << deleted.error().ToString();
    }
  }
  void ExpectThere(int first, int last) {
    for (int i = first; i < last; ++i) {
      const auto value = store_->Get(Key(i));
      ASSERT_TRUE(value.has_value()) << value.error().ToString();
      ASSERT_TRUE(value->has_value()) << Key(i);
      EXPECT_EQ(**value, Value(i));
    }
  }
  Result<CompactionReport> Compact(HotSwapConfig config = {.min_space_saving = 0.1,
                                                           .seal_active = true}) {
    return HotSwapCompactor(*store_, std::move(config)).Compact();
  }

  std::shared_ptr<io::MemoryFileSystem> fs_ = std::make_shared<io::MemoryFileSystem>();
  std::unique_ptr<KVStore> store_;
};

TEST_F(CompactionRegression, ATemporaryDirectoryThatIsAStoreIsRefusedAndItsFilesStay) {
  Open();
  Put(0, 200);
  Delete(0, 100);
  const auto report = Compact({.temp_dir = kStore, .min_space_saving = 0.1, .seal_active = true});
  EXPECT_FALSE(report.has_value());
  if (!report) {
    EXPECT_EQ(report.error().code(), StatusCode::kInvalidArgument) << report.error().ToString();
  }
  ASSERT_TRUE(store_->Close().ok());
  store_.reset();
  Open();
  ASSERT_NE(store_, nullptr);
  ExpectThere(100, 200);
}

TEST_F(CompactionRegression, AnOutputThatIsPinnedWhenItsJobRollsBackStaysMappedUntilUnpinned) {
  Open();
  Put(0, 200);
  Delete(0, 100);
  engine::Store& engine = *store_->parts().store;
  ASSERT_TRUE(engine.SealActive().ok());
  // The next segment is prepared: what is mapped from here on is an output.
  while (store_->GetSegments().back().state != SegmentState::kPrepared) std::this_thread::yield();
  // A full check of the store, say, begins just before the job commits, and the commit fails.
  std::vector<engine::PinnedSegment> pinned;
  bool mapped = false;
  fs_->SetOperationHook([&](Operation operation, const std::filesystem::path& path) {
    if (operation == Operation::kMap && path.extension() == ".data") mapped = true;
    if (operation != Operation::kCreate || path.filename() != "MANIFEST.tmp" || !mapped) return;
    mapped = false;
    pinned = engine.PinSegments();
    fs_->InjectFault({.operations = {Operation::kCreate}, .path_contains = "MANIFEST.tmp"});
  });
  const auto report = Compact({.min_space_saving = 0.1});
  fs_->SetOperationHook(nullptr);
  ASSERT_FALSE(report.has_value());
  std::uint64_t sum = 0;
  for (const auto& segment : pinned) {
    for (std::uint64_t at = 0; at < segment->limit(); ++at) {
      sum += static_cast<std::uint64_t>(segment->base()[at]);
    }
  }
  EXPECT_NE(sum, 0u);
  pinned.clear();
  ExpectThere(100, 200);
}

TEST_F(CompactionRegression, ADamagedSegmentDoesNotKeepTheOthersFromBeingCompacted) {
  Open();
  Put(0, 400);
  Delete(0, 50);
  Delete(200, 250);
  ASSERT_TRUE(store_->parts().store->SealActive().ok());
  std::uint64_t damaged = 0;
  for (const SegmentInfo& info : store_->GetSegments()) {
    if (info.state == SegmentState::kSealed && info.dead_bytes > 20'000 && damaged == 0) {
      damaged = info.id;
      ASSERT_TRUE(fs_->Corrupt(kStore / info.file, info.file_bytes - 500, std::byte{1}).ok());
    }
  }
  ASSERT_NE(damaged, 0u);
  const auto first = Compact();
  ASSERT_FALSE(first.has_value());
  EXPECT_EQ(first.error().code(), StatusCode::kCorruption) << first.error().ToString();
  const auto second = Compact();
  ASSERT_TRUE(second.has_value()) << second.error().ToString();
  EXPECT_TRUE(second->ran);
}

TEST_F(CompactionRegression, AListenerMayRemoveItself) {
  Open();
  Put(0, 200);
  Delete(0, 100);
  HotSwapCompactor compactor(*store_, {.min_space_saving = 0.1, .seal_active = true});
  std::atomic<int> calls{0};
  std::atomic<std::uint64_t> id{0};
  id = compactor.AddListener([&](const CompactionEvent&) {
    ++calls;
    while (id.load() == 0) std::this_thread::yield();
    compactor.RemoveListener(id.load());
  });
  ASSERT_TRUE(compactor.Compact().has_value());
  while (calls.load() == 0) std::this_thread::yield();
  ASSERT_TRUE(store_->Close().ok());
  EXPECT_EQ(calls.load(), 1);
}

TEST_F(CompactionRegression, TheReserveLentToAJobIsNotTakenBackByPutsMeanwhile) {
  Open(256 << 10, 512 << 10);
  Put(0, 1000);
  Delete(0, 230);
  ASSERT_TRUE(store_->parts().store->SealActive().ok());
  // Hardly any room but the reserve.
  const auto free = fs_->FreeSpace(kStore);
  ASSERT_TRUE(free.has_value());
  const auto capacity = fs_->Capacity(kStore);
  ASSERT_TRUE(capacity.has_value());
  fs_->SetCapacity(*capacity - *free + (16 << 10));
  std::atomic<int> tried{0};
  std::atomic<bool> inside{false};
  fs_->SetOperationHook([&](Operation operation, const std::filesystem::path& path) {
    if (operation != Operation::kCreate || path.extension() != ".data" || inside.exchange(true))
      return;
    if (store_->GetStats().preallocated_bytes < (512u << 10)) {
      ++tried;
      const Status put = store_->Put("late", "value");
      static_cast<void>(put);
    }
    inside = false;
  });
  const auto report = Compact({.min_space_saving = 0.1});
  fs_->SetOperationHook(nullptr);
  ASSERT_TRUE(report.has_value()) << report.error().ToString();
  EXPECT_TRUE(report->ran);
  EXPECT_NE(tried.load(), 0);
  ExpectThere(230, 1000);
}

TEST_F(CompactionRegression, DeletesOnAFullDiskLeaveRoomToCompactAndToReopen) {
  Open(256 << 10, 512 << 10);
  Put(0, 2000);
  const auto free = fs_->FreeSpace(kStore);
  ASSERT_TRUE(free.has_value());
  fs_->SetCapacity(*fs_->Capacity(kStore) - *free);
  int put = 2000;
  while (store_->Put(Key(put), Value(put)).ok()) ++put;
  int deleted = 0;
  // Each delete is of another key, until the store refuses or all is gone.
  Status refused;
  for (int round = 0; round < 200 && refused.ok(); ++round) {
    for (int i = 0; i < put && refused.ok(); ++i) {
      WriteBatch batch;
      batch.Delete(Key(i));
      const Status status = store_->Write(batch);
      if (!status.ok())
        refused = status;
      else
        ++deleted;
    }
  }
  SCOPED_TRACE("deletes " + std::to_string(deleted) + ": " + refused.ToString());
  const auto report = Compact();
  EXPECT_TRUE(report.has_value()) << report.error().ToString();
  const Status closed = store_->Close();
  EXPECT_TRUE(closed.ok()) << closed.ToString();
  store_.reset();
  Open(256 << 10, 512 << 10);
  ASSERT_NE(store_, nullptr);
  EXPECT_FALSE(store_->GetStats().read_only);
}

TEST_F(CompactionRegression, OutputsOfACrashedJobOnAFullDiskDoNotKeepTheStoreFromOpening) {
  Open(256 << 10, 512 << 10);
  Put(0, 1000);
  Delete(0, 230);
  ASSERT_TRUE(store_->parts().store->SealActive().ok());
  const auto free = fs_->FreeSpace(kStore);
  fs_->SetCapacity(*fs_->Capacity(kStore) - *free + (16 << 10));
  std::shared_ptr<io::MemoryFileSystem> image;
  fs_->SetOperationHook([&](Operation operation, const std::filesystem::path& path) {
    if (operation == Operation::kMap && path.extension() == ".data" && !image &&
        store_->GetStats().preallocated_bytes < (512u << 10)) {
      image = fs_->CrashImage({.mode = io::CrashOptions::Mode::kProcessKill});
    }
  });
  const auto report = Compact({.min_space_saving = 0.1});
  fs_->SetOperationHook(nullptr);
  ASSERT_NE(image, nullptr);
  // What the reserve gave is taken by outputs; somebody else takes the rest.
  image->SetCapacity(*image->Capacity(kStore) - *image->FreeSpace(kStore));
  store_.reset();
  fs_ = image;
  Open(256 << 10, 512 << 10);
  ASSERT_NE(store_, nullptr);
  EXPECT_FALSE(store_->GetStats().read_only) << store_->GetStats().background_error.ToString();
  ExpectThere(230, 1000);
}

}  // namespace
}  // namespace freyja
