#include "versioned_values.h"

#include <gtest/gtest.h>

namespace freyja::bench {
namespace {

TEST(VersionedValueTest, SaysItsVersionForItsOwnKeyOnly) {
  for (const std::size_t bytes : {24U, 25U, 31U, 32U, 100U, 1000U}) {
    VersionedValue value(bytes);
    const std::string made(value.Make(7, 3));
    ASSERT_EQ(made.size(), bytes);
    EXPECT_EQ(VersionOf(made, 7), 3U);
    EXPECT_EQ(VersionOf(made, 8), std::nullopt);
    EXPECT_NE(made, value.Make(7, 4));
  }
}

TEST(VersionedValueTest, EveryChangedByteAndEveryCutIsSeen) {
  VersionedValue maker(40);
  const std::string value(maker.Make(7, 3));
  for (std::size_t i = 0; i < value.size(); ++i) {
    std::string changed = value;
    changed[i] = static_cast<char>(changed[i] ^ 1);
    EXPECT_EQ(VersionOf(changed, 7), std::nullopt) << i;
    EXPECT_EQ(VersionOf(value.substr(0, i), 7), std::nullopt) << i;
  }
}

TEST(VersionTableTest, AnAnswerIsRightFromTheVersionAcknowledgedBeforeToTheNewestBegun) {
  VersionTable table(2);
  VersionedValue value(32);
  EXPECT_EQ(table.Judge(1, 0, false, ""), Verdict::kFine);
  for (std::uint64_t version = 1; version <= 3; ++version) {
    EXPECT_EQ(table.Begin(1), version);
    if (version < 3) table.Acknowledge(1, version);
  }
  EXPECT_EQ(table.Acknowledged(1), 2U);
  EXPECT_EQ(table.Judge(1, 2, true, value.Make(1, 1)), Verdict::kStale);
  EXPECT_EQ(table.Judge(1, 2, true, value.Make(1, 2)), Verdict::kFine);
  EXPECT_EQ(table.Judge(1, 2, true, value.Make(1, 3)), Verdict::kFine);
  EXPECT_EQ(table.Judge(1, 2, true, value.Make(1, 4)), Verdict::kCorrupt) << "nobody wrote it";
  EXPECT_EQ(table.Judge(1, 2, true, value.Make(0, 2)), Verdict::kCorrupt) << "another key's";
  EXPECT_EQ(table.Judge(1, 2, false, ""), Verdict::kMissed);
}

}  // namespace
}  // namespace freyja::bench
