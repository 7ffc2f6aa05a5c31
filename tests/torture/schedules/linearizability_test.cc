// The checker of histories: what it lets pass and what it must not.
#include "torture/schedules/linearizability.h"

#include <gtest/gtest.h>

namespace freyja::torture::schedules {
namespace {

using Kind = Operation::Kind;

Operation Read(std::uint64_t begin, std::uint64_t end, Version version) {
  return {.kind = Kind::kRead, .thread = 0, .version = version, .begin = begin, .end = end};
}
Operation Write(std::uint64_t begin, std::uint64_t end, std::uint32_t version) {
  return {.kind = Kind::kWrite, .thread = 1, .version = version, .begin = begin, .end = end};
}
Operation Delete(std::uint64_t begin, std::uint64_t end, bool was_present) {
  return {
      .kind = Kind::kDelete, .thread = 2, .was_present = was_present, .begin = begin, .end = end};
}

// What is wrong with it, if anything.
std::optional<Wrong> Judge(const std::vector<Operation>& operations, Version before) {
  const auto error = CheckKey(operations, before);
  if (!error) return std::nullopt;
  return error->wrong;
}

TEST(LinearizabilityTest, AReadThatOverlapsAWriteMaySeeEither) {
  EXPECT_EQ(Judge({Write(1, 4, 2), Read(2, 3, 1)}, 1), std::nullopt);
  EXPECT_EQ(Judge({Write(1, 4, 2), Read(2, 3, 2)}, 1), std::nullopt);
}

TEST(LinearizabilityTest, OnceAReadSawTheNewValueNoneSeesTheOldOne) {
  EXPECT_EQ(Judge({Write(1, 6, 2), Read(2, 3, 2), Read(4, 5, 2)}, 1), std::nullopt);
  EXPECT_EQ(Judge({Write(1, 6, 2), Read(2, 3, 1), Read(4, 5, 2)}, 1), std::nullopt);
  EXPECT_EQ(Judge({Write(1, 6, 2), Read(2, 3, 2), Read(4, 5, 1)}, 1), Wrong::kStale);
}

TEST(LinearizabilityTest, AReadAfterAWriteThatSeesTheValueBeforeItIsStale) {
  EXPECT_EQ(Judge({Write(1, 2, 2), Read(3, 4, 1)}, 1), Wrong::kStale);
}

TEST(LinearizabilityTest, AnAbsentKeyThatWasNeverDeletedWasMissed) {
  EXPECT_EQ(Judge({Read(1, 2, {})}, 1), Wrong::kMissed);
  EXPECT_EQ(Judge({Write(1, 4, 2), Read(2, 3, {})}, 1), Wrong::kMissed);
  EXPECT_EQ(Judge({Write(1, 4, 2), Read(2, 3, {})}, {}), std::nullopt);
}

TEST(LinearizabilityTest, ADeletedValueThatIsReadAgainWasResurrected) {
  EXPECT_EQ(Judge({Delete(1, 2, true), Read(3, 4, 1)}, 1), Wrong::kResurrected);
  EXPECT_EQ(Judge({Delete(1, 4, true), Read(2, 3, 1)}, 1), std::nullopt);
}

TEST(LinearizabilityTest, AValueThatNobodyWroteIsFabricated) {
  EXPECT_EQ(Judge({Read(1, 2, 9)}, 1), Wrong::kFabricated);
  EXPECT_EQ(Judge({Read(1, 2, kNobodys)}, 1), Wrong::kFabricated);
}

TEST(LinearizabilityTest, AnAnswerOfADeleteIsCheckedLikeARead) {
  EXPECT_EQ(Judge({Delete(1, 2, true), Delete(3, 4, false)}, 1), std::nullopt);
  EXPECT_EQ(Judge({Delete(1, 2, false)}, 1), Wrong::kMissed);
  EXPECT_NE(Judge({Delete(1, 4, true), Delete(2, 3, true)}, 1), std::nullopt);
}

TEST(LinearizabilityTest, TwoReadersMustSeeTwoWritesInOneOrder) {
  const std::vector<Operation> agree = {Write(1, 10, 2), Write(2, 11, 3), Read(3, 4, 2),
                                        Read(5, 6, 3),   Read(3, 4, 2),   Read(7, 8, 3)};
  EXPECT_EQ(Judge(agree, 1), std::nullopt);
  const std::vector<Operation> disagree = {Write(1, 10, 2), Write(2, 11, 3), Read(3, 4, 2),
                                           Read(5, 6, 3),   Read(3, 4, 3),   Read(7, 8, 2)};
  EXPECT_NE(Judge(disagree, 1), std::nullopt);
}

}  // namespace
}  // namespace freyja::torture::schedules
