#include "disk_space.h"

#include <gtest/gtest.h>

#include <fstream>
#include <string>

#include "scratch_directory.h"

namespace freyja::bench {
namespace {

using std::chrono::milliseconds;

class DiskSpaceTest : public ::testing::Test {
 protected:
  // On a disk that does not pack the ends of files.
  void Write(const std::string& name, std::size_t bytes) {
    std::ofstream(scratch_->path() / name) << std::string(bytes, 'x');
  }

  Result<ScratchDirectory> scratch_ =
      ScratchDirectory::Make(std::filesystem::temp_directory_path());
};

TEST_F(DiskSpaceTest, FilesCountInAllDirectories) {
  EXPECT_EQ(AllocatedBytes(scratch_->path()), 0U);
  Write("a", 100'000);
  std::filesystem::create_directory(scratch_->path() / "sub");
  Write("sub/b", 100'000);
  EXPECT_GE(AllocatedBytes(scratch_->path()), 200'000U);
}

TEST_F(DiskSpaceTest, ASamplerKeepsTheHighestOfWhatItSaw) {
  Write("a", 1 << 20);
  DiskSampler sampler(scratch_->path(), milliseconds(1));
  // Until it has looked at least once.
  std::this_thread::sleep_for(milliseconds(300));
  std::filesystem::remove(scratch_->path() / "a");
  const SpaceUse use = sampler.Stop();
  EXPECT_GE(use.highest_bytes, std::uint64_t{1} << 20);
  EXPECT_GT(use.mean_bytes, 0);
  EXPECT_LT(use.mean_bytes, static_cast<double>(use.highest_bytes));
}

}  // namespace
}  // namespace freyja::bench
