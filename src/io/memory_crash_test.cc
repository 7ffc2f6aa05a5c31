// What a crash leaves of a MemoryFileSystem.
#include <gtest/gtest.h>

#include <atomic>
#include <cstring>
#include <set>
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
using Mode = CrashOptions::Mode;

constexpr std::size_t kSectorBytes = 512;

class MemoryCrashTest : public ::testing::Test {
 protected:
  MemoryCrashTest() {
    EXPECT_OK(fs_.CreateDirectory("/d"));
    EXPECT_OK(fs_.SyncDirectory("/"));
  }

  // A file that survives every crash.
  std::unique_ptr<File> CreateDurable(const std::filesystem::path& path, std::string_view text) {
    auto file = CreateText(fs_, path, text);
    EXPECT_OK(file->Sync());
    EXPECT_OK(fs_.SyncDirectory(path.parent_path()));
    return file;
  }

  std::unique_ptr<MemoryFileSystem> Lose() const {
    return fs_.CrashImage({.mode = Mode::kLoseAllUnsynced});
  }
  std::unique_ptr<MemoryFileSystem> Kill() const {
    return fs_.CrashImage({.mode = Mode::kProcessKill});
  }
  std::unique_ptr<MemoryFileSystem> Random(std::uint64_t seed, double keep = 0.5) const {
    return fs_.CrashImage({.mode = Mode::kRandom, .seed = seed, .keep_probability = keep});
  }

  MemoryFileSystem fs_;
};

TEST_F(MemoryCrashTest, SyncedContentUnderASyncedNameSurvives) {
  CreateDurable("/d/a", "text");
  EXPECT_EQ(ReadAll(*Lose(), "/d/a"), "text");
  for (std::uint64_t seed = 0; seed < 20; ++seed) EXPECT_EQ(ReadAll(*Random(seed), "/d/a"), "text");
}

TEST_F(MemoryCrashTest, AnUnsyncedNameIsLostHoweverDurableTheContent) {
  EXPECT_OK(CreateText(fs_, "/d/a", "text")->Sync());
  EXPECT_FALSE(Must(Lose()->Exists("/d/a")));
}

TEST_F(MemoryCrashTest, ASyncedNameWithUnsyncedContentIsAnEmptyFile) {
  const auto file = CreateText(fs_, "/d/a", "text");
  EXPECT_OK(fs_.SyncDirectory("/d"));
  EXPECT_EQ(ReadAll(*Lose(), "/d/a"), "");
}

TEST_F(MemoryCrashTest, UnsyncedChangesFallBackToTheLastSync) {
  const auto file = CreateDurable("/d/a", "old text");
  EXPECT_OK(WriteText(*file, 0, "new"));
  EXPECT_OK(WriteText(*file, 8, " and more"));
  EXPECT_EQ(ReadAll(*Lose(), "/d/a"), "old text");
  EXPECT_OK(file->Sync());
  EXPECT_EQ(ReadAll(*Lose(), "/d/a"), "new text and more");
}

TEST_F(MemoryCrashTest, UnsyncedTruncationAndReleaseFallBackToo) {
  const std::string text(3 * 4096, 'x');
  const auto file = CreateDurable("/d/a", text);
  EXPECT_OK(file->ReleaseTail(4096));
  EXPECT_EQ(ReadAll(*Lose(), "/d/a"), text);
  EXPECT_OK(file->Truncate(10));
  EXPECT_EQ(ReadAll(*Lose(), "/d/a"), text);
  EXPECT_OK(file->Sync());
  EXPECT_EQ(ReadAll(*Lose(), "/d/a"), std::string(10, 'x'));
  EXPECT_OK(file->Truncate(text.size()));
  EXPECT_OK(file->Sync());
  EXPECT_EQ(ReadAll(*Lose(), "/d/a"), std::string(10, 'x') + std::string(text.size() - 10, '\0'));
}

TEST_F(MemoryCrashTest, StoresIntoAMappingAreLostUntilSynced) {
  const auto file = CreateDurable("/d/a", std::string(8192, 'x'));
  auto mapping = Must(file->Map(8192, true));
  std::memcpy(mapping->data() + 5000, "one", 3);
  EXPECT_EQ(ReadAll(*Lose(), "/d/a"), std::string(8192, 'x'));
  EXPECT_OK(file->Sync());
  EXPECT_EQ(ReadAll(*Lose(), "/d/a").substr(5000, 3), "one");
  // A second round under the same mapping, and one whose mapping is gone by the sync.
  std::memcpy(mapping->data() + 5000, "two", 3);
  EXPECT_OK(file->Sync());
  EXPECT_EQ(ReadAll(*Lose(), "/d/a").substr(5000, 3), "two");
  std::memcpy(mapping->data() + 5000, "end", 3);
  mapping.reset();
  EXPECT_EQ(ReadAll(*Lose(), "/d/a").substr(5000, 3), "two");
  EXPECT_OK(file->Sync());
  EXPECT_EQ(ReadAll(*Lose(), "/d/a").substr(5000, 3), "end");
}

TEST_F(MemoryCrashTest, ASyncOfTheStartOfAMappingLeavesTheRestUnsynced) {
  const auto file = CreateDurable("/d/a", std::string(8192, 'x'));
  const auto mapping = Must(file->Map(8192, true));
  std::memcpy(mapping->data() + 100, "near", 4);
  std::memcpy(mapping->data() + 4090, "page", 4);
  std::memcpy(mapping->data() + 5000, "far", 3);
  EXPECT_OK(file->SyncMapped(*mapping, 105));
  const std::string synced = ReadAll(*Lose(), "/d/a");
  EXPECT_EQ(synced.substr(100, 4), "near");
  EXPECT_EQ(synced.substr(4090, 4), "page") << "pages are synced as a whole";
  EXPECT_EQ(synced[5000], 'x');

  bool far = false;
  for (std::uint64_t seed = 0; seed < 20; ++seed) {
    const std::string kept = ReadAll(*Random(seed), "/d/a");
    EXPECT_EQ(kept.substr(100, 4), "near");
    far |= kept.substr(5000, 3) == "far";
  }
  EXPECT_TRUE(far) << "the rest is still on its way";
  EXPECT_OK(file->SyncMapped(*mapping, 8192));
  EXPECT_EQ(ReadAll(*Lose(), "/d/a").substr(5000, 3), "far");

  EXPECT_OK(WriteText(*file, 8192, "grown"));
  EXPECT_EQ(file->SyncMapped(*mapping, 8192).code(), StatusCode::kUnsupported);
  EXPECT_OK(file->Sync());
  EXPECT_OK(file->SyncMapped(*mapping, 8192));
  EXPECT_EQ(ReadAll(*Lose(), "/d/a").substr(8192), "grown");
}

TEST_F(MemoryCrashTest, AnUnsyncedRenameLeavesBothNamesAsTheyWere) {
  CreateDurable("/d/a", "new");
  CreateDurable("/d/b", "old");
  EXPECT_OK(fs_.Rename("/d/a", "/d/b"));
  const auto before = Lose();
  EXPECT_EQ(ReadAll(*before, "/d/a"), "new");
  EXPECT_EQ(ReadAll(*before, "/d/b"), "old");
  EXPECT_OK(fs_.SyncDirectory("/d"));
  const auto after = Lose();
  EXPECT_FALSE(Must(after->Exists("/d/a")));
  EXPECT_EQ(ReadAll(*after, "/d/b"), "new");
}

TEST_F(MemoryCrashTest, ARenameIsAtomicInEveryRandomImage) {
  CreateDurable("/d/a", "new");
  CreateDurable("/d/b", "old");
  EXPECT_OK(fs_.Rename("/d/a", "/d/b"));
  std::set<std::string> seen;
  for (std::uint64_t seed = 0; seed < 50; ++seed) {
    const auto image = Random(seed);
    const std::string target = ReadAll(*image, "/d/b");
    EXPECT_EQ(Must(image->Exists("/d/a")), target == "old") << seed;
    seen.insert(target);
  }
  EXPECT_EQ(seen, (std::set<std::string>{"new", "old"}));
}

TEST_F(MemoryCrashTest, ARenameBetweenDirectoriesNeedsBothSynced) {
  EXPECT_OK(fs_.CreateDirectory("/t"));
  EXPECT_OK(fs_.SyncDirectory("/"));
  CreateDurable("/t/a", "text");
  EXPECT_OK(fs_.Rename("/t/a", "/d/a"));
  EXPECT_OK(fs_.SyncDirectory("/d"));
  const auto half = Lose();
  EXPECT_EQ(ReadAll(*half, "/d/a"), "text");
  EXPECT_EQ(ReadAll(*half, "/t/a"), "text");
  EXPECT_OK(fs_.SyncDirectory("/t"));
  EXPECT_FALSE(Must(Lose()->Exists("/t/a")));
}

TEST_F(MemoryCrashTest, AnUnsyncedUnlinkBringsTheFileBack) {
  CreateDurable("/d/a", "text");
  EXPECT_OK(fs_.Unlink("/d/a"));
  EXPECT_EQ(ReadAll(*Lose(), "/d/a"), "text");
  EXPECT_OK(fs_.SyncDirectory("/d"));
  EXPECT_FALSE(Must(Lose()->Exists("/d/a")));
}

TEST_F(MemoryCrashTest, AnUnlinkCanPersistBeforeAnEarlierRename) {
  CreateDurable("/d/a", "a");
  CreateDurable("/d/old", "old");
  EXPECT_OK(fs_.Rename("/d/a", "/d/b"));
  EXPECT_OK(fs_.Unlink("/d/old"));
  bool seen = false;
  for (std::uint64_t seed = 0; seed < 100; ++seed) {
    const auto image = Random(seed);
    seen |= !Must(image->Exists("/d/old")) && !Must(image->Exists("/d/b"));
  }
  EXPECT_TRUE(seen);
}

TEST_F(MemoryCrashTest, FilesInADirectoryThatWasLostAreLost) {
  EXPECT_OK(fs_.CreateDirectory("/new"));
  CreateDurable("/new/a", "text");
  const auto image = Lose();
  EXPECT_FALSE(Must(image->Exists("/new")));
  EXPECT_FALSE(Must(image->Exists("/new/a")));
  EXPECT_OK(fs_.SyncDirectory("/"));
  EXPECT_EQ(ReadAll(*Lose(), "/new/a"), "text");
}

TEST_F(MemoryCrashTest, EachSectorOfARandomImageIsOldOrNew) {
  constexpr std::size_t kSectors = 64;
  const auto file = CreateDurable("/d/a", std::string(kSectors * kSectorBytes, 'o'));
  const auto mapping = Must(file->Map(kSectors * kSectorBytes, true));
  std::memset(mapping->data(), 'n', mapping->size());
  std::size_t kept = 0;
  std::set<std::string> images;
  for (std::uint64_t seed = 0; seed < 20; ++seed) {
    const std::string text = ReadAll(*Random(seed), "/d/a");
    ASSERT_EQ(text.size(), kSectors * kSectorBytes);
    for (std::size_t sector = 0; sector < kSectors; ++sector) {
      const std::string part = text.substr(sector * kSectorBytes, kSectorBytes);
      ASSERT_TRUE(part == std::string(kSectorBytes, part[0])) << seed << " " << sector;
      ASSERT_TRUE(part[0] == 'o' || part[0] == 'n');
      kept += part[0] == 'n';
    }
    images.insert(text);
  }
  EXPECT_GT(kept, 20 * kSectors * 2 / 5);
  EXPECT_LT(kept, 20 * kSectors * 3 / 5);
  EXPECT_EQ(images.size(), 20u);
}

TEST_F(MemoryCrashTest, TheSizeOfARandomImageIsOldOrNewWhateverTheContent) {
  const auto file = CreateDurable("/d/a", std::string(1000, 'o'));
  EXPECT_OK(WriteText(*file, 1000, std::string(9000, 'n')));
  std::set<std::size_t> sizes;
  bool size_without_content = false;
  for (std::uint64_t seed = 0; seed < 50; ++seed) {
    const std::string text = ReadAll(*Random(seed), "/d/a");
    sizes.insert(text.size());
    EXPECT_EQ(text.substr(0, 1000), std::string(1000, 'o'));
    size_without_content |= text.size() > 1000 && text.contains('\0');
  }
  EXPECT_EQ(sizes, (std::set<std::size_t>{1000, 10'000}));
  EXPECT_TRUE(size_without_content);
}

TEST_F(MemoryCrashTest, TheSameSeedGivesTheSameImage) {
  const auto file = CreateDurable("/d/a", std::string(20'000, 'o'));
  EXPECT_OK(WriteText(*file, 100, std::string(19'000, 'n')));
  CreateText(fs_, "/d/b", "b");
  const auto one = Random(7);
  const auto two = Random(7);
  EXPECT_EQ(ReadAll(*one, "/d/a"), ReadAll(*two, "/d/a"));
  EXPECT_EQ(Must(one->List("/d")), Must(two->List("/d")));
}

TEST_F(MemoryCrashTest, KeepProbabilityReachesFromNothingToEverything) {
  const auto file = CreateDurable("/d/a", "old");
  EXPECT_OK(WriteText(*file, 0, "newer"));
  CreateText(fs_, "/d/b", "b");
  EXPECT_EQ(ReadAll(*Random(1, 0.0), "/d/a"), "old");
  EXPECT_FALSE(Must(Random(1, 0.0)->Exists("/d/b")));
  EXPECT_EQ(ReadAll(*Random(1, 1.0), "/d/a"), "newer");
  EXPECT_EQ(ReadAll(*Random(1, 1.0), "/d/b"), "b");
}

TEST_F(MemoryCrashTest, AKilledProcessLosesNothingButASecondCrashMay) {
  const auto file = CreateDurable("/d/a", std::string(5000, 'o'));
  const auto mapping = Must(file->Map(5000, true));
  std::memcpy(mapping->data(), "mapped", 6);
  EXPECT_OK(WriteText(*file, 4500, "written"));
  CreateText(fs_, "/d/b", "b");
  const auto killed = Kill();
  EXPECT_EQ(ReadAll(*killed, "/d/a"), ReadAll(fs_, "/d/a"));
  EXPECT_EQ(ReadAll(*killed, "/d/b"), "b");
  const auto lost = killed->CrashImage({.mode = Mode::kLoseAllUnsynced});
  EXPECT_EQ(ReadAll(*lost, "/d/a"), std::string(5000, 'o'));
  EXPECT_FALSE(Must(lost->Exists("/d/b")));
  // And what the restarted process syncs is durable, though the dead one had written it.
  EXPECT_OK(Must(killed->Open("/d/a", OpenMode::kReadWrite))->Sync());
  EXPECT_EQ(ReadAll(*killed->CrashImage({.mode = Mode::kLoseAllUnsynced}), "/d/a"),
            ReadAll(fs_, "/d/a"));
}

TEST_F(MemoryCrashTest, AnImageAfterPowerLossIsDurable) {
  const auto file = CreateDurable("/d/a", "old");
  EXPECT_OK(WriteText(*file, 0, "new"));
  CreateText(fs_, "/d/b", "b");
  const auto image = Random(1, 1.0);
  const auto again = image->CrashImage({.mode = Mode::kLoseAllUnsynced});
  EXPECT_EQ(ReadAll(*again, "/d/a"), "new");
  EXPECT_EQ(Must(again->List("/d")), Must(image->List("/d")));
}

TEST_F(MemoryCrashTest, ImageAndOriginalLiveApart) {
  const auto file = CreateDurable("/d/a", "text");
  const auto mapping = Must(file->Map(4, true));
  const auto image = Kill();
  std::memcpy(mapping->data(), "TEXT", 4);
  EXPECT_OK(Must(image->Open("/d/a", OpenMode::kReadWrite))->Truncate(1));
  EXPECT_EQ(ReadAll(*image, "/d/a"), "t");
  EXPECT_EQ(ReadAll(fs_, "/d/a"), "TEXT");
}

TEST_F(MemoryCrashTest, LocksEndWithTheCrash) {
  const auto lock = Must(fs_.Lock("/d/LOCK", true));
  EXPECT_EQ(CodeOf(Kill()->Lock("/d/LOCK", true)), StatusCode::kOk);
  EXPECT_EQ(CodeOf(fs_.Lock("/d/LOCK", true)), StatusCode::kBusy);
}

TEST_F(MemoryCrashTest, HooksTakeImagesBeforeEachOperation) {
  const auto file = CreateDurable("/d/a", "");
  std::vector<std::pair<Operation, std::string>> seen;
  fs_.SetOperationHook([&](Operation operation, const std::filesystem::path& path) {
    EXPECT_EQ(path, "/d/a");
    seen.emplace_back(operation, ReadAll(*Lose(), "/d/a"));
  });
  EXPECT_OK(WriteText(*file, 0, "x"));
  EXPECT_OK(file->Sync());
  EXPECT_OK(WriteText(*file, 0, "y"));
  fs_.SetOperationHook(nullptr);
  const std::vector<std::pair<Operation, std::string>> expected = {
      {Operation::kWrite, ""}, {Operation::kSync, ""}, {Operation::kWrite, "x"}};
  EXPECT_EQ(seen, expected);
}

TEST_F(MemoryCrashTest, SyncAndImagesGoOnWhileOthersStore) {
  constexpr std::size_t kBytes = 1 << 16;
  const auto file = CreateDurable("/d/a", std::string(kBytes, 'o'));
  const auto mapping = Must(file->Map(kBytes, true));
  std::atomic<bool> stop = false;
  std::jthread writer([&] {
    for (unsigned round = 0; !stop; ++round) {
      std::memset(mapping->data(), static_cast<int>('a' + round % 26), kBytes);
    }
  });
  for (std::uint64_t seed = 0; seed < 30; ++seed) {
    EXPECT_OK(file->Sync());
    for (const Mode mode : {Mode::kProcessKill, Mode::kLoseAllUnsynced, Mode::kRandom}) {
      EXPECT_EQ(ReadAll(*fs_.CrashImage({.mode = mode, .seed = seed}), "/d/a").size(), kBytes);
    }
  }
  stop = true;
  writer.join();
  EXPECT_OK(file->Sync());
  EXPECT_EQ(ReadAll(*Lose(), "/d/a"), ReadAll(fs_, "/d/a"));
}

}  // namespace
}  // namespace freyja::io
