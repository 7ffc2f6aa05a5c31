// Faults, damage and lack of space, as a MemoryFileSystem serves them to order.
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <cstring>
#include <memory>
#include <thread>
#include <vector>

#include "io/memory_file_system.h"
#include "io/test_support.h"

namespace freyja::io {
namespace {

using testing::CodeOf;
using testing::CreateText;
using testing::Must;
using testing::ReadAll;
using testing::ReadText;
using testing::WriteText;

constexpr std::uint64_t kBlockBytes = 4096;

class MemoryFaultTest : public ::testing::Test {
 protected:
  MemoryFaultTest() {
    EXPECT_OK(fs_.CreateDirectory("/d"));
    EXPECT_OK(fs_.SyncDirectory("/"));
  }

  std::string AfterPowerLoss(const std::filesystem::path& path) const {
    return ReadAll(*fs_.CrashImage({.mode = CrashOptions::Mode::kLoseAllUnsynced}), path);
  }
  std::uint64_t Free() { return Must(fs_.FreeSpace("/d")); }

  MemoryFileSystem fs_;
};

TEST_F(MemoryFaultTest, TheNthMatchingCallFailsOnce) {
  const auto file = CreateText(fs_, "/d/a", "");
  fs_.InjectFault({.operations = {Operation::kWrite},
                   .skip = 2,
                   .status = Status(StatusCode::kNoSpace, "full")});
  EXPECT_OK(WriteText(*file, 0, "1"));
  EXPECT_OK(file->Sync());
  EXPECT_OK(WriteText(*file, 1, "2"));
  EXPECT_EQ(WriteText(*file, 2, "3"), Status(StatusCode::kNoSpace, "full"));
  EXPECT_EQ(fs_.FaultsFired(), 1u);
  EXPECT_OK(WriteText(*file, 2, "4"));
  EXPECT_EQ(ReadAll(fs_, "/d/a"), "124");
}

TEST_F(MemoryFaultTest, AStickyFaultStaysUntilCleared) {
  const auto file = CreateText(fs_, "/d/a", "");
  fs_.InjectFault({.operations = {Operation::kWrite, Operation::kSync}, .sticky = true});
  EXPECT_FALSE(WriteText(*file, 0, "x").ok());
  EXPECT_FALSE(file->Sync().ok());
  EXPECT_FALSE(file->Sync().ok());
  EXPECT_EQ(ReadText(*file, 0, 1), "");
  fs_.ClearFaults();
  EXPECT_OK(file->Sync());
}

TEST_F(MemoryFaultTest, FaultsPickTheirPath) {
  const auto data = CreateText(fs_, "/d/1.data", "");
  const auto hint = CreateText(fs_, "/d/1.hint", "");
  fs_.InjectFault({.path_contains = ".hint", .sticky = true});
  EXPECT_OK(data->Sync());
  EXPECT_FALSE(hint->Sync().ok());
  EXPECT_FALSE(fs_.Rename("/d/1.hint", "/d/x").ok());
  EXPECT_FALSE(fs_.Rename("/d/1.data", "/d/2.hint").ok());
}

TEST_F(MemoryFaultTest, EveryOperationCanFail) {
  const auto file = CreateText(fs_, "/d/a", "text");
  fs_.InjectFault({.status = Status(StatusCode::kCancelled, "x"), .sticky = true});
  const std::vector<StatusCode> codes = {
      CodeOf(fs_.Open("/d/a", OpenMode::kRead)),
      CodeOf(fs_.Open("/d/b", OpenMode::kCreateNew)),
      CodeOf(file->ReadAt(0, {})),
      CodeOf(WriteText(*file, 0, "x")),
      CodeOf(file->Sync()),
      CodeOf(file->Allocate(10)),
      CodeOf(file->Truncate(10)),
      CodeOf(file->ReleaseTail(0)),
      CodeOf(file->Map(1, true)),
      CodeOf(fs_.Rename("/d/a", "/d/b")),
      CodeOf(fs_.Unlink("/d/a")),
      CodeOf(fs_.CreateDirectory("/d/e")),
      CodeOf(fs_.List("/d")),
      CodeOf(fs_.SyncDirectory("/d")),
      CodeOf(fs_.Lock("/d/LOCK", true)),
      CodeOf(file->Size()),
      CodeOf(file->DiskUsage()),
      CodeOf(fs_.Exists("/d/a")),
      CodeOf(fs_.FreeSpace("/d")),
      CodeOf(fs_.Capacity("/d")),
      CodeOf(fs_.SameFileSystem("/d", "/d")),
  };
  EXPECT_EQ(codes, std::vector<StatusCode>(codes.size(), StatusCode::kCancelled));
  fs_.ClearFaults();
  EXPECT_EQ(Must(fs_.List("/d")), std::vector<std::string>{"a"});
  EXPECT_EQ(ReadAll(fs_, "/d/a"), "text");
}

TEST_F(MemoryFaultTest, OperationsAreCountedByKind) {
  const auto file = CreateText(fs_, "/d/a", "x");
  const std::uint64_t before = fs_.OperationCount();
  EXPECT_OK(WriteText(*file, 0, "y"));
  EXPECT_OK(file->Sync());
  EXPECT_OK(file->Sync());
  EXPECT_EQ(fs_.OperationCount(), before + 3);
  EXPECT_EQ(fs_.OperationCount(Operation::kSync), 2u);
  EXPECT_EQ(fs_.OperationCount(Operation::kWrite), 2u);
  EXPECT_EQ(fs_.OperationCount(Operation::kUnlink), 0u);
}

TEST_F(MemoryFaultTest, AShortWriteLeavesABeginning) {
  const auto file = CreateText(fs_, "/d/a", "");
  fs_.InjectFault({.operations = {Operation::kWrite}, .short_write_bytes = 3});
  EXPECT_EQ(CodeOf(WriteText(*file, 0, "abcdef")), StatusCode::kIoError);
  EXPECT_EQ(ReadAll(fs_, "/d/a"), "abc");
}

TEST_F(MemoryFaultTest, AShortReadGivesABeginningAndFails) {
  const auto file = CreateText(fs_, "/d/a", "abcdef");
  fs_.InjectFault({.operations = {Operation::kRead}, .short_read_bytes = 2});
  std::string text(6, '?');
  EXPECT_EQ(CodeOf(file->ReadAt(0, std::as_writable_bytes(std::span(text)))), StatusCode::kIoError);
  EXPECT_EQ(text.substr(0, 2), "ab");
  EXPECT_FALSE(text.contains('c'));
  EXPECT_EQ(ReadAll(fs_, "/d/a"), "abcdef");
}

TEST_F(MemoryFaultTest, ALateFailureComesOutAtTheNextSyncOfTheSameFile) {
  const auto file = CreateText(fs_, "/d/a", "one");
  const auto other = CreateText(fs_, "/d/b", "two");
  EXPECT_OK(fs_.SyncDirectory("/d"));
  fs_.InjectFault({.operations = {Operation::kSync}, .reported_late = true});
  EXPECT_OK(file->Sync());
  EXPECT_EQ(AfterPowerLoss("/d/a"), "one");
  EXPECT_OK(other->Sync());
  EXPECT_FALSE(file->Sync().ok());
  EXPECT_OK(file->Sync());
}

TEST_F(MemoryFaultTest, AFailedWriteBackLosesWhatWasDirtyAndTheNextSyncSaysSo) {
  const auto file = CreateText(fs_, "/d/a", std::string(2 * kBlockBytes, 'o'));
  EXPECT_OK(file->Sync());
  EXPECT_OK(fs_.SyncDirectory("/d"));
  EXPECT_OK(WriteText(*file, 0, "n"));
  EXPECT_OK(fs_.FailWriteBack("/d/a", Status(StatusCode::kIoError, "write-back")));
  EXPECT_OK(WriteText(*file, kBlockBytes, "n"));
  EXPECT_EQ(file->Sync(), Status(StatusCode::kIoError, "write-back"));
  EXPECT_OK(file->Sync());
  EXPECT_EQ(ReadText(*file, 0, 1), "n");
  EXPECT_EQ(AfterPowerLoss("/d/a").substr(0, 1), "o");
  EXPECT_EQ(CodeOf(fs_.FailWriteBack("/d/no", Status())), StatusCode::kNotFound);
}

TEST_F(MemoryFaultTest, AFailedWriteBackIsReportedWhicheverPartIsSynced) {
  const auto file = CreateText(fs_, "/d/a", std::string(2 * kBlockBytes, 'o'));
  EXPECT_OK(file->Sync());
  const auto mapping = Must(file->Map(2 * kBlockBytes, true));
  mapping->data()[kBlockBytes] = std::byte{'n'};
  EXPECT_OK(fs_.FailWriteBack("/d/a", Status(StatusCode::kIoError, "write-back")));
  EXPECT_EQ(file->SyncMapped(*mapping, 1), Status(StatusCode::kIoError, "write-back"));
  EXPECT_OK(file->SyncMapped(*mapping, 1));
}

TEST_F(MemoryFaultTest, ASyncThatSucceedsBesideFailingWriteBacksHasMadeEverythingDurable) {
  const auto file = CreateText(fs_, "/d/a", std::string(kBlockBytes, 'o'));
  EXPECT_OK(file->Sync());
  EXPECT_OK(fs_.SyncDirectory("/d"));
  std::atomic<bool> stop = false;
  std::thread kernel([&] {
    while (!stop.load()) {
      EXPECT_OK(fs_.FailWriteBack("/d/a", Status(StatusCode::kIoError, "write-back")));
    }
  });
  for (int i = 0; i < 2000; ++i) {
    const std::string text(1, static_cast<char>('a' + i % 26));
    EXPECT_OK(WriteText(*file, 0, text));
    if (!file->Sync().ok()) continue;
    EXPECT_EQ(AfterPowerLoss("/d/a").substr(0, 1), text);
  }
  stop.store(true);
  kernel.join();
}

TEST_F(MemoryFaultTest, WhatFiredIsKnown) {
  const auto file = CreateText(fs_, "/d/a", "");
  fs_.InjectFault({.operations = {Operation::kSync}});
  EXPECT_TRUE(fs_.FirstFaultsFired().empty());
  EXPECT_FALSE(file->Sync().ok());
  const auto fired = fs_.FirstFaultsFired();
  ASSERT_EQ(fired.size(), 1u);
  EXPECT_EQ(fired[0].operation, Operation::kSync);
  EXPECT_EQ(fired[0].path, "/d/a");
}

TEST_F(MemoryFaultTest, AFailedRenameMayHaveHappened) {
  CreateText(fs_, "/d/a", "new");
  CreateText(fs_, "/d/b", "old");
  fs_.InjectFault({.operations = {Operation::kRename}});
  EXPECT_FALSE(fs_.Rename("/d/a", "/d/b").ok());
  EXPECT_EQ(ReadAll(fs_, "/d/b"), "old");
  fs_.InjectFault({.operations = {Operation::kRename}, .after_effect = true});
  EXPECT_FALSE(fs_.Rename("/d/a", "/d/b").ok());
  EXPECT_EQ(ReadAll(fs_, "/d/b"), "new");
}

TEST_F(MemoryFaultTest, AFailedSyncCanBeHarmlessOrHaveHappened) {
  const auto file = CreateText(fs_, "/d/a", "one");
  EXPECT_OK(fs_.SyncDirectory("/d"));
  fs_.InjectFault({.operations = {Operation::kSync}});
  EXPECT_FALSE(file->Sync().ok());
  EXPECT_EQ(AfterPowerLoss("/d/a"), "");
  fs_.InjectFault({.operations = {Operation::kSync}, .after_effect = true});
  EXPECT_FALSE(file->Sync().ok());
  EXPECT_EQ(AfterPowerLoss("/d/a"), "one");
}

TEST_F(MemoryFaultTest, AfterADroppedSyncLaterSyncsSucceedAndSaveNothing) {
  const auto file = CreateText(fs_, "/d/a", std::string(3 * kBlockBytes, 'o'));
  EXPECT_OK(file->Sync());
  EXPECT_OK(fs_.SyncDirectory("/d"));
  const auto mapping = Must(file->Map(3 * kBlockBytes, true));
  std::memset(mapping->data(), 'n', kBlockBytes);
  EXPECT_OK(WriteText(*file, 2 * kBlockBytes, std::string(kBlockBytes, 'n')));

  fs_.InjectFault({.operations = {Operation::kSync}, .sync_drops_dirty = true});
  EXPECT_FALSE(file->Sync().ok());
  EXPECT_OK(file->Sync());
  EXPECT_EQ(ReadText(*file, 0, 1), "n");
  EXPECT_EQ(AfterPowerLoss("/d/a"), std::string(3 * kBlockBytes, 'o'));
  const auto random = fs_.CrashImage({.seed = 1, .keep_probability = 1.0});
  EXPECT_EQ(ReadAll(*random, "/d/a"), std::string(3 * kBlockBytes, 'o'));

  // A block that changes once more is dirty again, all of it.
  std::memset(mapping->data() + 7, 'z', 1);
  EXPECT_OK(file->Sync());
  std::string first(kBlockBytes, 'n');
  first[7] = 'z';
  EXPECT_EQ(AfterPowerLoss("/d/a"), first + std::string(2 * kBlockBytes, 'o'));
}

TEST_F(MemoryFaultTest, AKilledProcessLeavesDroppedPagesBehind) {
  const auto file = CreateText(fs_, "/d/a", "old");
  EXPECT_OK(file->Sync());
  EXPECT_OK(fs_.SyncDirectory("/d"));
  EXPECT_OK(WriteText(*file, 0, "new"));
  fs_.InjectFault({.operations = {Operation::kSync}, .sync_drops_dirty = true});
  EXPECT_FALSE(file->Sync().ok());
  const auto killed = fs_.CrashImage({.mode = CrashOptions::Mode::kProcessKill});
  EXPECT_EQ(ReadAll(*killed, "/d/a"), "new");
  EXPECT_OK(Must(killed->Open("/d/a", OpenMode::kReadWrite))->Sync());
  const auto lost = killed->CrashImage({.mode = CrashOptions::Mode::kLoseAllUnsynced});
  EXPECT_EQ(ReadAll(*lost, "/d/a"), "old");
}

TEST_F(MemoryFaultTest, NoThreadIsInTheOldHookOnceItIsReplaced) {
  std::atomic<bool> entered{false};
  std::atomic<bool> ended{false};
  fs_.SetOperationHook([&](Operation, const auto&) {
    entered = true;
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
    ended = true;
  });
  std::thread worker([&] { EXPECT_TRUE(fs_.Exists("/").has_value()); });
  while (!entered) std::this_thread::yield();
  fs_.SetOperationHook(nullptr);
  EXPECT_TRUE(ended);
  worker.join();
}

TEST_F(MemoryFaultTest, AHookMayReplaceItself) {
  int calls = 0;
  fs_.SetOperationHook([&](Operation, const auto&) {
    ++calls;
    fs_.SetOperationHook(nullptr);
  });
  EXPECT_TRUE(fs_.Exists("/").has_value());
  EXPECT_TRUE(fs_.Exists("/").has_value());
  EXPECT_EQ(calls, 1);
}

TEST_F(MemoryFaultTest, HooksMayInjectTheFaultForTheirOwnOperation) {
  const auto file = CreateText(fs_, "/d/a", "");
  fs_.SetOperationHook([&](Operation operation, const auto&) {
    if (operation == Operation::kSync) fs_.InjectFault({.operations = {Operation::kSync}});
  });
  EXPECT_OK(WriteText(*file, 0, "x"));
  EXPECT_FALSE(file->Sync().ok());
}

TEST_F(MemoryFaultTest, AFullDiskRefusesWritesAllocationsAndNewFiles) {
  const auto file = CreateText(fs_, "/d/a", "");
  fs_.SetCapacity(4 * kBlockBytes);
  EXPECT_EQ(CodeOf(file->Allocate(5 * kBlockBytes)), StatusCode::kNoSpace);
  EXPECT_OK(file->Allocate(4 * kBlockBytes));
  EXPECT_EQ(Free(), 0u);
  EXPECT_OK(WriteText(*file, 100, "into what is allocated"));
  EXPECT_EQ(CodeOf(WriteText(*file, 4 * kBlockBytes, "x")), StatusCode::kNoSpace);
  EXPECT_EQ(CodeOf(fs_.Open("/d/b", OpenMode::kCreateNew)), StatusCode::kNoSpace);
  EXPECT_EQ(CodeOf(fs_.Lock("/d/LOCK", true)), StatusCode::kNoSpace);
}

TEST_F(MemoryFaultTest, AWriteThatRunsOutOfSpaceLeavesWhatFits) {
  const auto file = CreateText(fs_, "/d/a", "");
  fs_.SetCapacity(2 * kBlockBytes);
  EXPECT_EQ(CodeOf(WriteText(*file, 10, std::string(3 * kBlockBytes, 'x'))), StatusCode::kNoSpace);
  EXPECT_EQ(Must(file->Size()), 2 * kBlockBytes);
  EXPECT_EQ(Must(file->DiskUsage()), 2 * kBlockBytes);
}

TEST_F(MemoryFaultTest, AnAllocationThatRunsOutOfSpaceKeepsWhatItGot) {
  const auto file = CreateText(fs_, "/d/a", "x");
  fs_.SetCapacity(3 * kBlockBytes);
  EXPECT_EQ(CodeOf(file->Allocate(5 * kBlockBytes)), StatusCode::kNoSpace);
  EXPECT_EQ(Must(file->Size()), 3 * kBlockBytes);
  EXPECT_EQ(Must(file->DiskUsage()), 3 * kBlockBytes);
  EXPECT_EQ(Free(), 0u);
  EXPECT_OK(file->ReleaseTail(1));
  EXPECT_EQ(Free(), 2 * kBlockBytes);
}

TEST_F(MemoryFaultTest, AFailureMayFindNoMemoryForItsReport) {
  const auto file = CreateText(fs_, "/d/a", "x");
  fs_.InjectFault({.operations = {Operation::kSync}, .sync_drops_dirty = true, .no_memory = true});
  EXPECT_THROW(static_cast<void>(file->Sync()), std::bad_alloc);
  EXPECT_OK(file->Sync());
}

TEST_F(MemoryFaultTest, ReleaseTruncateAndUnlinkGiveSpaceBack) {
  fs_.SetCapacity(10 * kBlockBytes);
  EXPECT_EQ(Must(fs_.Capacity("/d")), 10 * kBlockBytes);
  auto file = CreateText(fs_, "/d/a", "");
  EXPECT_OK(file->Allocate(8 * kBlockBytes));
  EXPECT_EQ(Free(), 2 * kBlockBytes);
  EXPECT_OK(file->ReleaseTail(5 * kBlockBytes + 1));
  EXPECT_EQ(Free(), 4 * kBlockBytes);
  EXPECT_EQ(Must(file->Size()), 8 * kBlockBytes);
  EXPECT_OK(file->Truncate(kBlockBytes + 1));
  EXPECT_EQ(Free(), 8 * kBlockBytes);
  file.reset();
  EXPECT_OK(fs_.Unlink("/d/a"));
  EXPECT_EQ(Free(), 10 * kBlockBytes);
}

TEST_F(MemoryFaultTest, AnUnlinkedFileKeepsItsSpaceWhileSomeoneUsesIt) {
  fs_.SetCapacity(10 * kBlockBytes);
  auto file = CreateText(fs_, "/d/a", std::string(3 * kBlockBytes, 'x'));
  auto mapping = Must(file->Map(kBlockBytes, false));
  EXPECT_OK(fs_.Unlink("/d/a"));
  EXPECT_EQ(Free(), 7 * kBlockBytes);
  file.reset();
  EXPECT_EQ(Free(), 7 * kBlockBytes);
  mapping.reset();
  EXPECT_EQ(Free(), 10 * kBlockBytes);
}

TEST_F(MemoryFaultTest, ReplacingAFileByRenameGivesItsSpaceBack) {
  fs_.SetCapacity(10 * kBlockBytes);
  CreateText(fs_, "/d/a", std::string(3 * kBlockBytes, 'x'));
  CreateText(fs_, "/d/b", "y");
  EXPECT_EQ(Free(), 6 * kBlockBytes);
  EXPECT_OK(fs_.Rename("/d/b", "/d/a"));
  EXPECT_EQ(Free(), 9 * kBlockBytes);
}

TEST_F(MemoryFaultTest, CrashImagesCountTheSpaceOfWhatTheyHold) {
  fs_.SetCapacity(10 * kBlockBytes);
  const auto file = CreateText(fs_, "/d/a", std::string(3 * kBlockBytes, 'x'));
  EXPECT_OK(file->Sync());
  EXPECT_OK(fs_.SyncDirectory("/d"));
  CreateText(fs_, "/d/lost", std::string(kBlockBytes, 'x'));
  for (const auto mode : {CrashOptions::Mode::kLoseAllUnsynced, CrashOptions::Mode::kProcessKill}) {
    const auto image = fs_.CrashImage({.mode = mode});
    const std::uint64_t used = mode == CrashOptions::Mode::kProcessKill ? 4 : 3;
    EXPECT_EQ(Must(image->FreeSpace("/d")), (10 - used) * kBlockBytes);
    EXPECT_OK(image->Unlink("/d/a"));
    EXPECT_EQ(Must(image->FreeSpace("/d")), (13 - used) * kBlockBytes);
  }
}

TEST_F(MemoryFaultTest, AReadOnlyDiskRefusesEveryChange) {
  const auto file = CreateText(fs_, "/d/a", "text");
  fs_.MakeReadOnly(true);
  const std::vector<StatusCode> codes = {
      CodeOf(fs_.Open("/d/a", OpenMode::kReadWrite)),
      CodeOf(fs_.Open("/d/b", OpenMode::kCreateNew)),
      CodeOf(WriteText(*file, 0, "x")),
      CodeOf(file->Allocate(10)),
      CodeOf(file->Truncate(10)),
      CodeOf(file->ReleaseTail(0)),
      CodeOf(file->Map(1, true)),
      CodeOf(fs_.Rename("/d/a", "/d/b")),
      CodeOf(fs_.Unlink("/d/a")),
      CodeOf(fs_.CreateDirectory("/d/e")),
      CodeOf(fs_.Lock("/d/LOCK", true)),
  };
  EXPECT_EQ(codes, std::vector<StatusCode>(codes.size(), StatusCode::kReadOnly));
  EXPECT_EQ(ReadAll(fs_, "/d/a"), "text");
  EXPECT_OK(fs_.CreateDirectory("/d"));
  EXPECT_EQ(CodeOf(fs_.Lock("/d/LOCK", false)), StatusCode::kOk);
  EXPECT_EQ(CodeOf(file->Map(1, false)), StatusCode::kOk);
  fs_.MakeReadOnly(false);
  EXPECT_OK(WriteText(*file, 0, "x"));
}

TEST_F(MemoryFaultTest, MountsAreOtherFileSystems) {
  fs_.AddMount("/d/mount");
  fs_.AddMount("/other");
  EXPECT_OK(fs_.CreateDirectory("/d/mount/sub"));
  EXPECT_OK(fs_.CreateDirectory("/d/mountain"));
  EXPECT_FALSE(Must(fs_.SameFileSystem("/d", "/d/mount")));
  EXPECT_FALSE(Must(fs_.SameFileSystem("/other", "/d/mount")));
  EXPECT_TRUE(Must(fs_.SameFileSystem("/d/mount/sub", "/d/mount")));
  EXPECT_TRUE(Must(fs_.SameFileSystem("/d", "/d/mountain")));
  CreateText(fs_, "/d/mount/a", "text");
  EXPECT_EQ(CodeOf(fs_.Rename("/d/mount/a", "/d/a")), StatusCode::kIoError);
  EXPECT_OK(fs_.Rename("/d/mount/a", "/d/mount/sub/a"));
  const auto image = fs_.CrashImage({.mode = CrashOptions::Mode::kLoseAllUnsynced});
  EXPECT_FALSE(Must(image->SameFileSystem("/d", "/d/mount")));
}

TEST_F(MemoryFaultTest, CorruptionShowsEverywhereAndSurvivesACrash) {
  const auto file = CreateText(fs_, "/d/a", "abc");
  EXPECT_OK(file->Sync());
  EXPECT_OK(fs_.SyncDirectory("/d"));
  const auto mapping = Must(file->Map(3, false));
  EXPECT_OK(fs_.Corrupt("/d/a", 1, std::byte{0x20}));
  EXPECT_EQ(ReadAll(fs_, "/d/a"), "aBc");
  EXPECT_EQ(mapping->data()[1], std::byte{'B'});
  EXPECT_EQ(AfterPowerLoss("/d/a"), "aBc");
  EXPECT_EQ(CodeOf(fs_.Corrupt("/d/a", 3, std::byte{1})), StatusCode::kInvalidArgument);
  EXPECT_EQ(CodeOf(fs_.Corrupt("/d/no", 0, std::byte{1})), StatusCode::kNotFound);
}

TEST_F(MemoryFaultTest, ALostBlockFaultsLiveMappingsAndReadsZeros) {
  const auto file = CreateText(fs_, "/d/a", std::string(2 * kBlockBytes, 'x'));
  const auto mapping = Must(file->Map(2 * kBlockBytes, false));
  EXPECT_OK(fs_.LoseBlock("/d/a", kBlockBytes + 5));
  EXPECT_TRUE(mapping->faulted());
  EXPECT_EQ(mapping->data()[kBlockBytes - 1], std::byte{'x'});
  EXPECT_EQ(mapping->data()[kBlockBytes], std::byte{0});
  EXPECT_FALSE(Must(file->Map(kBlockBytes, false))->faulted());
  EXPECT_EQ(CodeOf(fs_.LoseBlock("/d/a", 2 * kBlockBytes)), StatusCode::kInvalidArgument);
}

TEST_F(MemoryFaultTest, OverwriteReplacesOrMakesAFileDurably) {
  const std::string longer = "longer than before";
  for (const std::string& text : {std::string("text"), longer, std::string()}) {
    EXPECT_OK(fs_.Overwrite("/d/a", base::AsBytes(text)));
    EXPECT_EQ(ReadAll(fs_, "/d/a"), text);
    EXPECT_EQ(AfterPowerLoss("/d/a"), text);
    EXPECT_EQ(base::AsChars(Must(fs_.Contents("/d/a"))), text);
  }
  EXPECT_EQ(CodeOf(fs_.Contents("/d/no")), StatusCode::kNotFound);
}

TEST_F(MemoryFaultTest, GrowingFarPastAMappingIsRefusedRatherThanMovedAway) {
  const auto file = CreateText(fs_, "/d/a", "abc");
  const auto mapping = Must(file->Map(3, false));
  EXPECT_EQ(CodeOf(file->Allocate(std::uint64_t{1} << 30)), StatusCode::kUnsupported);
  EXPECT_EQ(ReadAll(fs_, "/d/a"), "abc");
}

TEST_F(MemoryFaultTest, ImpossibleSizesAreNoSpace) {
  const auto file = CreateText(fs_, "/d/a", "abc");
  EXPECT_EQ(CodeOf(file->Truncate(~std::uint64_t{0})), StatusCode::kNoSpace);
  EXPECT_EQ(CodeOf(file->Allocate(~std::uint64_t{0})), StatusCode::kNoSpace);
  EXPECT_EQ(CodeOf(WriteText(*file, ~std::uint64_t{0}, "x")), StatusCode::kNoSpace);
}

TEST_F(MemoryFaultTest, PathsAreNormalised) {
  CreateText(fs_, "/d/./x/../a", "text");
  EXPECT_EQ(ReadAll(fs_, "d/a"), "text");
  EXPECT_EQ(Must(fs_.List("/d/")), std::vector<std::string>{"a"});
}

TEST(MemoryFileSystemLifetimeTest, FilesOutliveTheirFileSystem) {
  auto fs = std::make_unique<MemoryFileSystem>();
  auto file = CreateText(*fs, "/a", "text");
  auto mapping = Must(file->Map(4, true));
  auto lock = Must(fs->Lock("/LOCK", true));
  fs.reset();
  EXPECT_EQ(ReadText(*file, 0, 4), "text");
  lock.reset();
  file.reset();
  EXPECT_EQ(base::AsChars({mapping->data(), 4}), "text");
}

}  // namespace
}  // namespace freyja::io
