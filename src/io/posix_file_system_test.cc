// What only the machine's own file system shows.
#include "io/posix_file_system.h"

#include <errno.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "io/posix_io.h"
#include "io/test_support.h"

namespace freyja::io {
namespace {

using testing::CodeOf;
using testing::CreateText;
using testing::Must;
using testing::ReadAll;

class PosixFileSystemTest : public ::testing::Test {
 protected:
  std::filesystem::path At(std::string_view name) const { return temporary_.path() / name; }

  testing::TemporaryDirectory temporary_;
  std::unique_ptr<FileSystem> fs_ = NewPosixFileSystem();
};

TEST_F(PosixFileSystemTest, ALockIsSeenByOtherProcessesAndEndsWithItsProcess) {
  int ready[2];
  int finish[2];
  ASSERT_EQ(::pipe(ready), 0);
  ASSERT_EQ(::pipe(finish), 0);
  const pid_t child = ::fork();
  if (child == 0) {
    char byte = 0;
    const auto lock = fs_->Lock(At("LOCK"), true);
    const bool told = ::write(ready[1], "x", 1) == 1 && ::read(finish[0], &byte, 1) == 1;
    ::_exit(lock && told ? 0 : 1);
  }
  char byte = 0;
  ASSERT_EQ(::read(ready[0], &byte, 1), 1);
  EXPECT_EQ(CodeOf(fs_->Lock(At("LOCK"), true)), StatusCode::kBusy);
  ASSERT_EQ(::write(finish[1], "x", 1), 1);
  int status = -1;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_EQ(status, 0);
  EXPECT_EQ(CodeOf(fs_->Lock(At("LOCK"), true)), StatusCode::kOk);
  for (const int fd : {ready[0], ready[1], finish[0], finish[1]}) ::close(fd);
}

TEST_F(PosixFileSystemTest, DescriptorsAreNotInheritedByOtherPrograms) {
  const Descriptor fd = OpenDescriptor(At("a").c_str(), O_RDWR | O_CREAT);
  ASSERT_TRUE(fd.valid());
  EXPECT_NE(::fcntl(fd.get(), F_GETFD) & FD_CLOEXEC, 0);
}

TEST_F(PosixFileSystemTest, APipeInPlaceOfAFileDoesNotBlock) {
  ASSERT_EQ(::mkfifo(At("pipe").c_str(), 0600), 0);
  EXPECT_EQ(CodeOf(fs_->Open(At("pipe"), OpenMode::kRead)), StatusCode::kIoError);
}

TEST_F(PosixFileSystemTest, DroppingTheCacheLosesNothing) {
  const auto file = CreateText(*fs_, At("a"), "text");
  EXPECT_OK(file->StartWriteOut(0, 4));
  EXPECT_OK(file->Sync());
  file->DropCache();
  EXPECT_EQ(ReadAll(*fs_, At("a")), "text");
}

TEST_F(PosixFileSystemTest, AllocateFallsBackToZerosPastTheEnd) {
  CreateText(*fs_, At("a"), "text");
  const Descriptor fd = OpenDescriptor(At("a").c_str(), O_RDWR);
  EXPECT_OK(ExtendWithZeros(fd.get(), "a", 4, 3'000'000));
  EXPECT_OK(ExtendWithZeros(fd.get(), "a", 3'000'000, 10));
  const std::string text = ReadAll(*fs_, At("a"));
  ASSERT_EQ(text.size(), 3'000'000u);
  EXPECT_EQ(text.substr(0, 4), "text");
  EXPECT_EQ(text.find_first_not_of('\0', 4), std::string::npos);
}

TEST_F(PosixFileSystemTest, KernelFileSystemsAreOtherFileSystems) {
  EXPECT_FALSE(Must(fs_->SameFileSystem(temporary_.path(), "/proc")));
}

TEST_F(PosixFileSystemTest, AFullDeviceIsNoSpace) {
  const Descriptor full = OpenDescriptor("/dev/full", O_RDWR);
  ASSERT_TRUE(full.valid());
  EXPECT_EQ(CodeOf(WriteFully(full.get(), "/dev/full", 0, base::AsBytes("x"))),
            StatusCode::kNoSpace);
}

TEST(ErrnoStatusTest, CodesFollowTheInterface) {
  const auto code = [](int error, Access access = Access::kLook) {
    return ErrnoStatus(error, "open", "/a", access).code();
  };
  EXPECT_EQ(code(ENOSPC), StatusCode::kNoSpace);
  EXPECT_EQ(code(EDQUOT), StatusCode::kNoSpace);
  EXPECT_EQ(code(EFBIG), StatusCode::kNoSpace);
  EXPECT_EQ(code(ENOENT), StatusCode::kNotFound);
  EXPECT_EQ(code(EEXIST), StatusCode::kAlreadyExists);
  EXPECT_EQ(code(EWOULDBLOCK), StatusCode::kBusy);
  EXPECT_EQ(code(EROFS), StatusCode::kReadOnly);
  EXPECT_EQ(code(EACCES), StatusCode::kIoError);
  EXPECT_EQ(code(EACCES, Access::kChange), StatusCode::kReadOnly);
  EXPECT_EQ(code(EPERM, Access::kChange), StatusCode::kReadOnly);
  EXPECT_EQ(code(EOPNOTSUPP), StatusCode::kUnsupported);
  EXPECT_EQ(code(EIO), StatusCode::kIoError);
}

TEST(ErrnoStatusTest, MessageNamesOperationPathAndReason) {
  EXPECT_EQ(ErrnoStatus(EIO, "sync", "/d/1.data").message(), "sync /d/1.data: Input/output error");
}

// A failed sync that can't be told of must not become an exception that nobody expects there.
TEST(ErrnoStatusTest, WithoutRoomForTheMessageTheCodeAndTheNumberRemain) {
  const std::string_view no_string_is_so_long("/d", std::string().max_size());
  const Status status = ErrnoStatus(EIO, "sync", no_string_is_so_long);
  EXPECT_EQ(status.code(), StatusCode::kIoError);
  EXPECT_EQ(status.message(), "errno " + std::to_string(EIO));
}

}  // namespace
}  // namespace freyja::io
