// Records whose time is over, through compactions and clocks that jump.
#include <gtest/gtest.h>

#include "compaction/compaction_testing.h"

namespace freyja::compaction {
namespace {

using testing::Fixture;
using testing::Get;

constexpr std::uint64_t kSoonMs = 1'000;

class ExpiredRecordTest : public ::testing::Test {
 protected:
  std::uint64_t Now() const { return f_.machine.clock->WallMs(); }
  void PassTheGracePeriod() { f_.machine.clock->Pass(kSoonMs + ExpiryClock::kGraceMs + 1); }

  // An old version of "k" that never expires, then one that does, in a segment of its own.
  void MakeExpiringOverwrite() {
    f_.Put("k", "forever");
    f_.PutMany("filler", 10, 1);
    f_.Seal();
    f_.Put("k", "for a while", Now() + kSoonMs);
    f_.PutMany("garbage", 10, 1);
    expiring_ = f_.Seal();
    f_.PutMany("garbage", 10, 2);
    f_.Seal();
  }
  CompactionReport CompactExpiring() {
    auto report = f_.MustCompact({.min_space_saving = 0.5});
    EXPECT_EQ(report.input_files, std::vector{format::DataFileName(expiring_)});
    return report;
  }

  Fixture f_;
  std::uint64_t expiring_ = 0;
};

TEST_F(ExpiredRecordTest, AnExpiredNewestRecordGoesOnHidingAnOlderUnexpiredOne) {
  MakeExpiringOverwrite();
  PassTheGracePeriod();
  f_.model.erase("k");
  const auto report = CompactExpiring();
  EXPECT_EQ(report.counters.records_expired, 1u);
  EXPECT_EQ(report.counters.tombstones_kept, 1u);
  f_.ExpectModelForGood();
  f_.Crash(io::CrashOptions::Mode::kLoseAllUnsynced);
  f_.ExpectModel();
}

TEST_F(ExpiredRecordTest, WithNothingOlderToHideItIsDroppedWhole) {
  f_.Put("k", "for a while", Now() + kSoonMs);
  f_.PutMany("garbage", 10, 1);
  f_.Seal();
  PassTheGracePeriod();
  f_.model.erase("k");
  EXPECT_EQ(f_.store->GetStats().keys, 11u);
  f_.PutMany("garbage", 10, 2);
  const auto report = f_.MustCompact(Fixture::Everything());
  EXPECT_EQ(report.counters.records_expired, 1u);
  EXPECT_EQ(report.counters.tombstones_kept, 0u);
  f_.ExpectModelForGood();
}

TEST_F(ExpiredRecordTest, ATombstoneMayGoForARecordThatExpiresLaterBecauseThatOneGoesOnHiding) {
  f_.Put("k", "forever");
  f_.PutMany("filler", 10, 1);
  f_.Seal();
  f_.Delete("k");
  f_.Put("k", "for a while", Now() + kSoonMs);
  f_.PutMany("garbage", 10, 1);
  f_.PutMany("garbage", 10, 2);
  f_.Seal();
  f_.MustCompact({.min_space_saving = 0.3});  // the tombstone is superseded
  PassTheGracePeriod();
  f_.model.erase("k");
  f_.PutMany("garbage", 10, 3);
  f_.Seal();
  f_.MustCompact({.min_space_saving = 0.3});
  f_.ExpectModelForGood();
}

TEST_F(ExpiredRecordTest, WithinTheGracePeriodItIsHiddenButKept) {
  MakeExpiringOverwrite();
  f_.machine.clock->Pass(kSoonMs + 1);
  EXPECT_EQ(Get(*f_.store, "k"), std::nullopt);
  EXPECT_EQ(CompactExpiring().counters.records_expired, 0u);
}

TEST_F(ExpiredRecordTest, AClockThatJumpsAheadAndBackLosesNothing) {
  MakeExpiringOverwrite();
  const std::uint64_t now = Now();
  f_.machine.clock->SetWall(now + 1'000 * ExpiryClock::kGraceMs);
  EXPECT_EQ(CompactExpiring().counters.records_expired, 0u);
  EXPECT_EQ(Get(*f_.store, "k"), std::nullopt);
  f_.machine.clock->SetWall(now);
  f_.ExpectModelForGood();
  EXPECT_EQ(Get(*f_.store, "k"), "for a while");
}

TEST_F(ExpiredRecordTest, AClockThatGoesBackChangesNeitherOrderNorContents) {
  f_.Put("k", "first");
  f_.Seal();
  f_.machine.clock->SetWall(1);
  f_.Put("k", "second");
  f_.PutMany("garbage", 10, 1);
  f_.Seal();
  f_.PutMany("garbage", 10, 2);
  f_.MustCompact(Fixture::Everything());
  f_.ExpectModelForGood();
}

TEST_F(ExpiredRecordTest, ARecordOverwrittenWhileItsExpiryIsBeingCompactedStays) {
  MakeExpiringOverwrite();
  PassTheGracePeriod();
  testing::Before(*f_.machine.fs, io::Operation::kRename, "MANIFEST",
                  [&] { f_.Put("k", "again"); });
  EXPECT_EQ(CompactExpiring().counters.records_expired, 1u);
  f_.machine.fs->SetOperationHook({});
  EXPECT_EQ(Get(*f_.store, "k"), "again");
  f_.ExpectModelForGood();
}

TEST(ExpiryClockTest, BothClocksAndTheGracePeriodMustAgree) {
  engine::testing::ManualClock clock;
  const ExpiryClock expiry(clock);
  const std::uint64_t at = clock.WallMs() + 10;
  EXPECT_FALSE(expiry.IsExpired(0)) << "0 means never";
  clock.Pass(10 + ExpiryClock::kGraceMs);
  EXPECT_FALSE(expiry.IsExpired(at));
  clock.Pass(1);
  EXPECT_TRUE(expiry.IsExpired(at));
  clock.SetWall(at);
  EXPECT_FALSE(expiry.IsExpired(at)) << "the wall clock was put back";
}

}  // namespace
}  // namespace freyja::compaction
