// What keeps a job from dropping or retiring too much when segments are not as simple as the
// log made them.
#include <gtest/gtest.h>

#include "compaction/compaction_testing.h"
#include "compaction/tombstone_rule.h"

namespace freyja::compaction {
namespace {

using testing::CodeOf;
using testing::Fixture;

// The output of an earlier compaction holds numbers below and above a tombstone's.
TEST(DropRulesTest, ASegmentWithOlderAndNewerRecordsIsAskedForTheOlderOnes) {
  Fixture f;
  f.Put("k", "old");
  const std::uint64_t older = f.Seal();
  f.Delete("k");
  const std::uint64_t newer = f.Seal();
  format::Manifest manifest = f.store->manifest().Current();
  const auto merged = std::ranges::find(manifest.sealed, older, &format::SealedSegment::id);
  const auto last = std::ranges::find(manifest.sealed, newer, &format::SealedSegment::id);
  const TombstoneRule::Candidate tombstone{.hash = format::HashKey("k", f.store->hash_seed()),
                                           .sequence = last->highest_sequence};
  merged->highest_sequence = tombstone.sequence + 1;
  manifest.log_first_sequence = merged->highest_sequence + 1;
  TombstoneRule rule(f.store->directory(), manifest, {newer});
  EXPECT_FALSE(rule.MayDrop(std::span(&tombstone, 1)).front());
}

TEST(DropRulesTest, AVictimThatIsNoLongerSealedAbortsTheJob) {
  Fixture f;
  f.MakeGarbage("k", 9);
  testing::Before(*f.machine.fs, io::Operation::kCreate, ".data", [&] {
    const auto commit = f.store->manifest().Commit([](format::Manifest& manifest) {
      manifest.quarantine.push_back({.id = 99, .segments = {manifest.sealed.front()}});
      manifest.sealed.erase(manifest.sealed.begin());
      return Status::Ok();
    });
    EXPECT_TRUE(commit.ok());
  });
  const auto result = f.Compact({.min_space_saving = 0.5});
  f.machine.fs->SetOperationHook({});
  EXPECT_EQ(CodeOf(result), StatusCode::kAborted);
  EXPECT_EQ(engine::testing::Contents(*f.store), f.model);
}

}  // namespace
}  // namespace freyja::compaction
