#include "format/ids.h"

#include <gtest/gtest.h>
#include <rapidcheck.h>
#include <rapidcheck/gtest.h>

#include <limits>
#include <set>
#include <string>

namespace freyja::format {
namespace {

TEST(FileNameTest, NamesCarryTheIdInDecimal) {
  EXPECT_EQ(DataFileName(17), "17.data");
  EXPECT_EQ(HintFileName(17), "17.hint");
}

RC_GTEST_PROP(FileNameTest, NamesOfEveryIdParseBack, (std::uint64_t any)) {
  const std::uint64_t id = any == 0 ? std::numeric_limits<std::uint64_t>::max() : any;
  const ParsedFileName data = ParseFileName(DataFileName(id));
  RC_ASSERT(data.kind == FileKind::kData && data.segment_id == id);
  const ParsedFileName hint = ParseFileName(HintFileName(id));
  RC_ASSERT(hint.kind == FileKind::kHint && hint.segment_id == id);
}

TEST(FileNameTest, EverythingElseIsForeign) {
  for (const char* name : {"",
                           ".data",
                           ".hint",
                           "data",
                           "17",
                           "17.",
                           "17.dat",
                           "17.data.bak",
                           "17.hint ",
                           " 17.data",
                           "017.data",
                           "0.data",
                           "0.hint",
                           "00.data",
                           "+1.data",
                           "-1.data",
                           "1e3.data",
                           "0x1.data",
                           "1 .data",
                           "17.DATA",
                           "x17.data",
                           "18446744073709551616.data",
                           "99999999999999999999999.hint",
                           "1.data.hint",
                           "MANIFEST",
                           "MANIFEST.tmp",
                           "LOCK",
                           "RESERVE",
                           "notes.txt"}) {
    EXPECT_EQ(ParseFileName(name).kind, FileKind::kForeign) << name;
    EXPECT_EQ(ParseFileName(name).segment_id, 0U) << name;
  }
}

TEST(FileNameTest, TheLargestIdIsAName) {
  EXPECT_EQ(ParseFileName("18446744073709551615.data").segment_id,
            std::numeric_limits<std::uint64_t>::max());
}

TEST(SegmentIdentityTest, EveryBitOfAnIdentityChangesTheChecksumSeed) {
  const SegmentIdentity identity{.store = {.high = 1, .low = 2}, .id = 3, .nonce = 4};
  std::set<std::uint32_t> seeds{identity.ChecksumSeed()};
  for (int bit = 0; bit < 64; ++bit) {
    const std::uint64_t mask = std::uint64_t{1} << bit;
    SegmentIdentity other = identity;
    other.store.high ^= mask;
    seeds.insert(other.ChecksumSeed());
    other = identity;
    other.store.low ^= mask;
    seeds.insert(other.ChecksumSeed());
    other = identity;
    other.id ^= mask;
    seeds.insert(other.ChecksumSeed());
    other = identity;
    other.nonce ^= mask;
    seeds.insert(other.ChecksumSeed());
  }
  EXPECT_EQ(seeds.size(), 1U + 4U * 64U);
}

// A change of the hash would make hints and filters on disk lie.
TEST(HashKeyTest, IsPinnedToXxh3OfTheFormat) {
  const KeyHash empty = HashKey("", 0);  // XXH3's published value for no input
  EXPECT_EQ(empty.high, 0x99AA06D3014798D8U);
  EXPECT_EQ(empty.low, 0x6001C324468D497FU);
}

TEST(HashKeyTest, SeedAndKeyBothDecide) {
  EXPECT_EQ(HashKey("user:1", 7), HashKey(std::string("user:1"), 7));
  EXPECT_NE(HashKey("user:1", 7).low, HashKey("user:1", 8).low);
  EXPECT_NE(HashKey("user:1", 7).high, HashKey("user:1", 8).high);
  EXPECT_NE(HashKey("user:1", 7).low, HashKey("user:2", 7).low);
}

}  // namespace
}  // namespace freyja::format
