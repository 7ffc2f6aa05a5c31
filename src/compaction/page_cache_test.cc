// What a compaction leaves in the page cache of a real file system.
#include <gtest/gtest.h>
#include <stdlib.h>

#include <filesystem>
#include <memory>
#include <string>

#include "compaction/compaction_testing.h"
#include "io/posix_file_system.h"

namespace freyja::compaction {
namespace {

using testing::Must;

class PageCacheTest : public ::testing::Test {
 protected:
  PageCacheTest() {
    std::string name = (std::filesystem::temp_directory_path() / "freyja-cache-XXXXXX").string();
    directory_ = ::mkdtemp(name.data());
    Open();
    const std::string value(64 << 10, 'v');
    for (const int keys : {50, 20}) {
      for (int key = 0; key < keys; ++key) {
        engine::testing::Put(*store_, std::to_string(key), value);
      }
      EXPECT_OK(store_->SealActive());
    }
    engine::testing::WaitUntilIdle(*store_);
  }
  ~PageCacheTest() override {
    store_.reset();
    std::filesystem::remove_all(directory_);
  }

  void Open() {
    Options options = engine::testing::SmallOptions();
    options.segment_bytes = std::uint64_t{4} << 20;
    store_ = Must(engine::Store::Open(directory_ / "db", options,
                                      {.file_system = io::NewPosixFileSystem(),
                                       .clock = std::make_shared<base::SystemClock>(),
                                       .random = std::make_shared<base::SystemRandom>()}));
  }
  // Of all sealed segments together.
  double ResidentShare() const {
    std::uint64_t resident = 0;
    std::uint64_t all = 0;
    store_->segments().ForEach([&](engine::Segment& segment) {
      if (segment.state() != SegmentState::kSealed) return;
      resident += segment.mapping().ResidentBytes();
      all += segment.sealed().data_bytes;
    });
    return static_cast<double>(resident) / static_cast<double>(all);
  }
  // Mapped pages stay in it, so that the store is closed for it. False where the file system
  // keeps all, as tmpfs does.
  bool DropCache() {
    store_.reset();
    for (const auto& entry : std::filesystem::directory_iterator(directory_ / "db")) {
      const auto file = io::NewPosixFileSystem()->Open(entry.path(), io::OpenMode::kRead);
      if (file) (*file)->DropCache();
    }
    Open();
    return ResidentShare() < 0.3;
  }
  void Compact() {
    JobState state(1, {.min_space_saving = 0.1});
    const ExpiryClock expiry(store_->clock());
    EXPECT_TRUE(Must(HotSwapJob(*store_, expiry, events_, state).Run()).ran);
  }

  std::filesystem::path directory_;
  EventDispatcher events_;
  std::unique_ptr<engine::Store> store_;
};

TEST_F(PageCacheTest, WhatWasInItStays) {
  ASSERT_GT(ResidentShare(), 0.9);
  Compact();
  EXPECT_GT(ResidentShare(), 0.9);
}

TEST_F(PageCacheTest, WhatWasNotInItIsNotBroughtIn) {
  if (!DropCache()) GTEST_SKIP() << "this file system keeps all in memory";
  Compact();
  EXPECT_LT(ResidentShare(), 0.3);
}

}  // namespace
}  // namespace freyja::compaction
