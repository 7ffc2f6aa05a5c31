#include "format/record.h"

#include <gtest/gtest.h>
#include <rapidcheck.h>
#include <rapidcheck/gtest.h>

#include <string>
#include <utility>

#include "format/damage_for_test.h"
#include "format/ids.h"

namespace freyja::format {
namespace {

constexpr std::uint32_t kSeed = 0x5EED1234;

Bytes Encode(const Record& record, std::uint32_t seed = kSeed) {
  Bytes bytes(EncodedRecordBytes(record));
  EXPECT_EQ(EncodeRecord(record, seed, bytes), bytes.size());
  return bytes;
}

bool Verifies(std::span<const std::byte> bytes, std::uint32_t seed = kSeed) {
  return DecodeRecord(bytes, seed).has_value();
}

// Puts the right checksum in front of whatever is there.
void ResealRecord(Bytes& bytes) {
  base::Store(bytes.data(), base::Crc32c(kSeed, std::span(bytes).subspan(4)));
}

bool Same(const Record& a, const Record& b) {
  return a.sequence == b.sequence && a.expires_at_ms == b.expires_at_ms &&
         a.watermark == b.watermark && a.key == b.key && a.value == b.value &&
         a.is_tombstone == b.is_tombstone && a.begins_batch == b.begins_batch &&
         a.ends_batch == b.ends_batch;
}

std::vector<Record> Examples() {
  static const std::string long_value(300, 'v');
  return {
      {.sequence = 1, .key = "k", .value = "v"},
      {.sequence = 2, .key = "four", .value = ""},
      {.sequence = 3, .key = "user:1", .is_tombstone = true},
      {.sequence = ~0ULL,
       .expires_at_ms = 1'700'000'000'000,
       .watermark = 0,
       .key = "key",
       .value = "some value",
       .begins_batch = true,
       .ends_batch = true},
      {.sequence = 5, .watermark = 4, .key = "b", .is_tombstone = true, .begins_batch = true},
      {.sequence = 6, .expires_at_ms = 1, .key = "long", .value = long_value, .ends_batch = true},
  };
}

Bytes EncodedExample() { return Encode(Examples()[0]); }

RC_GTEST_PROP(RecordTest, DecodesToWhatWasEncoded, ()) {
  const auto key = *rc::gen::nonEmpty(rc::gen::string<std::string>());
  const auto value = *rc::gen::string<std::string>();
  const bool is_tombstone = *rc::gen::arbitrary<bool>();
  const Record record{
      .sequence = *rc::gen::suchThat<std::uint64_t>([](std::uint64_t s) { return s != 0; }),
      .expires_at_ms = *rc::gen::arbitrary<std::uint64_t>(),
      .watermark = *rc::gen::arbitrary<bool>() ? std::optional(*rc::gen::arbitrary<std::uint64_t>())
                                               : std::nullopt,
      .key = key,
      .value = is_tombstone ? std::string_view() : std::string_view(value),
      .is_tombstone = is_tombstone,
      .begins_batch = *rc::gen::arbitrary<bool>(),
      .ends_batch = *rc::gen::arbitrary<bool>()};
  const auto seed = *rc::gen::arbitrary<std::uint32_t>();
  Bytes bytes = Encode(record, seed);
  const std::size_t record_bytes = bytes.size();
  RC_ASSERT(record_bytes % kRecordAlignment == 0U);
  RC_ASSERT(record_bytes >= kMinRecordBytes);
  RC_ASSERT(record_bytes <= key.size() + value.size() + kMaxRecordOverheadBytes);

  // What follows in the segment makes no difference.
  bytes.resize(record_bytes + *rc::gen::inRange<std::size_t>(0, 40), std::byte{0xEE});
  std::size_t decoded_bytes = 0;
  const auto decoded = DecodeRecord(bytes, seed, &decoded_bytes);
  RC_ASSERT(decoded.has_value());
  RC_ASSERT(Same(*decoded, record));
  RC_ASSERT(decoded_bytes == record_bytes);
  RC_ASSERT(PeekRecordBytes(bytes) == record_bytes);
  RC_ASSERT(PeekKey(bytes) == key);
}

RC_GTEST_PROP(RecordTest, AnyOneFlippedBitOfAnyRecordIsRejected, ()) {
  const auto key = *rc::gen::nonEmpty(rc::gen::string<std::string>());
  const auto value = *rc::gen::string<std::string>();
  Bytes bytes = Encode({.sequence = 9, .watermark = 3, .key = key, .value = value});
  const auto bit = *rc::gen::inRange<std::size_t>(0, bytes.size() * 8);
  bytes[bit / 8] ^= std::byte{1} << (bit % 8);
  RC_ASSERT(!Verifies(bytes));
}

RC_GTEST_PROP(RecordTest, ARecordNeverVerifiesInAnotherSegment,
              (std::uint64_t high, std::uint64_t low, std::uint64_t id, std::uint64_t nonce)) {
  const SegmentIdentity home{.store = {.high = 1, .low = 2}, .id = 3, .nonce = 4};
  const SegmentIdentity other{.store = {.high = high, .low = low}, .id = id, .nonce = nonce};
  RC_PRE(home.ChecksumSeed() != other.ChecksumSeed());
  const auto value = *rc::gen::string<std::string>();
  const Bytes bytes = Encode({.sequence = 1, .key = "key", .value = value}, home.ChecksumSeed());
  RC_ASSERT(Verifies(bytes, home.ChecksumSeed()));
  RC_ASSERT(!Verifies(bytes, other.ChecksumSeed()));
}

TEST(RecordTest, ARecordThatWasMovedWithinItsSegmentIsRejected) {
  constexpr std::uint64_t kHome = 4096;
  const Bytes bytes =
      Encode({.sequence = 1, .key = "key", .value = "value"}, RecordSeed(kSeed, kHome));
  for (std::uint64_t offset = 0; offset < 64 * 1024; offset += kRecordAlignment) {
    EXPECT_EQ(Verifies(bytes, RecordSeed(kSeed, offset)), offset == kHome) << offset;
  }
  EXPECT_FALSE(Verifies(bytes, RecordSeed(kSeed, kHome + (std::uint64_t{1} << 30))));
}

TEST(RecordTest, EveryFlippedBitIsRejected) {
  for (const Record& record : Examples()) {
    const Bytes intact = Encode(record);
    ASSERT_TRUE(Verifies(intact));
    ForEachFlippedBit(intact, [](const Bytes& damaged, std::size_t bit) {
      EXPECT_FALSE(Verifies(damaged)) << "bit " << bit << " of " << damaged.size() << " bytes";
    });
    // With room behind it, so that a longer length stays inside the span.
    Bytes with_room = intact;
    with_room.resize(1 << 20);
    for (std::size_t bit = 0; bit < intact.size() * 8; ++bit) {
      with_room[bit / 8] ^= std::byte{1} << (bit % 8);
      EXPECT_FALSE(Verifies(with_room)) << "bit " << bit;
      with_room[bit / 8] ^= std::byte{1} << (bit % 8);
    }
  }
}

TEST(RecordTest, EveryTruncationIsRejected) {
  for (const Record& record : Examples()) {
    ForEachTruncation(Encode(record), [&](const Bytes& cut) {
      EXPECT_FALSE(Verifies(cut)) << cut.size() << " bytes";
      const std::string_view key = PeekKey(cut);
      EXPECT_TRUE(key.empty() || key == record.key) << cut.size() << " bytes";
      if (cut.size() < kRecordHeaderBytes) {
        EXPECT_EQ(PeekRecordBytes(cut), 0U);
      }
    });
  }
}

TEST(RecordTest, RandomBytesAreRejectedAndNothingOutsideIsRead) {
  std::mt19937_64 random(1);
  for (int round = 0; round < 200000; ++round) {
    Bytes bytes = RandomBytes(random, random() % 96);
    if (bytes.size() >= kRecordHeaderBytes && round % 4 != 0) {
      // Lengths near the end of the span, where a decoder would read too far.
      base::Store(bytes.data() + 4, static_cast<std::uint32_t>(random() % 64));
      base::Store(bytes.data() + 16, static_cast<std::uint32_t>(random() % 64) |
                                         static_cast<std::uint32_t>(random() % 32) << 24);
    }
    EXPECT_FALSE(Verifies(bytes));
    const std::string_view key = PeekKey(bytes);
    EXPECT_LE(key.size(), bytes.size());
    std::size_t sum = PeekRecordBytes(bytes);
    for (const char c : key) sum += static_cast<unsigned char>(c);
    EXPECT_EQ(PeekRecordBytes(bytes) % kRecordAlignment, 0U) << sum;
  }
}

TEST(RecordTest, ZerosAreNeverARecord) {
  const Bytes zeros(4096);
  EXPECT_EQ(PeekRecordBytes(zeros), 0U);
  EXPECT_TRUE(PeekKey(zeros).empty());
  for (const std::uint32_t seed : {0U, kSeed, ~0U}) EXPECT_FALSE(Verifies(zeros, seed));
  // Not even if the checksum happens to be right for zeros.
  Bytes resealed(64);
  ResealRecord(resealed);
  EXPECT_FALSE(Verifies(resealed));
}

TEST(RecordTest, ImpossibleHeadersAreRejectedThoughTheirChecksumIsRight) {
  const auto rejected = [](Bytes bytes) {
    ResealRecord(bytes);
    EXPECT_FALSE(Verifies(bytes));
    return PeekRecordBytes(bytes) == 0 && PeekKey(bytes).empty();
  };
  Bytes bytes = EncodedExample();  // key "k", value "v", 24 bytes: two of padding
  Bytes no_key = bytes;
  base::Store(no_key.data() + 4, std::uint32_t{2});
  base::Store(no_key.data() + 16, std::uint32_t{0});
  EXPECT_TRUE(rejected(no_key));
  Bytes no_sequence = bytes;
  base::Store(no_sequence.data() + 8, std::uint64_t{0});
  EXPECT_TRUE(rejected(no_sequence));
  Bytes tombstone_with_value = bytes;
  tombstone_with_value[19] = std::byte{kTombstone};
  EXPECT_TRUE(rejected(tombstone_with_value));
  for (const unsigned flag : {32U, 64U, 128U}) {
    Bytes unknown_flag = bytes;
    unknown_flag[19] = std::byte{static_cast<unsigned char>(flag)};
    EXPECT_TRUE(rejected(unknown_flag)) << flag;
  }
}

TEST(RecordTest, LengthsUpToTheLimitsArePlausibleAndBeyondThemAreNot) {
  const auto peek = [](std::uint32_t key_length, std::uint32_t value_length) {
    Bytes bytes = EncodedExample();
    base::Store(bytes.data() + 4, value_length);
    base::Store(bytes.data() + 16, key_length);
    return PeekRecordBytes(bytes);
  };
  EXPECT_EQ(peek(1, kMaxValueBytes), base::RoundUp(21 + kMaxValueBytes, std::size_t{8}));
  EXPECT_EQ(peek(1, kMaxValueBytes + 1), 0U);
  EXPECT_EQ(peek(1, ~0U), 0U);
  EXPECT_EQ(peek(kMaxKeyBytes, 0), base::RoundUp(20 + kMaxKeyBytes, std::size_t{8}));
  EXPECT_EQ(peek(kMaxKeyBytes + 1, 0), 0U);
  EXPECT_EQ(peek(0xFFFFFF, 0), 0U);
}

TEST(RecordTest, KeysLongerThanTheLimitAreRejectedThoughTheirChecksumIsRight) {
  const std::string longest(kMaxKeyBytes, 'k');
  EXPECT_TRUE(Verifies(Encode({.sequence = 1, .key = longest})));
  const std::string too_long(kMaxKeyBytes + 1, 'k');
  EXPECT_FALSE(Verifies(Encode({.sequence = 1, .key = too_long})));
}

TEST(RecordTest, NonzeroPaddingIsRejectedThoughItsChecksumIsRight) {
  for (std::size_t value_length = 0; value_length < 8; ++value_length) {
    const std::string value(value_length, 'v');
    const Bytes intact = Encode({.sequence = 1, .key = "k", .value = value});
    ASSERT_TRUE(Verifies(intact));
    for (std::size_t at = kRecordHeaderBytes + 1 + value_length; at < intact.size(); ++at) {
      Bytes damaged = intact;
      damaged[at] = std::byte{0x80};
      ResealRecord(damaged);
      EXPECT_FALSE(Verifies(damaged)) << "value of " << value_length << ", offset " << at;
    }
  }
}

TEST(RecordTest, AnExpiryOfZeroIsRejected) {
  Bytes bytes = Encode({.sequence = 1, .expires_at_ms = 77, .key = "k", .value = "v"});
  base::Store(bytes.data() + 20, std::uint64_t{0});
  ResealRecord(bytes);
  EXPECT_FALSE(Verifies(bytes));
}

TEST(RecordTest, AFailedDecodeLeavesTheLengthAlone) {
  Bytes bytes = EncodedExample();
  bytes[21] ^= std::byte{1};
  std::size_t record_bytes = 12345;
  EXPECT_FALSE(DecodeRecord(bytes, kSeed, &record_bytes).has_value());
  EXPECT_EQ(record_bytes, 12345U);
}

TEST(RecordTest, EncodingOverwritesWhatLiesThereAndNothingBehindIt) {
  for (const Record& record : Examples()) {
    const Bytes expected = Encode(record);
    Bytes dirty(expected.size() + 16, std::byte{0xFF});
    ASSERT_EQ(EncodeRecord(record, kSeed, dirty), expected.size());
    EXPECT_TRUE(std::equal(expected.begin(), expected.end(), dirty.begin()));
    for (std::size_t at = expected.size(); at < dirty.size(); ++at) {
      EXPECT_EQ(dirty[at], std::byte{0xFF});
    }
  }
}

TEST(RecordTest, TheRunningChecksumDependsOnEveryRecordAndTheirOrder) {
  const Bytes a = Encode({.sequence = 1, .key = "a"});
  const Bytes b = Encode({.sequence = 2, .key = "b"});
  const std::uint32_t ab = ExtendRecordsCrc(ExtendRecordsCrc(0, a), b);
  EXPECT_NE(ab, ExtendRecordsCrc(ExtendRecordsCrc(0, b), a));
  EXPECT_NE(ab, ExtendRecordsCrc(0, a));
  EXPECT_NE(ab, ExtendRecordsCrc(0, b));
}

}  // namespace
}  // namespace freyja::format
