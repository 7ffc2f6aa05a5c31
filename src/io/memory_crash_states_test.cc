// The states of a crash, enumerated: small file systems whose states can be counted by hand.
#include "io/memory_crash_states.h"

#include <gtest/gtest.h>

#include <cstring>
#include <functional>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "io/memory_file_system.h"
#include "io/test_support.h"

namespace freyja::io {
namespace {

using testing::CreateText;
using testing::Must;
using testing::ReadAll;
using testing::WriteText;

constexpr std::size_t kSectorBytes = 512;
using Disk = std::map<std::string, std::string>;  // path -> content

Disk Look(MemoryFileSystem& fs, const std::vector<std::string>& directories) {
  Disk disk;
  for (const std::string& directory : directories) {
    for (const std::string& name : Must(fs.List(directory))) {
      disk[directory + "/" + name] = ReadAll(fs, directory + "/" + name);
    }
  }
  return disk;
}

class CrashStatesTest : public ::testing::Test {
 protected:
  CrashStatesTest() {
    EXPECT_OK(fs_.CreateDirectory("/d"));
    EXPECT_OK(fs_.CreateDirectory("/t"));
    EXPECT_OK(fs_.SyncDirectory("/"));
    fs_.KeepVersions(true);
  }

  std::unique_ptr<File> CreateDurable(const std::string& path, std::string_view text) {
    auto file = CreateText(fs_, path, text);
    EXPECT_OK(file->Sync());
    EXPECT_OK(fs_.SyncDirectory(path.substr(0, 2)));
    return file;
  }

  static void ForEach(const CrashStates& states, CrashProfile profile,
                      const std::function<void(const CrashStates::Choice&)>& visit) {
    const auto alternatives = states.Alternatives(profile);
    CrashStates::Choice choice(alternatives.size(), 0);
    for (std::size_t at = 0; at <= choice.size();) {
      if (at == 0) visit(choice);
      if (at < choice.size() && ++choice[at] < alternatives[at]) {
        at = 0;
      } else if (at < choice.size()) {
        choice[at++] = 0;
      } else {
        break;
      }
    }
  }

  // What is found in each distinct state. Checks that equal hashes mean equal states.
  std::set<Disk> StatesOf(CrashProfile profile) {
    const auto states = fs_.Freeze();
    std::set<Disk> found;
    std::map<std::pair<std::uint64_t, std::uint64_t>, Disk> by_hash;
    ForEach(*states, profile, [&](const CrashStates::Choice& choice) {
      const auto image = states->Image(profile, choice);
      const Disk disk = Look(*image, {"/d", "/t"});
      const memory::Hash128 hash = states->HashOf(profile, choice);
      const auto [known, is_new] = by_hash.emplace(std::pair(hash.low, hash.high), disk);
      EXPECT_EQ(known->second, disk);
      EXPECT_EQ(is_new, found.insert(disk).second);
    });
    return found;
  }
  std::set<Disk> Adversarial() { return StatesOf(CrashProfile::kAdversarial); }
  std::set<Disk> Ordered() { return StatesOf(CrashProfile::kOrderedJournal); }

  MemoryFileSystem fs_;
};

TEST_F(CrashStatesTest, WithEverythingSyncedThereIsOneState) {
  CreateDurable("/d/a", "text");
  const Disk only = {{"/d/a", "text"}};
  for (const CrashProfile profile : kCrashProfiles) {
    EXPECT_EQ(StatesOf(profile), std::set{only}) << NameOf(profile);
  }
}

TEST_F(CrashStatesTest, EachSectorIsAnyOfItsVersions) {
  const auto file = CreateDurable("/d/a", std::string(2 * kSectorBytes, 'o'));
  EXPECT_OK(WriteText(*file, 0, "1"));
  EXPECT_OK(WriteText(*file, 0, "2"));
  EXPECT_OK(WriteText(*file, kSectorBytes, "x"));
  std::set<std::pair<char, char>> seen;
  for (const Disk& disk : Adversarial()) {
    const std::string& text = disk.at("/d/a");
    seen.emplace(text[0], text[kSectorBytes]);
  }
  EXPECT_EQ(seen, (std::set<std::pair<char, char>>{
                      {'o', 'o'}, {'1', 'o'}, {'2', 'o'}, {'o', 'x'}, {'1', 'x'}, {'2', 'x'}}));
  // Overwriting in place is not ordered by the journal either.
  EXPECT_EQ(Ordered(), Adversarial());
  EXPECT_OK(file->Sync());
  EXPECT_EQ(Adversarial().size(), 1u);
}

TEST_F(CrashStatesTest, StoresIntoMappingsAreVersionsWhenTheyAreObserved) {
  const auto file = CreateDurable("/d/a", std::string(4096, 'o'));
  const auto mapping = Must(file->Map(4096, true));
  mapping->data()[0] = std::byte{'1'};
  mapping->data()[0] = std::byte{'2'};
  fs_.Observe();
  mapping->data()[0] = std::byte{'3'};
  mapping->data()[kSectorBytes] = std::byte{'x'};
  EXPECT_EQ(Adversarial().size(), 3u * 2u);
  EXPECT_OK(file->Sync());
  mapping->data()[kSectorBytes] = std::byte{'y'};
  EXPECT_EQ(Adversarial().size(), 2u);
}

TEST_F(CrashStatesTest, VersionsAreOnlyKeptWhenAskedFor) {
  fs_.KeepVersions(false);
  const auto file = CreateDurable("/d/a", "o");
  for (const char* text : {"1", "2", "3"}) EXPECT_OK(WriteText(*file, 0, text));
  EXPECT_EQ(Adversarial(), (std::set<Disk>{{{"/d/a", "o"}}, {{"/d/a", "3"}}}));
}

TEST_F(CrashStatesTest, TheSizeIsApartFromTheData) {
  const auto file = CreateDurable("/d/a", "");
  EXPECT_OK(WriteText(*file, 0, "ab"));
  EXPECT_OK(WriteText(*file, 2, "cd"));
  const std::string zeros(4, '\0');
  EXPECT_EQ(Adversarial(), (std::set<Disk>{{{"/d/a", ""}},
                                           {{"/d/a", zeros.substr(2)}},
                                           {{"/d/a", zeros}},
                                           {{"/d/a", "ab"}},
                                           {{"/d/a", "ab" + zeros.substr(2)}},
                                           {{"/d/a", "abcd"}}}));
  // With a journal a size is only there with what was written up to it.
  EXPECT_EQ(Ordered(), (std::set<Disk>{{{"/d/a", ""}}, {{"/d/a", "ab"}}, {{"/d/a", "abcd"}}}));
}

TEST_F(CrashStatesTest, ReservedSpaceReadsAsZerosInAnyProfile) {
  const auto file = CreateDurable("/d/a", "");
  EXPECT_OK(file->Allocate(kSectorBytes));
  EXPECT_OK(WriteText(*file, 0, "x"));
  const std::string zeros(kSectorBytes, '\0');
  std::string written = zeros;
  written[0] = 'x';
  const std::set<Disk> expected = {{{"/d/a", ""}}, {{"/d/a", zeros}}, {{"/d/a", written}}};
  EXPECT_EQ(Adversarial(), expected);
  EXPECT_EQ(Ordered(), expected);
}

TEST_F(CrashStatesTest, ChangesOfADirectoryAreLostIndependentlyOrFromTheEnd) {
  CreateDurable("/d/old", "");
  CreateText(fs_, "/d/a", "");
  EXPECT_OK(fs_.Unlink("/d/old"));
  CreateText(fs_, "/d/b", "");
  EXPECT_EQ(Adversarial().size(), 8u);
  EXPECT_EQ(Ordered(), (std::set<Disk>{{{"/d/old", ""}},
                                       {{"/d/a", ""}, {"/d/old", ""}},
                                       {{"/d/a", ""}},
                                       {{"/d/a", ""}, {"/d/b", ""}}}));
  EXPECT_OK(fs_.SyncDirectory("/d"));
  EXPECT_EQ(Adversarial(), (std::set<Disk>{{{"/d/a", ""}, {"/d/b", ""}}}));
}

TEST_F(CrashStatesTest, SyncingADirectoryKeepsWhatCameBeforeInOthersWithAJournalOnly) {
  CreateText(fs_, "/t/first", "");
  CreateText(fs_, "/d/second", "");
  CreateText(fs_, "/t/third", "");
  EXPECT_EQ(Adversarial().size(), 8u);
  EXPECT_EQ(Ordered().size(), 4u);
  EXPECT_OK(fs_.SyncDirectory("/d"));
  EXPECT_EQ(Adversarial().size(), 4u);
  EXPECT_EQ(Ordered().size(), 1u);
  CreateText(fs_, "/t/fourth", "");
  EXPECT_EQ(Ordered().size(), 2u);
}

TEST_F(CrashStatesTest, ARenameIsWholeWithinADirectoryAndTwoHalvesBetweenTwo) {
  CreateDurable("/d/a", "x");
  EXPECT_OK(fs_.Rename("/d/a", "/d/b"));
  EXPECT_EQ(Adversarial(), (std::set<Disk>{{{"/d/a", "x"}}, {{"/d/b", "x"}}}));
  EXPECT_OK(fs_.SyncDirectory("/d"));
  EXPECT_OK(fs_.Rename("/d/b", "/t/b"));
  EXPECT_EQ(Adversarial(),
            (std::set<Disk>{{{"/d/b", "x"}}, {{"/t/b", "x"}}, {{"/d/b", "x"}, {"/t/b", "x"}}, {}}));
  EXPECT_EQ(Ordered(), (std::set<Disk>{{{"/d/b", "x"}}, {{"/t/b", "x"}}}));
}

TEST_F(CrashStatesTest, AFileReplacedByRenamingIsThereWithItsDataWithAJournalOnly) {
  CreateDurable("/d/a", "old");
  const auto file = CreateText(fs_, "/d/new", "new");
  EXPECT_OK(fs_.Rename("/d/new", "/d/a"));
  const auto contents = [](const std::set<Disk>& states) {
    std::set<std::string> texts;
    for (const Disk& disk : states) texts.insert(disk.at("/d/a"));
    return texts;
  };
  const std::string zeros(3, '\0');
  EXPECT_EQ(contents(Adversarial()), (std::set<std::string>{"old", "new", "", zeros}));
  EXPECT_EQ(contents(Ordered()), (std::set<std::string>{"old", "new"}));
}

TEST_F(CrashStatesTest, AFileThatIsRenamedToANewNameMayLackItsData) {
  CreateText(fs_, "/d/a", "text");
  EXPECT_OK(fs_.Rename("/d/a", "/d/b"));
  EXPECT_TRUE(Ordered().contains(Disk{{"/d/b", ""}}));
}

TEST_F(CrashStatesTest, WhatLiesInALostDirectoryIsLost) {
  EXPECT_OK(fs_.CreateDirectory("/d/sub"));
  EXPECT_OK(CreateText(fs_, "/d/sub/a", "text")->Sync());
  EXPECT_OK(fs_.SyncDirectory("/d/sub"));
  const auto states = fs_.Freeze();
  EXPECT_EQ(states->Alternatives(CrashProfile::kAdversarial), std::vector<std::uint32_t>{2});
  EXPECT_FALSE(
      Must(states->Image(CrashProfile::kAdversarial, CrashStates::Choice{0})->Exists("/d/sub/a")));
  EXPECT_TRUE(
      Must(states->Image(CrashProfile::kAdversarial, CrashStates::Choice{1})->Exists("/d/sub/a")));
}

TEST_F(CrashStatesTest, AKilledProcessLeavesWhatIsCurrentAndStillUnsynced) {
  const auto file = CreateDurable("/d/a", "old");
  EXPECT_OK(WriteText(*file, 0, "newer"));
  CreateText(fs_, "/d/b", "b");
  const auto states = fs_.Freeze();
  EXPECT_TRUE(states->Alternatives(CrashProfile::kProcessKill).empty());
  const auto killed = states->Image(CrashProfile::kProcessKill, {});
  EXPECT_EQ(Look(*killed, {"/d"}), (Disk{{"/d/a", "newer"}, {"/d/b", "b"}}));
  // The power may still fail after it, with the same states left.
  const auto again = killed->Freeze();
  std::set<std::pair<std::uint64_t, std::uint64_t>> before;
  std::set<std::pair<std::uint64_t, std::uint64_t>> after;
  const auto collect = [](const CrashStates& of, auto& hashes) {
    ForEach(of, CrashProfile::kAdversarial, [&](const CrashStates::Choice& choice) {
      const memory::Hash128 hash = of.HashOf(CrashProfile::kAdversarial, choice);
      hashes.emplace(hash.low, hash.high);
    });
  };
  collect(*states, before);
  collect(*again, after);
  EXPECT_EQ(before, after);
  // a: 2 sizes and 2 contents, of which "old" cut to 3 and "newer" cut to 3 differ; b: gone,
  // empty, a zero byte, "b".
  EXPECT_EQ(after.size(), 4u * 4u);
}

TEST_F(CrashStatesTest, WhatHadHappenedByATimeIsFoundAsItWasThen) {
  const auto file = CreateDurable("/d/a", "0");
  std::vector<Disk> history = {{{"/d/a", "0"}}};
  for (const char* text : {"1", "22", "333"}) {
    EXPECT_OK(WriteText(*file, 0, text));
    history.push_back({{"/d/a", text}});
  }
  const auto states = fs_.Freeze();
  std::vector<Disk> found = {
      Look(*states->Image(CrashProfile::kAdversarial, states->AsOf(CrashProfile::kAdversarial, 0)),
           {"/d"})};
  for (const std::uint64_t time : states->Times(CrashProfile::kAdversarial)) {
    const auto choice = states->AsOf(CrashProfile::kAdversarial, time);
    found.push_back(Look(*states->Image(CrashProfile::kAdversarial, choice), {"/d"}));
  }
  EXPECT_EQ(found, history);
}

TEST_F(CrashStatesTest, FrozenStatesDoNotChangeAnyMore) {
  const auto file = CreateDurable("/d/a", "old");
  EXPECT_OK(WriteText(*file, 0, "new"));
  const auto states = fs_.Freeze();
  EXPECT_OK(WriteText(*file, 0, "xxxxx"));
  EXPECT_OK(file->Sync());
  EXPECT_OK(fs_.Unlink("/d/a"));
  EXPECT_OK(fs_.SyncDirectory("/d"));
  EXPECT_EQ(Look(*states->Image(CrashProfile::kAdversarial, CrashStates::Choice{1}), {"/d"}),
            (Disk{{"/d/a", "new"}}));
}

TEST_F(CrashStatesTest, WhatAFailedSyncDroppedIsNeverFound) {
  const auto file = CreateDurable("/d/a", "old");
  EXPECT_OK(WriteText(*file, 0, "new"));
  fs_.InjectFault({.operations = {Operation::kSync}, .sync_drops_dirty = true});
  EXPECT_FALSE(file->Sync().ok());
  EXPECT_EQ(Adversarial(), (std::set<Disk>{{{"/d/a", "old"}}}));
}

}  // namespace
}  // namespace freyja::io
