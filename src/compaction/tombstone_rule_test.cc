// Deletes through compactions: what may be forgotten, and when.
#include "compaction/tombstone_rule.h"

#include <gtest/gtest.h>

#include "compaction/compaction_testing.h"

namespace freyja::compaction {
namespace {

using testing::CodeOf;
using testing::Fixture;
using testing::Must;

// Two sealed segments: an old version of "k" in the first, its tombstone in the second.
class DeletedKeyTest : public ::testing::Test {
 protected:
  DeletedKeyTest() {
    f_.Put("k", "old");
    f_.PutMany("filler", 10, 1);
    older_ = f_.Seal();
    f_.Delete("k");
    f_.PutMany("garbage", 10, 1);
    newer_ = f_.Seal();
    f_.PutMany("garbage", 10, 2);
    f_.Seal();
  }
  // Compacts the tombstone's segment and no other.
  CompactionReport CompactNewer() {
    CompactionReport report = f_.MustCompact({.min_space_saving = 0.5});
    EXPECT_EQ(report.input_files, std::vector{format::DataFileName(newer_)});
    return report;
  }

  format::Manifest Manifest() { return f_.store->manifest().Current(); }
  TombstoneRule::Candidate TombstoneOf(const std::string& key, std::uint64_t sequence) {
    return {.hash = format::HashKey(key, f_.store->hash_seed()), .sequence = sequence};
  }
  bool MayDrop(TombstoneRule& rule, const std::string& key, std::uint64_t sequence) {
    const auto candidate = TombstoneOf(key, sequence);
    return rule.MayDrop(std::span(&candidate, 1)).front();
  }

  static constexpr std::uint64_t kTombstone = 12;  // its number: after 1 + 10 puts
  Fixture f_;
  std::uint64_t older_ = 0;
  std::uint64_t newer_ = 0;
};

TEST_F(DeletedKeyTest, PartialMergeKeepsATombstoneThatAnUnmergedSegmentNeeds) {
  EXPECT_EQ(CompactNewer().counters.tombstones_kept, 1u);
  f_.ExpectModelForGood();
  f_.Crash(io::CrashOptions::Mode::kLoseAllUnsynced);
  f_.ExpectModel();
}

TEST_F(DeletedKeyTest, WithoutItsHintTheOlderSegmentMayHoldAnything) {
  EXPECT_OK(f_.machine.fs->Unlink(f_.store->directory().HintPath(older_)));
  EXPECT_EQ(CompactNewer().counters.tombstones_kept, 1u);
  f_.ExpectModelForGood();
}

TEST_F(DeletedKeyTest, WithADamagedHintTheOlderSegmentMayHoldAnything) {
  for (const std::uint64_t offset : {std::uint64_t{8}, std::uint64_t{format::kHintHeaderBytes}}) {
    EXPECT_OK(f_.machine.fs->Corrupt(f_.store->directory().HintPath(older_), offset, std::byte{4}));
    TombstoneRule rule(f_.store->directory(), Manifest(), {newer_});
    EXPECT_FALSE(MayDrop(rule, "k", kTombstone));
  }
}

TEST_F(DeletedKeyTest, BothSegmentsTogetherNeedNoTombstone) {
  TombstoneRule rule(f_.store->directory(), Manifest(), {older_, newer_});
  EXPECT_TRUE(MayDrop(rule, "k", kTombstone));
}

TEST_F(DeletedKeyTest, AFilterThatSaysMaybeIsResolvedByTheEntries) {
  // A filter of ones says maybe to everything; without the filter likewise.
  const auto path = f_.store->directory().HintPath(older_);
  const auto hint = Must(f_.machine.fs->Contents(path));
  EXPECT_OK(f_.machine.fs->Corrupt(path, hint.size() - 16, std::byte{0xFF}));
  TombstoneRule rule(f_.store->directory(), Manifest(), {newer_});
  EXPECT_TRUE(MayDrop(rule, "never there", kTombstone));
  EXPECT_FALSE(MayDrop(rule, "k", kTombstone));
  EXPECT_TRUE(MayDrop(rule, "filler3", 2)) << "only a newer record of it is there";
}

TEST_F(DeletedKeyTest, AQuarantinedSegmentCountsLikeASealedOne) {
  format::Manifest manifest = Manifest();
  const auto older = std::ranges::find(manifest.sealed, older_, &format::SealedSegment::id);
  manifest.quarantine.push_back({.id = 1, .segments = {*older}});
  manifest.sealed.erase(older);
  TombstoneRule rule(f_.store->directory(), manifest, {newer_});
  EXPECT_FALSE(MayDrop(rule, "k", kTombstone));
}

TEST_F(DeletedKeyTest, ATombstoneNumberedLikeTheLogIsKept) {
  TombstoneRule rule(f_.store->directory(), Manifest(), {newer_});
  EXPECT_FALSE(MayDrop(rule, "never there", Manifest().log_first_sequence));
}

TEST_F(DeletedKeyTest, RecheckAbortsIfASegmentThatAppearedMeanwhileMayBeOlder) {
  TombstoneRule rule(f_.store->directory(), Manifest(), {older_, newer_});
  ASSERT_TRUE(MayDrop(rule, "k", kTombstone));
  format::Manifest now = Manifest();
  EXPECT_OK(rule.Recheck(now));

  format::SealedSegment added{.id = 99, .lowest_sequence = kTombstone + 1, .highest_sequence = 50};
  now.sealed.push_back(added);
  EXPECT_OK(rule.Recheck(now));
  now.sealed.back().lowest_sequence = kTombstone - 1;
  EXPECT_EQ(rule.Recheck(now).code(), StatusCode::kAborted);
  now.quarantine.push_back({.id = 1, .segments = {now.sealed.back()}});
  now.sealed.pop_back();
  EXPECT_EQ(rule.Recheck(now).code(), StatusCode::kAborted);
}

TEST_F(DeletedKeyTest, ACommitBehindTheJobsBackAbortsIt) {
  f_.Delete("filler0");
  f_.Seal();
  // Another job's output with older records appears while this one copies.
  testing::Before(*f_.machine.fs, io::Operation::kCreate, ".data", [&] {
    const auto commit = f_.store->manifest().Commit([](format::Manifest& manifest) {
      format::SealedSegment added = manifest.sealed.front();
      added.id = manifest.reserved_id;
      added.lowest_sequence = 1;
      manifest.sealed.push_back(added);
      return Status::Ok();
    });
    EXPECT_TRUE(commit.ok());
  });
  const auto result = f_.Compact({.min_space_saving = 0.01});
  f_.machine.fs->SetOperationHook({});
  EXPECT_EQ(CodeOf(result), StatusCode::kAborted);
  EXPECT_EQ(engine::testing::Contents(*f_.store), f_.model);
}

TEST(DeletesTest, MergeDeleteAllMergeReopenLeavesNothing) {
  Fixture f;
  for (int round = 0; round < 4; ++round) {
    f.PutMany("k", 60, round);
    f.PutMany("k", 60, round + 1);
    f.Seal();
    static_cast<void>(Must(f.Compact(Fixture::Everything())));
    f.ExpectModel();
    for (int i = 0; i < 60; ++i) f.Delete("k" + std::to_string(i));
    static_cast<void>(Must(f.Compact(Fixture::Everything())));
    f.ExpectModelForGood();
    static_cast<void>(Must(f.Compact(Fixture::Everything())));
    f.ExpectModelForGood();
  }
}

TEST(DeletesTest, DeletingEverythingGivesTheSpaceBack) {
  Fixture f;
  f.PutMany("k", 400, 1);
  for (int i = 0; i < 400; ++i) f.Delete("k" + std::to_string(i));
  f.Seal();
  while (Must(f.Compact(Fixture::Everything())).ran) {
  }
  for (const auto& segment : f.store->GetSegments()) {
    if (segment.state == SegmentState::kRetired) continue;
    EXPECT_EQ(segment.records, 0u) << segment.file;
  }
  f.ExpectModelForGood();
}

TEST(DeletesTest, OutputsWithHigherIdsDoNotOverruleALaterDelete) {
  Fixture f;
  f.MakeGarbage("k", 5);
  const auto report = f.MustCompact({.min_space_saving = 0.3});
  ASSERT_FALSE(report.output_files.empty());
  // The log's segments were made before the outputs, so their ids are lower.
  const auto output = format::ParseFileName(report.output_files.front()).segment_id;
  for (int i = 0; i < 10; ++i) f.Delete("k" + std::to_string(i));
  std::uint64_t log = 0;
  for (const auto& segment : f.store->GetSegments()) {
    if (segment.state == SegmentState::kActive) log = segment.id;
  }
  ASSERT_LT(log, output);
  f.ExpectModelForGood();
  f.Crash(io::CrashOptions::Mode::kProcessKill);
  f.ExpectModel();
}

TEST(DeletesTest, AnIdleStoreDoesNoWork) {
  Fixture f;
  f.MakeGarbage("k", 9);
  while (Must(f.Compact(Fixture::Everything())).ran) {
  }
  const auto completed = f.store->GetStats().compactions_completed;
  for (int i = 0; i < 3; ++i) {
    const auto report = Must(f.Compact(Fixture::Everything()));
    EXPECT_FALSE(report.ran);
    EXPECT_TRUE(report.output_files.empty());
  }
  EXPECT_EQ(f.store->GetStats().compactions_completed, completed);
}

}  // namespace
}  // namespace freyja::compaction
