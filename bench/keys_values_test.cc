#include "keys_values.h"

#include <gtest/gtest.h>

#include <set>
#include <string>

namespace freyja::bench {
namespace {

TEST(KeysValuesTest, PresentAndMissingKeysAreAllDifferent) {
  KeyMaker maker(42);
  std::set<std::string> seen;
  for (std::uint64_t i = 0; i < 10'000; ++i) {
    EXPECT_TRUE(seen.emplace(maker.Present(i)).second);
    EXPECT_TRUE(seen.emplace(maker.Missing(i)).second);
  }
  EXPECT_EQ(seen.begin()->size(), kKeyBytes);
}

TEST(KeysValuesTest, ValuesOfEveryLengthAreToldApart) {
  for (const std::size_t bytes :
       {std::size_t{4}, std::size_t{8}, std::size_t{12}, std::size_t{16}, std::size_t{100}}) {
    ValueMaker maker(bytes);
    const std::string value(maker.Make(5, 1));
    ASSERT_EQ(value.size(), bytes);
    EXPECT_TRUE(maker.Verify(value, 5, 1));
    EXPECT_FALSE(maker.Verify(value, 6, 1));
    EXPECT_FALSE(maker.Verify(value, 5, 2));
    EXPECT_FALSE(maker.Verify(value.substr(1), 5, 1));
  }
}

TEST(KeysValuesTest, AVersionOutsideOfTheRangeIsWrong) {
  ValueMaker maker(100);
  const std::string value(maker.Make(5, 3));
  EXPECT_TRUE(maker.Verify(value, 5, {1, 3}));
  EXPECT_TRUE(maker.Verify(value, 5, {3, 7}));
  EXPECT_FALSE(maker.Verify(value, 5, {1, 2}));
  EXPECT_FALSE(maker.Verify(value, 5, {4, 7}));
}

TEST(KeysValuesTest, AValueWithTheEndOfAnotherVersionIsWrong) {
  ValueMaker maker(100);
  std::string torn(maker.Make(5, 3));
  torn.replace(50, 50, std::string(maker.Make(5, 2).substr(50)));
  EXPECT_FALSE(maker.Verify(torn, 5, {1, 3}));
}

TEST(KeysValuesTest, EmptyValuesAreCheckedByLengthOnly) {
  ValueMaker maker(0);
  EXPECT_TRUE(maker.Verify(maker.Make(1, 1), 1, 1));
  EXPECT_FALSE(maker.Verify("x", 1, 1));
}

TEST(KeysValuesTest, TheSequenceStaysBelowItsBoundAndReachesAllOfIt) {
  Sequence sequence(3);
  std::set<std::uint64_t> seen;
  for (int i = 0; i < 1'000; ++i) seen.insert(sequence.Below(10));
  EXPECT_EQ(seen.size(), 10U);
  EXPECT_EQ(*seen.rbegin(), 9U);
}

TEST(KeysValuesTest, APermutationVisitsEachOnce) {
  for (const std::uint64_t count : {1U, 2U, 3U, 10U, 97U, 1'000U, 4'096U}) {
    for (std::uint64_t seed = 0; seed < 5; ++seed) {
      const Permutation order(count, seed);
      std::set<std::uint64_t> seen;
      for (std::uint64_t i = 0; i < count; ++i) seen.insert(order[i]);
      EXPECT_EQ(seen.size(), count);
      EXPECT_EQ(*seen.rbegin(), count - 1);
    }
  }
}

}  // namespace
}  // namespace freyja::bench
