#include "demo_directory.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/file.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <string>

namespace freyja::cli {
namespace {

namespace fs = std::filesystem;

class DemoDirectoryTest : public testing::Test {
 protected:
  void SetUp() override {
    std::string name = (fs::temp_directory_path() / "freyja-demo-test-XXXXXX").string();
    ASSERT_NE(mkdtemp(name.data()), nullptr);
    base_ = name;
  }
  void TearDown() override { fs::remove_all(base_); }

  void Touch(const fs::path& file) { std::ofstream(file) << "content"; }
  // The files of a closed store, as the engine names them.
  void MakeStoreFiles(const fs::path& directory) {
    for (const char* name : {"MANIFEST", "INDEX", "LOCK", "RESERVE", "HISTORY", "HISTORY.tmp",
                             "12.data", "12.hint", "13.data"}) {
      Touch(directory / name);
    }
  }
  // What a demo that was kept leaves behind.
  fs::path MakeEarlierDemo() {
    const fs::path path = base_ / "earlier";
    const auto directory = DemoDirectory::Prepare(path);
    EXPECT_TRUE(directory);
    MakeStoreFiles(path);
    EXPECT_TRUE(directory->Mark().ok());
    return path;
  }

  fs::path base_;
};

TEST_F(DemoDirectoryTest, TemporaryDirectoryIsFreshAndRemovedWithItsStore) {
  const auto directory = DemoDirectory::Prepare({});
  ASSERT_TRUE(directory) << directory.error().message();
  const fs::path path = directory->path();
  EXPECT_TRUE(fs::is_empty(path));
  MakeStoreFiles(path);
  ASSERT_TRUE(directory->Mark().ok());
  EXPECT_TRUE(directory->Remove().ok());
  EXPECT_FALSE(fs::exists(path));
}

TEST_F(DemoDirectoryTest, MissingDirectoryIsMadeAndRemoved) {
  const auto directory = DemoDirectory::Prepare(base_ / "new" / "deep");
  ASSERT_TRUE(directory);
  EXPECT_TRUE(fs::is_directory(base_ / "new" / "deep"));
  EXPECT_TRUE(directory->Remove().ok());
  EXPECT_FALSE(fs::exists(base_ / "new" / "deep"));
}

TEST_F(DemoDirectoryTest, EmptyDirectoryOfTheUserIsUsedAndStays) {
  const auto directory = DemoDirectory::Prepare(base_);
  ASSERT_TRUE(directory);
  MakeStoreFiles(base_);
  ASSERT_TRUE(directory->Mark().ok());
  EXPECT_TRUE(directory->Remove().ok());
  EXPECT_TRUE(fs::is_directory(base_));
  EXPECT_TRUE(fs::is_empty(base_));
}

TEST_F(DemoDirectoryTest, ForeignFileIsRefusedAndStays) {
  Touch(base_ / "letter.txt");
  const auto directory = DemoDirectory::Prepare(base_);
  ASSERT_FALSE(directory);
  EXPECT_EQ(directory.error().code(), StatusCode::kAlreadyExists);
  EXPECT_NE(directory.error().message().find("letter.txt"), std::string::npos);
  EXPECT_TRUE(fs::exists(base_ / "letter.txt"));
}

TEST_F(DemoDirectoryTest, StoreWithoutTheMarkIsRefusedAndStays) {
  MakeStoreFiles(base_);
  EXPECT_FALSE(DemoDirectory::Prepare(base_));
  Touch(base_ / "DEMO");  // the name alone is no mark
  EXPECT_FALSE(DemoDirectory::Prepare(base_));
  EXPECT_TRUE(fs::exists(base_ / "MANIFEST"));
  EXPECT_TRUE(fs::exists(base_ / "12.data"));
}

TEST_F(DemoDirectoryTest, FileIsRefused) {
  Touch(base_ / "file");
  const auto directory = DemoDirectory::Prepare(base_ / "file");
  ASSERT_FALSE(directory);
  EXPECT_TRUE(fs::exists(base_ / "file"));
}

TEST_F(DemoDirectoryTest, EarlierDemoIsEmptied) {
  const fs::path path = MakeEarlierDemo();
  ASSERT_TRUE(DemoDirectory::Prepare(path));
  EXPECT_TRUE(fs::is_empty(path));
}

TEST_F(DemoDirectoryTest, EarlierDemoWithAForeignFileOrDirectoryIsRefusedAndStaysWhole) {
  const fs::path path = MakeEarlierDemo();
  fs::create_directory(path / "14.data");
  EXPECT_FALSE(DemoDirectory::Prepare(path));
  EXPECT_TRUE(fs::exists(path / "MANIFEST"));
  fs::remove(path / "14.data");
  Touch(path / "notes");
  EXPECT_FALSE(DemoDirectory::Prepare(path));
  EXPECT_TRUE(fs::exists(path / "MANIFEST"));
}

TEST_F(DemoDirectoryTest, EarlierDemoThatIsOpenElsewhereIsBusyAndStaysWhole) {
  const fs::path path = MakeEarlierDemo();
  const int lock = open((path / "LOCK").c_str(), O_RDWR | O_CLOEXEC);
  ASSERT_GE(lock, 0);
  ASSERT_EQ(flock(lock, LOCK_EX | LOCK_NB), 0);
  const auto busy = DemoDirectory::Prepare(path);
  close(lock);
  ASSERT_FALSE(busy);
  EXPECT_EQ(busy.error().code(), StatusCode::kBusy);
  EXPECT_TRUE(fs::exists(path / "MANIFEST"));
  EXPECT_TRUE(DemoDirectory::Prepare(path));
}

TEST_F(DemoDirectoryTest, FileThatAppearedMeanwhileIsNotRemoved) {
  const auto directory = DemoDirectory::Prepare(base_ / "new");
  ASSERT_TRUE(directory);
  Touch(base_ / "new" / "mine");
  EXPECT_FALSE(directory->Remove().ok());
  EXPECT_TRUE(fs::exists(base_ / "new" / "mine"));
}

}  // namespace
}  // namespace freyja::cli
