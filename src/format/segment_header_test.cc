#include "format/segment_header.h"

#include <gtest/gtest.h>
#include <rapidcheck.h>
#include <rapidcheck/gtest.h>

#include <string>

#include "format/damage_for_test.h"
#include "format/preamble.h"

namespace freyja::format {
namespace {

constexpr std::size_t kChecksum = kSegmentHeaderBytes - 4;

SegmentHeader Example() {
  return {.identity = {.store = {.high = 0x1122334455667788, .low = 0x99AABBCCDDEEFF00},
                       .id = 17,
                       .nonce = 0xFEDCBA9876543210},
          .generation = 5};
}

Bytes Encode(const SegmentHeader& header) {
  Bytes bytes(kSegmentHeaderBytes);
  EncodeSegmentHeader(header, std::span(bytes).first<kSegmentHeaderBytes>());
  return bytes;
}

StatusCode CodeOf(std::span<const std::byte> bytes) {
  const auto header = DecodeSegmentHeader(bytes);
  return header ? StatusCode::kOk : header.error().code();
}

RC_GTEST_PROP(SegmentHeaderTest, DecodesToWhatWasEncoded,
              (std::uint64_t high, std::uint64_t low, std::uint32_t id, std::uint64_t nonce,
               std::uint64_t generation)) {
  const SegmentHeader header{.identity = {.store = {.high = high, .low = low},
                                          .id = id + std::uint64_t{1},
                                          .nonce = nonce},
                             .generation = generation};
  const auto decoded = DecodeSegmentHeader(Encode(header));
  RC_ASSERT(decoded.has_value());
  RC_ASSERT(decoded->identity == header.identity);
  RC_ASSERT(decoded->generation == generation);
}

TEST(SegmentHeaderTest, BytesBehindTheHeaderDoNotMatter) {
  Bytes bytes = Encode(Example());
  bytes.resize(4096, std::byte{0xAB});
  EXPECT_EQ(CodeOf(bytes), StatusCode::kOk);
}

TEST(SegmentHeaderTest, EveryFlippedBitIsCorruption) {
  ForEachFlippedBit(Encode(Example()), [](const Bytes& damaged, std::size_t bit) {
    EXPECT_EQ(CodeOf(damaged), StatusCode::kCorruption) << "bit " << bit;
  });
}

TEST(SegmentHeaderTest, EveryTruncationIsCorruption) {
  ForEachTruncation(Encode(Example()), [](const Bytes& cut) {
    EXPECT_EQ(CodeOf(cut), StatusCode::kCorruption) << cut.size() << " bytes";
  });
}

TEST(SegmentHeaderTest, RandomBytesAreCorruption) {
  std::mt19937_64 random(1);
  for (int round = 0; round < 10000; ++round) {
    Bytes bytes = RandomBytes(random, random() % 200);
    EXPECT_EQ(CodeOf(bytes), StatusCode::kCorruption);
    if (bytes.size() < kPreambleBytes) continue;
    EncodePreamble(kSegmentMagic, std::span(bytes).first<kPreambleBytes>());
    EXPECT_EQ(CodeOf(bytes), StatusCode::kCorruption);
  }
}

TEST(SegmentHeaderTest, ANewerVersionIsUnsupportedAndBothVersionsAreNamed) {
  Bytes bytes = Encode(Example());
  base::Store(bytes.data() + 8, std::uint32_t{kFormatVersion + 41});
  Reseal(bytes, 12);
  // Whatever the newer format did to the rest.
  bytes[40] ^= std::byte{1};
  const auto decoded = DecodeSegmentHeader(bytes);
  ASSERT_FALSE(decoded.has_value());
  EXPECT_EQ(decoded.error().code(), StatusCode::kUnsupported);
  const std::string& message = decoded.error().message();
  EXPECT_NE(message.find("version " + std::to_string(kFormatVersion + 41)), std::string::npos)
      << message;
  EXPECT_NE(message.find("version " + std::to_string(kFormatVersion) + ","), std::string::npos)
      << message;
}

TEST(SegmentHeaderTest, AVersionNumberThatDoesNotVerifyIsCorruptionHoweverHigh) {
  Bytes bytes = Encode(Example());
  base::Store(bytes.data() + 8, std::uint32_t{kFormatVersion + 1});
  Reseal(bytes, kChecksum);
  EXPECT_EQ(CodeOf(bytes), StatusCode::kCorruption);
}

TEST(SegmentHeaderTest, VersionZeroNeverExisted) {
  Bytes bytes = Encode(Example());
  base::Store(bytes.data() + 8, std::uint32_t{0});
  Reseal(bytes, 12);
  Reseal(bytes, kChecksum);
  EXPECT_EQ(CodeOf(bytes), StatusCode::kCorruption);
}

TEST(SegmentHeaderTest, AnotherStructuresMagicIsCorruption) {
  Bytes bytes = Encode(Example());
  EncodePreamble(kHintMagic, std::span(bytes).first<kPreambleBytes>());
  Reseal(bytes, kChecksum);
  EXPECT_EQ(CodeOf(bytes), StatusCode::kCorruption);
}

TEST(SegmentHeaderTest, ResealedNonsenseIsCorruption) {
  Bytes reserved = Encode(Example());
  reserved[57] = std::byte{1};
  Reseal(reserved, kChecksum);
  EXPECT_EQ(CodeOf(reserved), StatusCode::kCorruption);

  SegmentHeader header = Example();
  header.identity.id = 0;
  EXPECT_EQ(CodeOf(Encode(header)), StatusCode::kCorruption);
}

}  // namespace
}  // namespace freyja::format
