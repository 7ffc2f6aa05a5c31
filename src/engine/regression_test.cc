// The engine where threads meet failures.
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <future>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "engine/store.h"
#include "format/manifest.h"
#include "io/memory_file_system.h"

namespace freyja::engine {
namespace {

using io::Operation;

const std::filesystem::path kStore = "/store";

class EngineRegression : public ::testing::Test {
 protected:
  void Open(std::uint64_t segment_bytes = 64 << 10) {
    Options options;
    options.create_if_missing = true;
    options.sync = Sync::kNone;
    options.segment_bytes = segment_bytes;
    auto opened = Store::Open(kStore, options,
                              {.file_system = fs_,
                               .clock = std::make_shared<base::SystemClock>(),
                               .random = std::make_shared<base::SystemRandom>()});
    ASSERT_TRUE(opened.has_value()) << opened.error().ToString();
    store_ = *std::move(opened);
  }

  std::shared_ptr<io::MemoryFileSystem> fs_ = std::make_shared<io::MemoryFileSystem>();
  std::unique_ptr<Store> store_;
};

// A roll and a write whose sync fails, in one group: the rolled segment is full, its last
// record will never be published, and yet the roll succeeded.
TEST_F(EngineRegression, WaitingForASealEndsWhenTheWriterIsPoisoned) {
  Open();
  ASSERT_TRUE(store_->Put("first", "value", {.sync = Sync::kNone}).ok());
  // The next segment is prepared, so that the only syncs of data are those of the log.
  while (store_->GetSegments().back().state != SegmentState::kPrepared) std::this_thread::yield();
  const std::string active = store_->GetSegments().front().file;
  std::promise<void> in_sync;
  std::promise<void> go_on;
  std::atomic<int> syncs{0};
  fs_->SetOperationHook([&](Operation operation, const std::filesystem::path& path) {
    if (operation != Operation::kSync || path.filename() != active) return;
    if (syncs.fetch_add(1) != 0) return;
    in_sync.set_value();
    go_on.get_future().wait();
  });
  std::thread leader([&] { EXPECT_TRUE(store_->Put("a", "1", {.sync = Sync::kAlways}).ok()); });
  in_sync.get_future().wait();
  // Behind the leader: a write, then the roll, which the next leader takes together.
  std::thread writer([&] { EXPECT_FALSE(store_->Put("b", "2", {.sync = Sync::kAlways}).ok()); });
  std::this_thread::sleep_for(std::chrono::milliseconds(100));  // only the schedule's quality
  std::atomic<bool> ended{false};
  std::thread sealer([&] {
    const Status sealed = store_->SealActive();
    EXPECT_FALSE(sealed.ok());
    ended.store(true);
  });
  std::this_thread::sleep_for(std::chrono::milliseconds(100));
  fs_->InjectFault(
      {.operations = {Operation::kSync}, .path_contains = active, .skip = 1, .sticky = true});
  go_on.set_value();
  leader.join();
  writer.join();
  for (int i = 0; i < 500 && !ended.load(); ++i)
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  EXPECT_TRUE(ended.load()) << "SealActive still waits for a record that can't be published";
  if (!ended.load()) std::_Exit(1);
  sealer.join();
  fs_->SetOperationHook(nullptr);
}

// fsync may say ENOSPC, too. The record is written by then, and may be found after a reopen;
// kNoSpace would promise that it is not.
TEST_F(EngineRegression, ASyncThatFailsForWantOfSpaceIsNotReportedAsNothingStored) {
  Open();
  ASSERT_TRUE(store_->Put("first", "value", {.sync = Sync::kNone}).ok());
  while (store_->GetSegments().back().state != SegmentState::kPrepared) std::this_thread::yield();
  fs_->InjectFault({.operations = {Operation::kSync},
                    .path_contains = store_->GetSegments().front().file,
                    .status = Status(StatusCode::kNoSpace, "no space left")});
  const Status put = store_->Put("second", "value", {.sync = Sync::kAlways});
  EXPECT_EQ(fs_->FaultsFired(), 1u);
  EXPECT_EQ(put.code(), StatusCode::kIoError) << put.ToString();
  EXPECT_NE(put.message().find("no space left"), std::string::npos);
  fs_ = fs_->CrashImage({.mode = io::CrashOptions::Mode::kProcessKill});
  Open();
  std::string value;
  EXPECT_EQ(store_->Get("second", value), true);
}

// Checksums that hold don't make a count true: it must not be believed before the scan.
TEST_F(EngineRegression, AManifestWithAnImpossibleCountOfRecordsIsCorruption) {
  Open();
  ASSERT_TRUE(store_->Put("key", "value", {}).ok());
  ASSERT_TRUE(store_->SealActive().ok());
  ASSERT_TRUE(store_->Close().ok());
  store_.reset();
  const auto path = kStore / format::kManifestName;
  const auto bytes = fs_->Contents(path);
  ASSERT_TRUE(bytes.has_value()) << bytes.error().ToString();
  auto manifest = format::DecodeManifest(*bytes);
  ASSERT_TRUE(manifest.has_value()) << manifest.error().ToString();
  manifest->sealed.at(0).record_count = UINT64_MAX;
  ASSERT_TRUE(fs_->Overwrite(path, format::EncodeManifest(*manifest)).ok());
  const auto opened = Store::Open(kStore, {},
                                  {.file_system = fs_,
                                   .clock = std::make_shared<base::SystemClock>(),
                                   .random = std::make_shared<base::SystemRandom>()});
  ASSERT_FALSE(opened.has_value());
  EXPECT_EQ(opened.error().code(), StatusCode::kCorruption) << opened.error().ToString();
}

}  // namespace
}  // namespace freyja::engine
