#include "format/bloom.h"

#include <gtest/gtest.h>
#include <rapidcheck.h>
#include <rapidcheck/gtest.h>

#include <string>

namespace freyja::format {
namespace {

RC_GTEST_PROP(BloomFilterTest, NeverDeniesAnAddedKey,
              (const std::vector<std::string>& keys, std::uint64_t seed)) {
  std::vector<std::byte> filter(BloomFilterBytes(keys.size()));
  for (const std::string& key : keys) AddToBloomFilter(filter, HashKey(key, seed));
  for (const std::string& key : keys) RC_ASSERT(MayContain(filter, HashKey(key, seed)));
}

TEST(BloomFilterTest, NeverDeniesAnyOfManyKeys) {
  constexpr int kKeys = 100000;
  std::vector<std::byte> filter(BloomFilterBytes(kKeys));
  for (int i = 0; i < kKeys; ++i) AddToBloomFilter(filter, HashKey(std::to_string(i), 3));
  for (int i = 0; i < kKeys; ++i) {
    ASSERT_TRUE(MayContain(filter, HashKey(std::to_string(i), 3))) << i;
  }
}

TEST(BloomFilterTest, FalselyAdmitsLessThanOneAndAHalfPercent) {
  for (const int keys : {1000, 30000, 300000}) {
    std::vector<std::byte> filter(BloomFilterBytes(static_cast<std::uint64_t>(keys)));
    for (int i = 0; i < keys; ++i) AddToBloomFilter(filter, HashKey(std::to_string(i), 3));
    constexpr int kStrangers = 200000;
    int admitted = 0;
    for (int i = 0; i < kStrangers; ++i) {
      admitted += MayContain(filter, HashKey("stranger " + std::to_string(i), 3)) ? 1 : 0;
    }
    EXPECT_LT(admitted, kStrangers * 15 / 1000) << keys << " keys";
    EXPECT_GT(admitted, 0) << keys << " keys: too good to be a filter of ten bits a key";
  }
}

TEST(BloomFilterTest, AnEmptyFilterSaysMaybeAndAFilterOfNoKeysSaysNo) {
  EXPECT_TRUE(MayContain({}, HashKey("key", 0)));
  AddToBloomFilter({}, HashKey("key", 0));
  const std::vector<std::byte> filter(BloomFilterBytes(0));
  EXPECT_FALSE(MayContain(filter, HashKey("key", 0)));
}

TEST(BloomFilterTest, SizesAreTenBitsAKeyInWholeWords) {
  EXPECT_EQ(BloomFilterBytes(0), 8U);
  EXPECT_EQ(BloomFilterBytes(1), 8U);
  EXPECT_EQ(BloomFilterBytes(6), 8U);
  EXPECT_EQ(BloomFilterBytes(7), 16U);
  EXPECT_EQ(BloomFilterBytes(64'000'000), 80'000'000U);
}

TEST(BloomFilterTest, ExtremeHashesStayInsideTheFilter) {
  for (const std::size_t bytes : {1U, 8U, 24U}) {
    std::vector<std::byte> filter(bytes);
    filter.shrink_to_fit();
    for (const KeyHash hash : {KeyHash{.low = 0, .high = 0}, KeyHash{.low = ~0ULL, .high = ~0ULL},
                               KeyHash{.low = ~0ULL, .high = 0}}) {
      AddToBloomFilter(filter, hash);
      EXPECT_TRUE(MayContain(filter, hash));
    }
  }
}

}  // namespace
}  // namespace freyja::format
