// What every FileSystem promises, on every FileSystem there is.
#include "io/file_system.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <thread>
#include <vector>

#include "io/memory_file_system.h"
#include "io/posix_file_system.h"
#include "io/test_support.h"

namespace freyja::io {
namespace {

using testing::CodeOf;
using testing::CreateText;
using testing::Must;
using testing::ReadAll;
using testing::ReadText;
using testing::WriteText;

enum class Kind { kPosix, kMemory };

class FileSystemTest : public ::testing::TestWithParam<Kind> {
 protected:
  FileSystemTest() {
    if (GetParam() == Kind::kPosix) {
      fs_ = NewPosixFileSystem();
      directory_ = temporary_.path() / "store";
    } else {
      fs_ = std::make_unique<MemoryFileSystem>();
      directory_ = "/store";
    }
    EXPECT_OK(fs_->CreateDirectory(directory_));
  }

  std::filesystem::path At(std::string_view name) const { return directory_ / name; }

  testing::TemporaryDirectory temporary_;
  std::unique_ptr<FileSystem> fs_;
  std::filesystem::path directory_;
};

INSTANTIATE_TEST_SUITE_P(All, FileSystemTest, ::testing::Values(Kind::kPosix, Kind::kMemory),
                         [](const auto& kind) {
                           return kind.param == Kind::kPosix ? "Posix" : "Memory";
                         });

TEST_P(FileSystemTest, WrittenBytesAreReadBackByAnotherHandle) {
  const auto file = CreateText(*fs_, At("a"), "hello world");
  EXPECT_EQ(file->path(), At("a").native());
  const auto other = Must(fs_->Open(At("a"), OpenMode::kRead));
  EXPECT_EQ(Must(other->Size()), 11u);
  EXPECT_EQ(ReadText(*other, 6, 5), "world");
}

TEST_P(FileSystemTest, ReadIsShortOnlyAtTheEnd) {
  const auto file = CreateText(*fs_, At("a"), "0123456789");
  EXPECT_EQ(ReadText(*file, 8, 100), "89");
  EXPECT_EQ(ReadText(*file, 10, 1), "");
  EXPECT_EQ(ReadText(*file, 1 << 20, 1), "");
  EXPECT_EQ(ReadText(*file, 3, 0), "");
}

TEST_P(FileSystemTest, WriteBeyondTheEndLeavesZerosBetween) {
  const auto file = CreateText(*fs_, At("a"), "ab");
  EXPECT_OK(WriteText(*file, 5, "c"));
  EXPECT_EQ(ReadText(*file, 0, 10), std::string("ab\0\0\0c", 6));
}

TEST_P(FileSystemTest, LargeWritesArriveWhole) {
  std::string text(3 << 20, 'x');
  for (std::size_t i = 0; i < text.size(); i += 997) text[i] = static_cast<char>('a' + i % 26);
  const auto file = CreateText(*fs_, At("a"), text);
  EXPECT_EQ(ReadText(*file, 0, text.size() + 1), text);
}

TEST_P(FileSystemTest, OpeningAMissingFileIsNotFound) {
  EXPECT_EQ(CodeOf(fs_->Open(At("a"), OpenMode::kRead)), StatusCode::kNotFound);
  EXPECT_EQ(CodeOf(fs_->Open(At("a"), OpenMode::kReadWrite)), StatusCode::kNotFound);
  EXPECT_EQ(CodeOf(fs_->Open(At("no/a"), OpenMode::kCreateNew)), StatusCode::kNotFound);
}

TEST_P(FileSystemTest, ErrorsNameThePath) {
  const auto file = fs_->Open(At("missing-one"), OpenMode::kRead);
  ASSERT_FALSE(file);
  EXPECT_TRUE(file.error().message().contains("missing-one")) << file.error().message();
}

TEST_P(FileSystemTest, CreateNewNeverTakesAnExistingFile) {
  CreateText(*fs_, At("a"), "old");
  EXPECT_EQ(CodeOf(fs_->Open(At("a"), OpenMode::kCreateNew)), StatusCode::kAlreadyExists);
  EXPECT_EQ(ReadAll(*fs_, At("a")), "old");
}

TEST_P(FileSystemTest, ADirectoryCannotBeOpenedAsAFile) {
  EXPECT_EQ(CodeOf(fs_->Open(directory_, OpenMode::kRead)), StatusCode::kIoError);
}

TEST_P(FileSystemTest, AFileOpenedForReadingCannotBeChanged) {
  CreateText(*fs_, At("a"), "abc");
  const auto file = Must(fs_->Open(At("a"), OpenMode::kRead));
  EXPECT_FALSE(WriteText(*file, 0, "x").ok());
  EXPECT_FALSE(file->Truncate(0).ok());
  EXPECT_EQ(CodeOf(file->Map(3, true)), StatusCode::kReadOnly);
  EXPECT_EQ(ReadAll(*fs_, At("a")), "abc");
}

TEST_P(FileSystemTest, TruncateShortensAndExtendsWithZeros) {
  const auto file = CreateText(*fs_, At("a"), "abcdef");
  EXPECT_OK(file->Truncate(2));
  EXPECT_EQ(ReadText(*file, 0, 10), "ab");
  EXPECT_OK(file->Truncate(4));
  EXPECT_EQ(ReadText(*file, 0, 10), std::string("ab\0\0", 4));
}

TEST_P(FileSystemTest, AllocateExtendsWithZerosAndTakesSpace) {
  const auto file = CreateText(*fs_, At("a"), "abc");
  EXPECT_OK(file->Allocate(100'000));
  EXPECT_EQ(Must(file->Size()), 100'000u);
  EXPECT_GE(Must(file->DiskUsage()), 100'000u);
  EXPECT_EQ(ReadText(*file, 0, 5), std::string("abc\0\0", 5));
}

TEST_P(FileSystemTest, AllocateNeverShortens) {
  const auto file = CreateText(*fs_, At("a"), "abcdef");
  EXPECT_OK(file->Allocate(2));
  EXPECT_OK(file->Allocate(0));
  EXPECT_EQ(ReadText(*file, 0, 10), "abcdef");
}

TEST_P(FileSystemTest, ReleaseTailKeepsTheSizeAndGivesBlocksBack) {
  const std::string text(200'000, 'x');
  const auto file = CreateText(*fs_, At("a"), text);
  EXPECT_OK(file->Sync());
  const std::uint64_t before = Must(file->DiskUsage());
  EXPECT_OK(file->ReleaseTail(5000));
  EXPECT_EQ(Must(file->Size()), text.size());
  EXPECT_LE(Must(file->DiskUsage()) + 150'000, before);
  EXPECT_EQ(ReadText(*file, 0, 5000), text.substr(0, 5000));
  EXPECT_EQ(ReadText(*file, 8192, text.size()), std::string(text.size() - 8192, '\0'));
}

TEST_P(FileSystemTest, ReleaseTailInTheLastBlockOrPastTheEndChangesNothing) {
  const auto file = CreateText(*fs_, At("a"), "abc");
  EXPECT_OK(file->ReleaseTail(1));
  EXPECT_OK(file->ReleaseTail(3));
  EXPECT_OK(file->ReleaseTail(1 << 20));
  EXPECT_EQ(ReadText(*file, 0, 10), "abc");
}

TEST_P(FileSystemTest, StoresIntoAMappingAreReadAtOnceAndSurviveTheFile) {
  auto file = CreateText(*fs_, At("a"), "");
  EXPECT_OK(file->Allocate(10'000));
  const auto mapping = Must(file->Map(10'000, true));
  ASSERT_EQ(mapping->size(), 10'000u);
  mapping->Populate(0, 10'000);
  mapping->Populate(9'000, 1 << 20);
  mapping->Populate(1 << 20, 1);
  mapping->AdviseHuge(true);
  mapping->AdviseHuge(false);
  mapping->WillNeed(5000, 1);
  mapping->WillNeed(9'000, 1 << 20);
  mapping->WillNeed(1 << 20, 1);
  std::memcpy(mapping->data() + 5000, "stored", 6);
  EXPECT_EQ(ReadText(*file, 5000, 6), "stored");
  EXPECT_OK(file->Sync());
  EXPECT_OK(file->SyncMapped(*mapping, 1));
  EXPECT_OK(file->SyncMapped(*mapping, 10'000));
  file.reset();
  std::memcpy(mapping->data() + 5000, "STORED", 6);
  EXPECT_EQ(ReadAll(*fs_, At("a")).substr(5000, 6), "STORED");
  EXPECT_FALSE(mapping->faulted());
}

TEST_P(FileSystemTest, DetachedPagesKeepWhatWasStored) {
  const auto file = CreateText(*fs_, At("a"), "");
  EXPECT_OK(file->Allocate(64 << 10));
  const auto mapping = Must(file->Map(64 << 10, true));
  std::memset(mapping->data(), 'x', mapping->size());
  mapping->Detach(5000, 30'000);
  mapping->Detach(40'000, 1 << 20);
  mapping->Detach(1 << 20, 2 << 20);
  mapping->Detach(100, 50);
  EXPECT_EQ(ReadAll(*fs_, At("a")), std::string(64 << 10, 'x'));
  std::memset(mapping->data() + 6000, 'y', 100);
  EXPECT_OK(file->Sync());
  mapping->Detach(0, 64 << 10);
  EXPECT_OK(file->SyncMapped(*mapping, 64 << 10));
  EXPECT_EQ(ReadText(*file, 5999, 102), "x" + std::string(100, 'y') + "x");
  EXPECT_EQ(mapping->data()[65'535], std::byte{'x'});
  EXPECT_FALSE(mapping->faulted());
}

TEST_P(FileSystemTest, NextDataPassesOverZerosOnly) {
  const auto file = CreateText(*fs_, At("a"), "");
  EXPECT_OK(file->Allocate(256 << 10));
  EXPECT_OK(WriteText(*file, 100'000, "one"));
  EXPECT_OK(WriteText(*file, 100'010, "two"));
  const auto mapping = Must(file->Map(256 << 10, true));
  mapping->data()[180'000] = std::byte{'3'};
  for (const bool synced : {false, true}) {
    if (synced) EXPECT_OK(file->Sync());
    EXPECT_EQ(file->NextData(100'001), 100'001u);
    EXPECT_EQ(file->NextData(180'000), 180'000u);
    for (std::uint64_t at = 0; at < 256 << 10;) {
      const std::uint64_t next = file->NextData(at);
      ASSERT_GE(next, at);
      const std::string passed = ReadText(*file, at, std::min<std::uint64_t>(next, 256 << 10) - at);
      EXPECT_EQ(passed.find_first_not_of('\0'), std::string::npos) << at << " to " << next;
      at = next < 256 << 10 ? next + 1000 : next;
    }
  }
  EXPECT_OK(file->ReleaseTail(200'000));
  EXPECT_GE(file->NextData(204'800), 256u << 10) << "a hole to the end";
  EXPECT_GE(file->NextData(1 << 30), 256u << 10);
}

TEST_P(FileSystemTest, WritesShowInEveryMapping) {
  const auto file = CreateText(*fs_, At("a"), "abcdef");
  const auto reading = Must(file->Map(6, false));
  const auto writing = Must(file->Map(6, true));
  reading->AdviseRandom();
  EXPECT_OK(WriteText(*file, 1, "X"));
  std::memcpy(writing->data() + 3, "Y", 1);
  EXPECT_EQ(base::AsChars({reading->data(), reading->size()}), "aXcYef");
}

TEST_P(FileSystemTest, AFileCanGrowWhileItsBeginningIsMapped) {
  const auto file = CreateText(*fs_, At("a"), "abc");
  const auto mapping = Must(file->Map(3, true));
  EXPECT_OK(file->Allocate(64 << 10));
  EXPECT_OK(WriteText(*file, 1, "B"));
  EXPECT_EQ(base::AsChars({mapping->data(), mapping->size()}), "aBc");
  const auto whole = Must(file->Map(64 << 10, true));
  std::memcpy(whole->data() + 2, "C", 1);
  EXPECT_EQ(base::AsChars({mapping->data(), mapping->size()}), "aBC");
}

TEST_P(FileSystemTest, MappingMoreThanTheFileHasIsRefused) {
  const auto file = CreateText(*fs_, At("a"), "abc");
  EXPECT_EQ(CodeOf(file->Map(4, false)), StatusCode::kInvalidArgument);
}

TEST_P(FileSystemTest, AnEmptyMappingHasNoData) {
  const auto file = CreateText(*fs_, At("a"), "");
  const auto mapping = Must(file->Map(0, true));
  mapping->Populate(0, 1);
  mapping->WillNeed(0, 1);
  mapping->AdviseRandom();
  EXPECT_EQ(mapping->data(), nullptr);
  EXPECT_EQ(mapping->size(), 0u);
  EXPECT_FALSE(mapping->faulted());
}

TEST_P(FileSystemTest, ShorteningAMappedFileFaultsTheMappingAndReadsZeros) {
  const auto file = CreateText(*fs_, At("a"), std::string(3 * 4096, 'x'));
  const auto mapping = Must(file->Map(3 * 4096, true));
  EXPECT_FALSE(mapping->faulted());
  EXPECT_OK(Must(fs_->Open(At("a"), OpenMode::kReadWrite))->Truncate(4096));
  EXPECT_EQ(mapping->data()[0], std::byte{'x'});
  EXPECT_EQ(mapping->data()[2 * 4096], std::byte{0});
  EXPECT_TRUE(mapping->faulted());
}

TEST_P(FileSystemTest, RenameReplacesTheTarget) {
  CreateText(*fs_, At("a"), "new");
  CreateText(*fs_, At("b"), "old");
  EXPECT_OK(fs_->Rename(At("a"), At("b")));
  EXPECT_FALSE(Must(fs_->Exists(At("a"))));
  EXPECT_EQ(ReadAll(*fs_, At("b")), "new");
}

TEST_P(FileSystemTest, RenamingOntoItselfChangesNothing) {
  CreateText(*fs_, At("a"), "text");
  EXPECT_OK(fs_->Rename(At("a"), At("a")));
  EXPECT_EQ(ReadAll(*fs_, At("a")), "text");
}

TEST_P(FileSystemTest, RenameMovesBetweenDirectories) {
  EXPECT_OK(fs_->CreateDirectory(At("sub")));
  CreateText(*fs_, At("sub/a"), "text");
  EXPECT_OK(fs_->Rename(At("sub/a"), At("b")));
  EXPECT_EQ(ReadAll(*fs_, At("b")), "text");
  EXPECT_TRUE(Must(fs_->List(At("sub"))).empty());
}

TEST_P(FileSystemTest, RenameFailsClearlyWithoutSourceOrTargetDirectory) {
  EXPECT_EQ(CodeOf(fs_->Rename(At("a"), At("b"))), StatusCode::kNotFound);
  CreateText(*fs_, At("a"), "text");
  EXPECT_EQ(CodeOf(fs_->Rename(At("a"), At("no/b"))), StatusCode::kNotFound);
  EXPECT_EQ(ReadAll(*fs_, At("a")), "text");
}

TEST_P(FileSystemTest, AnUnlinkedFileLivesOnForThoseWhoHoldIt) {
  const auto file = CreateText(*fs_, At("a"), "text");
  const auto mapping = Must(file->Map(4, false));
  EXPECT_OK(fs_->Unlink(At("a")));
  EXPECT_FALSE(Must(fs_->Exists(At("a"))));
  EXPECT_EQ(ReadText(*file, 0, 4), "text");
  EXPECT_EQ(base::AsChars({mapping->data(), 4}), "text");
  EXPECT_EQ(CodeOf(fs_->Unlink(At("a"))), StatusCode::kNotFound);
}

TEST_P(FileSystemTest, DirectoriesAreNotUnlinked) {
  EXPECT_OK(fs_->CreateDirectory(At("sub")));
  EXPECT_EQ(CodeOf(fs_->Unlink(At("sub"))), StatusCode::kIoError);
}

TEST_P(FileSystemTest, CreateDirectoryAcceptsAnExistingOne) {
  EXPECT_OK(fs_->CreateDirectory(At("sub")));
  EXPECT_OK(fs_->CreateDirectory(At("sub")));
  EXPECT_TRUE(Must(fs_->Exists(At("sub"))));
  CreateText(*fs_, At("file"), "");
  EXPECT_EQ(CodeOf(fs_->CreateDirectory(At("file"))), StatusCode::kAlreadyExists);
  EXPECT_EQ(CodeOf(fs_->CreateDirectory(At("no/sub"))), StatusCode::kNotFound);
}

TEST_P(FileSystemTest, ListIsSortedAndOneLevelDeep) {
  for (const char* name : {"c", "a", "b.data"}) CreateText(*fs_, At(name), "");
  EXPECT_OK(fs_->CreateDirectory(At("sub")));
  CreateText(*fs_, At("sub/x"), "");
  EXPECT_EQ(Must(fs_->List(directory_)), (std::vector<std::string>{"a", "b.data", "c", "sub"}));
  EXPECT_EQ(CodeOf(fs_->List(At("no"))), StatusCode::kNotFound);
  EXPECT_EQ(CodeOf(fs_->List(At("a"))), StatusCode::kIoError);
}

TEST_P(FileSystemTest, SyncDirectoryNeedsADirectory) {
  EXPECT_OK(fs_->SyncDirectory(directory_));
  EXPECT_EQ(CodeOf(fs_->SyncDirectory(At("no"))), StatusCode::kNotFound);
}

TEST_P(FileSystemTest, AnExclusiveLockExcludesEveryOtherInTheSameProcess) {
  auto lock = Must(fs_->Lock(At("LOCK"), true));
  EXPECT_TRUE(Must(fs_->Exists(At("LOCK"))));
  EXPECT_EQ(CodeOf(fs_->Lock(At("LOCK"), true)), StatusCode::kBusy);
  EXPECT_EQ(CodeOf(fs_->Lock(At("LOCK"), false)), StatusCode::kBusy);
  lock.reset();
  lock = Must(fs_->Lock(At("LOCK"), true));
}

TEST_P(FileSystemTest, SharedLocksExcludeOnlyWriters) {
  Must(fs_->Lock(At("LOCK"), true));
  auto first = Must(fs_->Lock(At("LOCK"), false));
  auto second = Must(fs_->Lock(At("LOCK"), false));
  first.reset();
  EXPECT_EQ(CodeOf(fs_->Lock(At("LOCK"), true)), StatusCode::kBusy);
  second.reset();
  Must(fs_->Lock(At("LOCK"), true));
}

TEST_P(FileSystemTest, ASharedLockOnAMissingFileHoldsNothingAndMakesNothing) {
  const auto shared = Must(fs_->Lock(At("LOCK"), false));
  EXPECT_FALSE(Must(fs_->Exists(At("LOCK"))));
  Must(fs_->Lock(At("LOCK"), true));
}

TEST_P(FileSystemTest, SpaceIsReported) {
  const std::uint64_t capacity = Must(fs_->Capacity(directory_));
  const std::uint64_t free = Must(fs_->FreeSpace(directory_));
  EXPECT_GT(free, 0u);
  EXPECT_LE(free, capacity);
  EXPECT_EQ(CodeOf(fs_->FreeSpace(At("no"))), StatusCode::kNotFound);
}

TEST_P(FileSystemTest, NeighboursAreOnTheSameFileSystem) {
  EXPECT_OK(fs_->CreateDirectory(At("sub")));
  EXPECT_TRUE(Must(fs_->SameFileSystem(directory_, At("sub"))));
  EXPECT_EQ(CodeOf(fs_->SameFileSystem(directory_, At("no"))), StatusCode::kNotFound);
}

TEST_P(FileSystemTest, ThreadsUseOneFileAtOnce) {
  constexpr std::size_t kThreads = 4;
  constexpr std::size_t kPieces = 200;
  const auto file = CreateText(*fs_, At("a"), "");
  EXPECT_OK(file->Allocate(kThreads * kPieces * 16));
  const auto mapping = Must(file->Map(kThreads * kPieces * 16, true));
  std::vector<std::jthread> threads;
  for (std::size_t thread = 0; thread < kThreads; ++thread) {
    threads.emplace_back([&, thread] {
      const std::string piece(16, static_cast<char>('a' + thread));
      for (std::size_t i = 0; i < kPieces; ++i) {
        const std::uint64_t offset = (i * kThreads + thread) * 16;
        if (i % 2 == 0) {
          std::memcpy(mapping->data() + offset, piece.data(), 16);
        } else {
          EXPECT_OK(WriteText(*file, offset, piece));
        }
        EXPECT_EQ(ReadText(*file, offset, 16), piece);
        if (i % 50 == 0) EXPECT_OK(file->Sync());
      }
    });
  }
  threads.clear();
  const std::string text = ReadAll(*fs_, At("a"));
  for (std::size_t i = 0; i < text.size(); ++i) {
    ASSERT_EQ(text[i], static_cast<char>('a' + i / 16 % kThreads)) << i;
  }
}

}  // namespace
}  // namespace freyja::io
