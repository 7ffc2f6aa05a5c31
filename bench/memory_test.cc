#include <gtest/gtest.h>
#include <linux/magic.h>
#include <sys/statfs.h>

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <optional>
#include <sstream>
#include <string>

#include "io/posix_file_system.h"
#include "memory_cap.h"
#include "page_cache.h"
#include "scratch_directory.h"

namespace freyja::bench {
namespace {

namespace fs = std::filesystem;

std::string TextOf(const fs::path& path) {
  std::ifstream in(path);
  std::ostringstream text;
  text << in.rdbuf();
  return text.str();
}

std::uint64_t CachedBytes(const fs::path& path) {
  const auto file = io::NewPosixFileSystem()->Open(path, io::OpenMode::kRead);
  return (*(*file)->Map(*(*file)->Size(), /*writable=*/false))->ResidentBytes();
}

bool IsInGroup(const fs::path& group) {
  return TextOf("/proc/self/cgroup").find("/" + group.filename().string() + "\n") !=
         std::string::npos;
}

class MemoryTest : public testing::Test {
 protected:
  void SetUp() override {
    auto scratch = ScratchDirectory::Make(fs::temp_directory_path());
    ASSERT_TRUE(scratch.has_value());
    scratch_.emplace(*std::move(scratch));
  }

  // Of some megabytes; in a folder, as stores have them.
  fs::path MakeFile() const {
    fs::create_directory(scratch_->path() / "folder");
    fs::path path = scratch_->path() / "folder" / "file";
    std::ofstream(path) << std::string(kFileBytes, 'x');
    return path;
  }

  static constexpr std::size_t kFileBytes = std::size_t{4} << 20;
  std::optional<ScratchDirectory> scratch_;
};

TEST_F(MemoryTest, WhatIsDroppedIsNotInThePageCache) {
  const fs::path file = MakeFile();
  EXPECT_EQ(CachedBytes(file), kFileBytes);
  struct statfs info = {};
  ASSERT_EQ(::statfs(file.c_str(), &info), 0);
  if (info.f_type == TMPFS_MAGIC) GTEST_SKIP() << "a file system in memory keeps all in it";
  ASSERT_TRUE(DropFromPageCache(scratch_->path()).ok());
  EXPECT_EQ(CachedBytes(file), 0U);
  EXPECT_EQ(TextOf(file), std::string(kFileBytes, 'x'));
}

TEST_F(MemoryTest, ADirectoryThatIsNotThereCanNotBeDropped) {
  EXPECT_EQ(DropFromPageCache(scratch_->path() / "nosuch").code(), StatusCode::kIoError);
}

TEST_F(MemoryTest, ACapHoldsAndEndsWithItsObject) {
  constexpr std::uint64_t kCap = std::uint64_t{512} << 20;
  std::optional<fs::path> group;
  {
    const auto cap = MemoryCap::Apply(kCap);
    if (!cap) GTEST_SKIP() << cap.error().message();
    group = cap->group();
    EXPECT_TRUE(IsInGroup(*group));
    const bool v2 = fs::exists(*group / "memory.max");
    EXPECT_EQ(TextOf(*group / (v2 ? "memory.max" : "memory.limit_in_bytes")),
              std::to_string(kCap) + "\n");
    // Files are charged to the group.
    MakeFile();
    const fs::path usage = *group / (v2 ? "memory.current" : "memory.usage_in_bytes");
    EXPECT_GE(std::stoull(TextOf(usage)), kFileBytes);
  }
  EXPECT_FALSE(IsInGroup(*group));
  EXPECT_FALSE(fs::exists(*group));
}

TEST_F(MemoryTest, WhereThereIsNoControllerACapIsRefused) {
  const auto none = MemoryCap::Apply(1 << 30, scratch_->path());
  ASSERT_FALSE(none.has_value());
  EXPECT_EQ(none.error().code(), StatusCode::kUnsupported);
}

// A folder that is no control group takes no limit; nothing of ours stays in it.
TEST_F(MemoryTest, AGroupThatTakesNoLimitIsRemoved) {
  fs::create_directory(scratch_->path() / "memory");
  const auto refused = MemoryCap::Apply(1 << 30, scratch_->path());
  ASSERT_FALSE(refused.has_value());
  EXPECT_EQ(refused.error().code(), StatusCode::kUnsupported);
  EXPECT_NE(refused.error().message().find("memory.limit_in_bytes"), std::string::npos);
  EXPECT_TRUE(fs::is_empty(scratch_->path() / "memory"));
}

}  // namespace
}  // namespace freyja::bench
