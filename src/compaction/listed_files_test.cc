// Whatever a manifest lists is durable, name and bytes, before that manifest can take effect,
// and stays until one that doesn't list it is durable.
#include <gtest/gtest.h>

#include "compaction/compaction_testing.h"
#include "format/segment_header.h"

namespace freyja::compaction {
namespace {

using testing::Fixture;
using testing::kPath;
using testing::Machine;
using testing::Must;

// Looks at every manifest that is about to be renamed into place, and at every segment that is
// about to be removed.
class ListedFilesTest : public ::testing::Test {
 protected:
  void Watch(const Machine& machine) {
    machine.fs->SetOperationHook(
        [this, machine](io::Operation operation, const std::filesystem::path& path) {
          if (operation == io::Operation::kRename && path.filename() == "MANIFEST") {
            CheckNext(machine);
          }
          if (operation == io::Operation::kUnlink) CheckRemoval(machine, path.filename());
        });
  }
  void StopWatching(const Machine& machine, std::uint64_t at_least) {
    machine.fs->SetOperationHook({});
    EXPECT_GE(manifests_.load(), at_least);
  }

 private:
  void CheckNext(const Machine& machine) {
    const auto next = format::DecodeManifest(Must(machine.fs->Contents(kPath / "MANIFEST.tmp")));
    ASSERT_TRUE(next.has_value());
    const Machine durable = machine.AfterCrash(io::CrashOptions::Mode::kLoseAllUnsynced);
    for (const auto& segment : next->log) {
      ExpectSame(machine, durable, segment.id, format::kSegmentHeaderBytes);
    }
    for (const auto& segment : next->sealed) {
      ExpectSame(machine, durable, segment.id, segment.data_bytes);
    }
    manifests_.fetch_add(1);
  }
  static void CheckRemoval(const Machine& machine, const std::string& name) {
    const format::ParsedFileName parsed = format::ParseFileName(name);
    if (parsed.kind != format::FileKind::kData) return;
    const Machine durable = machine.AfterCrash(io::CrashOptions::Mode::kLoseAllUnsynced);
    const auto manifest = format::DecodeManifest(Must(durable.fs->Contents(kPath / "MANIFEST")));
    ASSERT_TRUE(manifest.has_value());
    EXPECT_EQ(std::ranges::count(manifest->sealed, parsed.segment_id, &format::SealedSegment::id),
              0)
        << name << " is removed, and after a power cut it is listed";
  }
  static void ExpectSame(const Machine& machine, const Machine& durable, std::uint64_t id,
                         std::uint64_t bytes) {
    const std::string name = format::DataFileName(id);
    const auto then = durable.fs->Contents(kPath / name);
    ASSERT_TRUE(then.has_value()) << name << " is listed, and a power cut takes its name";
    auto now = Must(machine.fs->Contents(kPath / name));
    ASSERT_GE(then->size(), bytes) << name;
    EXPECT_TRUE(
        std::equal(now.begin(), now.begin() + static_cast<std::ptrdiff_t>(bytes), then->begin()))
        << name << " is listed, and a power cut takes what is in it";
  }

  std::atomic<std::uint64_t> manifests_{0};
};

TEST_F(ListedFilesTest, AreDurableWhileSegmentsAreMadeAndSealed) {
  Fixture f;
  Watch(f.machine);
  f.PutMany("k", 600, 1);
  f.Seal();
  StopWatching(f.machine, 6);
}

TEST_F(ListedFilesTest, AreDurableWhenAJobCommits) {
  Fixture f;
  f.MakeGarbage("k", 6);
  Watch(f.machine);
  f.MustCompact({.min_space_saving = 0.5});
  StopWatching(f.machine, 1);
}

TEST_F(ListedFilesTest, AreDurableWhenAJobCommitsWhatItMadeElsewhere) {
  Fixture f;
  EXPECT_OK(f.machine.fs->CreateDirectory("/elsewhere"));
  f.MakeGarbage("k", 6);
  Watch(f.machine);
  f.MustCompact({.temp_dir = "/elsewhere", .min_space_saving = 0.5});
  StopWatching(f.machine, 1);
}

TEST_F(ListedFilesTest, AreDurableWhenRecoveryCommitsItsCopies) {
  Fixture f;
  f.PutMany("k", 10, 1);
  EXPECT_OK(f.store->Sync());
  f.PutMany("k", 10, 2);  // above the watermark: copied after a crash
  const Machine after = f.machine.AfterCrash(io::CrashOptions::Mode::kProcessKill);
  Watch(after);
  const auto store = engine::testing::Open(after);
  EXPECT_GT(store->GetStats().recovered_tail_records_copied, 0u);
  StopWatching(after, 1);
  EXPECT_EQ(engine::testing::Contents(*store), f.model);
}

// The process dies between the rename of a job's manifest and the sync that makes it durable.
TEST_F(ListedFilesTest, StayUntilTheManifestThatRetiresThemIsDurable) {
  Fixture f;
  f.MakeGarbage("k", 6);
  f.store->maintenance().Stop();
  std::optional<Machine> killed;
  bool renamed = false;
  f.machine.fs->SetOperationHook([&](io::Operation operation, const std::filesystem::path& path) {
    if (operation == io::Operation::kRename) renamed |= path.filename() == "MANIFEST";
    if (operation != io::Operation::kSyncDirectory || !renamed || killed) return;
    const auto manifest = format::DecodeManifest(Must(f.machine.fs->Contents(kPath / "MANIFEST")));
    // The job's commit, not a reservation of ids before it.
    if (manifest->sealed == f.store->manifest().Current().sealed) return;
    killed = f.machine.AfterCrash(io::CrashOptions::Mode::kProcessKill);
  });
  f.MustCompact({.min_space_saving = 0.5});
  f.machine.fs->SetOperationHook({});
  ASSERT_TRUE(killed.has_value());
  Watch(*killed);
  const auto store = engine::testing::Open(*killed);
  StopWatching(*killed, 1);
  EXPECT_EQ(engine::testing::Contents(*store), f.model);
}

}  // namespace
}  // namespace freyja::compaction
