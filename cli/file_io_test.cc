#include "file_io.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>

namespace freyja::cli {
namespace {

namespace fs = std::filesystem;

class FileIo : public testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = (fs::temp_directory_path() / "freyja-file-io-XXXXXX").string();
    ASSERT_NE(::mkdtemp(pattern.data()), nullptr);
    directory_ = pattern;
  }
  void TearDown() override { fs::remove_all(directory_); }

  static std::string Contents(const fs::path& path) {
    std::ifstream in(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(in), {}};
  }
  std::size_t FileCount() const {
    return static_cast<std::size_t>(
        std::distance(fs::directory_iterator(directory_), fs::directory_iterator()));
  }

  fs::path directory_;
};

void WriteTo(const ReplacementFile& file, std::string_view text) {
  OutputStream out(file.descriptor(), "test");
  ASSERT_TRUE(out.Append(text).ok());
  ASSERT_TRUE(out.Flush().ok());
}

TEST_F(FileIo, AReplacementIsSeenOnlyWhenCommitted) {
  const fs::path target = directory_ / "out";
  std::ofstream(target) << "old";
  auto file = ReplacementFile::Create(target);
  ASSERT_TRUE(file.has_value()) << file.error().ToString();
  WriteTo(*file, "new");
  EXPECT_EQ(Contents(target), "old");
  ASSERT_TRUE(file->Commit().ok());
  EXPECT_EQ(Contents(target), "new");
  EXPECT_EQ(FileCount(), 1u);
}

TEST_F(FileIo, AnAbandonedReplacementLeavesNothingBehind) {
  {
    auto file = ReplacementFile::Create(directory_ / "out");
    ASSERT_TRUE(file.has_value());
    WriteTo(*file, "new");
  }
  EXPECT_EQ(FileCount(), 0u);
}

TEST_F(FileIo, AReplacementFollowsASymbolicLink) {
  std::ofstream(directory_ / "real") << "old";
  fs::create_symlink("real", directory_ / "link");
  auto file = ReplacementFile::Create(directory_ / "link");
  ASSERT_TRUE(file.has_value());
  WriteTo(*file, "new");
  ASSERT_TRUE(file->Commit().ok());
  EXPECT_TRUE(fs::is_symlink(directory_ / "link"));
  EXPECT_EQ(Contents(directory_ / "real"), "new");
}

TEST_F(FileIo, DevicesAreWrittenNotReplaced) {
  auto file = ReplacementFile::Create("/dev/null");
  ASSERT_TRUE(file.has_value());
  WriteTo(*file, "new");
  EXPECT_TRUE(file->Commit().ok());
  EXPECT_TRUE(fs::is_character_file("/dev/null"));
}

TEST_F(FileIo, AFullDiskIsReportedAsSuchAndSticks) {
  const int full = ::open("/dev/full", O_WRONLY | O_CLOEXEC);
  ASSERT_GE(full, 0);
  OutputStream out(full, "target");
  ASSERT_TRUE(out.Append("x").ok());
  EXPECT_EQ(out.Flush().code(), StatusCode::kNoSpace);
  EXPECT_EQ(out.Append("y").code(), StatusCode::kNoSpace);
  EXPECT_FALSE(out.reader_gone());
  ::close(full);
}

TEST_F(FileIo, AValueOverTheLimitIsRefusedNamingIt) {
  std::ofstream(directory_ / "value") << "12345";
  auto exact = InputFile::Open((directory_ / "value").string());
  ASSERT_TRUE(exact.has_value());
  EXPECT_EQ(exact->size(), 5u);
  EXPECT_EQ(exact->ReadAll(5).value(), "12345");
  auto longer = InputFile::Open((directory_ / "value").string());
  const auto refused = longer->ReadAll(4);
  ASSERT_FALSE(refused.has_value());
  EXPECT_EQ(refused.error().code(), StatusCode::kInvalidArgument);
  EXPECT_NE(refused.error().message().find("4 bytes"), std::string::npos);
}

TEST_F(FileIo, AMissingInputIsAnErrorThatNamesIt) {
  const auto input = InputFile::Open((directory_ / "none").string());
  ASSERT_FALSE(input.has_value());
  EXPECT_NE(input.error().message().find("none: No such file"), std::string::npos);
}

}  // namespace
}  // namespace freyja::cli
