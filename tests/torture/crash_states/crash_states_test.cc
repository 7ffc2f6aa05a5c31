// Crash-state enumeration in its quick form; and proof that what it would find is found.
#include "torture/crash_states/crash_states.h"

#include <gtest/gtest.h>

#include <chrono>
#include <functional>
#include <iostream>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "support/test_settings.h"
#include "torture/crash_states/choices.h"
#include "torture/crash_states/examiner.h"
#include "torture/crash_states/image_set.h"
#include "torture/crash_states/oracle.h"
#include "torture/crash_states/workloads.h"
#include "torture/crash_states/world.h"

namespace freyja::torture {
namespace {

using io::CrashProfile;
using io::CrashStates;
using support::Contents;
using support::MakeValue;

TEST(CrashStatesTest, NoStateOfAnyCrashBreaksAPromise) {
  const auto begin = std::chrono::steady_clock::now();
  Report report;
  const std::uint64_t seed = support::TestSeed(20'240'701);
  RunCrashStates({.seed = seed}, report);
  report.Print(std::cout);
  const auto took = std::chrono::steady_clock::now() - begin;
  std::cout << std::chrono::duration_cast<std::chrono::milliseconds>(took).count() << " ms\n";
  EXPECT_EQ(report.violations(), 0u) << "FREYJA_TEST_SEED=" << seed << "\n" << report.Problems();
  EXPECT_EQ(report.figure("workloads"), 39u);
  EXPECT_GT(report.figure("crash_boundaries"), 300u);
  EXPECT_GT(report.figure("crash_boundaries_exhaustive"), 100u);
  EXPECT_GT(report.figure("crash_images"), 1000u);
  EXPECT_GT(report.figure("nested_crash_images"), 100u);
  for (const CrashProfile profile : io::kCrashProfiles) {
    EXPECT_GT(report.figure("images_" + std::string(NameOf(profile))), 100u) << NameOf(profile);
  }
  // The workloads do what they are there for, and something was there to be lost.
  EXPECT_GT(report.figure("swaps"), 5u);
  EXPECT_EQ(report.figure("scheduled_rotations"), 6u);
  EXPECT_GT(report.figure("lost_unsynced"), 50u);
  EXPECT_GT(report.figure("compacted_after_crash"), 10u);
}

// --- The oracle -----------------------------------------------------------------------

class OracleTest : public ::testing::Test {
 protected:
  OracleTest() {
    Put("a", 1);
    Put("b", 2);
    history_.Begin({{"a", std::nullopt}});
    Put("b", 4);
    history_.MakeDurable();  // 4 writes
    Put("c", 5);
    Put("a", 6);
    history_.Acknowledge();
  }
  void Put(const std::string& key, std::uint64_t number) {
    history_.Begin({{key, MakeValue(key, number, 0)}});
  }
  std::optional<Wrong> Judge(const Contents& found) const {
    const Oracle oracle(history_, {}, 0);
    return oracle.Judge(found, {.at_least = 4, .at_most = 6}).wrong;
  }
  support::History history_{{}};
};

TEST_F(OracleTest, EveryAllowedPrefixIsRight) {
  for (std::size_t writes = 4; writes <= 6; ++writes) {
    EXPECT_EQ(Judge(history_.StateAfter(writes)), std::nullopt) << writes;
  }
}

TEST_F(OracleTest, APrefixTooShortLostSomethingAcknowledged) {
  for (std::size_t writes = 0; writes < 4; ++writes) {
    EXPECT_EQ(Judge(history_.StateAfter(writes)), Wrong::kAcknowledgedLost) << writes;
  }
}

TEST_F(OracleTest, AMissingDurableKeyIsLost) {
  Contents found = history_.StateAfter(6);
  found.erase("b");
  EXPECT_EQ(Judge(found), Wrong::kAcknowledgedLost);
}

TEST_F(OracleTest, ADeletedOrOverwrittenValueIsResurrected) {
  Contents found = history_.StateAfter(5);
  found["a"] = MakeValue("a", 1, 0);
  EXPECT_EQ(Judge(found), Wrong::kResurrected);
  found = history_.StateAfter(6);
  found["b"] = MakeValue("b", 2, 0);
  EXPECT_EQ(Judge(found), Wrong::kResurrected);
}

TEST_F(OracleTest, AWriteWithoutOneBeforeItIsAHole) {
  Contents found = history_.StateAfter(6);
  found.erase("c");
  EXPECT_EQ(Judge(found), Wrong::kHole);
}

TEST_F(OracleTest, AValueThatNobodyWroteIsFabricated) {
  for (const std::string& value :
       {MakeValue("b", 77, 0), MakeValue("a", 4, 0), std::string("b#4#"), std::string()}) {
    Contents found = history_.StateAfter(6);
    found["b"] = value;
    EXPECT_EQ(Judge(found), Wrong::kFabricated) << value;
  }
}

TEST_F(OracleTest, ExpiredValuesAreInNoState) {
  const std::map<std::string, std::uint64_t> expiries = {{MakeValue("c", 5, 0), 100}};
  const support::Bounds bounds{.at_least = 6, .at_most = 6};
  Contents found = history_.StateAfter(6);
  EXPECT_EQ(Oracle(history_, expiries, 99).Judge(found, bounds).wrong, std::nullopt);
  EXPECT_EQ(Oracle(history_, expiries, 100).Judge(found, bounds).wrong, Wrong::kResurrected);
  found.erase("c");
  EXPECT_EQ(Oracle(history_, expiries, 100).Judge(found, bounds).wrong, std::nullopt);
}

// --- Which states are tried -----------------------------------------------------------

class ChoicesTest : public ::testing::Test {
 protected:
  // `files` files whose creation isn't synced.
  ChoicesTest() {
    disk_.KeepVersions(true);
    for (char name = 'a'; name < 'a' + kFiles; ++name) {
      EXPECT_TRUE(disk_.Open(std::string("/") + name, io::OpenMode::kCreateNew).has_value());
    }
  }
  std::vector<CrashStates::Choice> Visit(const Effort& effort, bool* exhaustive) {
    std::vector<CrashStates::Choice> visited;
    support::Dice dice(1);
    *exhaustive = VisitChoices(*disk_.Freeze(), CrashProfile::kAdversarial, effort, dice,
                               [&](const auto& choice) { visited.push_back(choice); });
    return visited;
  }
  static constexpr int kFiles = 10;
  io::MemoryFileSystem disk_;
};

TEST_F(ChoicesTest, UpToTheLimitEachIsVisitedOnce) {
  bool exhaustive = false;
  const auto visited = Visit({.exhaustive_limit = 1 << kFiles, .sampled = 0}, &exhaustive);
  EXPECT_TRUE(exhaustive);
  EXPECT_EQ(visited.size(), std::size_t{1} << kFiles);
  EXPECT_EQ(std::set(visited.begin(), visited.end()).size(), visited.size());
}

TEST_F(ChoicesTest, BeyondTheLimitASampleIsVisitedWithNothingAndEverythingInIt) {
  bool exhaustive = true;
  const auto visited = Visit({.exhaustive_limit = (1 << kFiles) - 1, .sampled = 100}, &exhaustive);
  EXPECT_FALSE(exhaustive);
  EXPECT_EQ(visited.size(), 100u);
  const std::set<CrashStates::Choice> distinct(visited.begin(), visited.end());
  EXPECT_GT(distinct.size(), 60u);
  EXPECT_TRUE(distinct.contains(CrashStates::Choice(kFiles, 0)));
  EXPECT_TRUE(distinct.contains(CrashStates::Choice(kFiles, 1)));
  for (std::size_t i = 0; i < kFiles; ++i) {
    CrashStates::Choice one_kept(kFiles, 0);
    one_kept[i] = 1;
    CrashStates::Choice one_lost(kFiles, 1);
    one_lost[i] = 0;
    EXPECT_TRUE(distinct.contains(one_kept) || distinct.contains(one_lost)) << i;
  }
}

TEST(ImageSetTest, RemembersEachHashOnce) {
  ImageSet set;
  constexpr std::uint64_t kCount = 10'000;
  for (std::uint64_t i = 0; i < kCount; ++i) EXPECT_TRUE(set.Insert({.low = i * 7, .high = i}));
  for (std::uint64_t i = 0; i < kCount; ++i) EXPECT_FALSE(set.Insert({.low = i * 7, .high = i}));
  EXPECT_EQ(set.size(), kCount);
}

// --- The scheduler in a workload ------------------------------------------------------

TEST(ScheduledWorkloadTest, TheSchedulerSealsTheActiveSegmentAndCompacts) {
  int scheduled = 0;
  for (const Workload& workload : Workloads()) {
    if (!workload.name.starts_with("scheduled")) continue;
    ++scheduled;
    World world(Sync::kNone, support::TestSeed(1));
    workload.run(world);
    EXPECT_EQ(world.problem(), "") << workload.name;
    EXPECT_EQ(world.rotations(), 1u) << workload.name;
    EXPECT_GT(world.swaps(), 0u) << workload.name;
  }
  EXPECT_EQ(scheduled, 2);
}

TEST(ScheduledWorkloadTest, ASchedulerThatDoesNotDoWhatIsExpectedIsFound) {
  World world(Sync::kNone, 1);
  world.Schedule();
  world.Open();
  world.Put("a", 100);
  world.LetSchedulerCompact(/*rotates=*/false);
  EXPECT_EQ(world.problem(), "scheduler: Aborted: nothing compacted");
}

// --- Planted wrongs -------------------------------------------------------------------

// What the store runs on, but one call is left out.
class CarelessFileSystem final : public io::FileSystem {
 public:
  explicit CarelessFileSystem(std::shared_ptr<io::MemoryFileSystem> disk)
      : disk_(std::move(disk)) {}

  Status SyncDirectory(const std::filesystem::path&) override { return Status::Ok(); }

  Result<std::unique_ptr<io::File>> Open(const std::filesystem::path& path,
                                         io::OpenMode mode) override {
    return disk_->Open(path, mode);
  }
  Status Rename(const std::filesystem::path& from, const std::filesystem::path& to) override {
    return disk_->Rename(from, to);
  }
  Status Unlink(const std::filesystem::path& path) override { return disk_->Unlink(path); }
  Status CreateDirectory(const std::filesystem::path& path) override {
    return disk_->CreateDirectory(path);
  }
  Result<std::vector<std::string>> List(const std::filesystem::path& path) override {
    return disk_->List(path);
  }
  Result<bool> Exists(const std::filesystem::path& path) override { return disk_->Exists(path); }
  Result<std::unique_ptr<io::FileLock>> Lock(const std::filesystem::path& path,
                                             bool exclusive) override {
    return disk_->Lock(path, exclusive);
  }
  Result<std::uint64_t> FreeSpace(const std::filesystem::path& path) override {
    return disk_->FreeSpace(path);
  }
  Result<std::uint64_t> Capacity(const std::filesystem::path& path) override {
    return disk_->Capacity(path);
  }
  Result<bool> SameFileSystem(const std::filesystem::path& a,
                              const std::filesystem::path& b) override {
    return disk_->SameFileSystem(a, b);
  }

 private:
  const std::shared_ptr<io::MemoryFileSystem> disk_;
};

std::shared_ptr<io::FileSystem> Careless(const std::shared_ptr<io::MemoryFileSystem>& disk) {
  return std::make_shared<CarelessFileSystem>(disk);
}

class PlantedTest : public ::testing::Test {
 protected:
  std::uint64_t ViolationsOf(World& world) {
    Report report;
    Examiner examiner(report, Rates{}, 1);
    examiner.ExamineAll(world, {.exhaustive_limit = 64, .sampled = 40}, Deadline(Settings{}),
                        "planted");
    EXPECT_EQ(world.problem(), "");
    EXPECT_GT(report.figure("crash_images"), 10u);
    return report.violations();
  }
  static void PutThree(World& world) {
    world.StartRecording();
    world.Open();
    for (const char* key : {"a", "b", "c"}) world.Put(key, 100);
  }
};

TEST_F(PlantedTest, NothingIsFoundWhereNothingIsWrong) {
  World world(Sync::kAlways, 1);
  PutThree(world);
  EXPECT_EQ(ViolationsOf(world), 0u);
}

TEST_F(PlantedTest, ADirectoryThatIsNeverSyncedIsFound) {
  World world(Sync::kAlways, 1, Careless);
  PutThree(world);
  EXPECT_GT(ViolationsOf(world), 0u);
}

TEST_F(PlantedTest, AnAcknowledgedWriteThatTheStoreNeverSawIsFound) {
  World world(Sync::kNone, 1);
  PutThree(world);
  world.ForgetAWrite("d");
  world.Put("e", 100);
  EXPECT_GT(ViolationsOf(world), 0u);
}

TEST_F(PlantedTest, APromiseThatThePolicyDoesNotMakeIsFoundToBeBroken) {
  World world(Sync::kNone, 1);
  PutThree(world);
  world.PromiseAll();
  world.Put("e", 100);
  EXPECT_GT(ViolationsOf(world), 0u);
}

}  // namespace
}  // namespace freyja::torture
