#include "format/index_image.h"

#include <gtest/gtest.h>
#include <rapidcheck.h>
#include <rapidcheck/gtest.h>

#include <string>
#include <utility>

#include "base/bytes.h"
#include "format/damage_for_test.h"
#include "format/preamble.h"

namespace freyja::format {
namespace {

// Pages of depths 1, 3, 3 and 2: they tile.
IndexImageHead Example(std::size_t segments = 2) {
  IndexImageHead head{.store = {.high = 1, .low = 2}, .generation = 77};
  for (std::uint64_t i = 1; i <= segments; ++i) {
    head.segments.push_back({.id = i,
                             .nonce = 100 + i,
                             .data_bytes = 64 + 240 * i,
                             .record_count = 2 * i,
                             .records_crc = static_cast<std::uint32_t>(i * 7919),
                             .live_records = i,
                             .live_bytes = 24 * i});
  }
  head.pages = {{.lines = 16, .depth = 1, .checksum = 5},
                {.lines = 1, .depth = 3, .checksum = 6},
                {.lines = 65535, .depth = 3, .checksum = 7},
                {.lines = 4, .depth = 2, .checksum = 8}};
  return head;
}

// As a reader of the engine takes it: first the length, then the whole head.
Result<IndexImageHead> Decode(std::span<const std::byte> bytes, std::uint64_t file_bytes) {
  const auto prefix =
      DecodeIndexImagePrefix(bytes.first(std::min(bytes.size(), kIndexImageFixedBytes)));
  if (!prefix) return std::unexpected(prefix.error());
  if (prefix->file_bytes != file_bytes || prefix->head_bytes() > bytes.size()) {
    return std::unexpected(Status(StatusCode::kCorruption, "cut"));
  }
  return DecodeIndexImageHead(bytes.first(prefix->head_bytes()));
}

StatusCode CodeOf(std::span<const std::byte> bytes, std::uint64_t file_bytes) {
  const auto decoded = Decode(bytes, file_bytes);
  return decoded ? StatusCode::kOk : decoded.error().code();
}

RC_GTEST_PROP(IndexImageTest, DecodesToWhatWasEncoded, ()) {
  IndexImageHead head = Example(*rc::gen::inRange<std::size_t>(0, 50));
  head.generation = *rc::gen::arbitrary<std::uint64_t>();
  head.pages[0].checksum = *rc::gen::arbitrary<std::uint32_t>();
  const auto bytes = EncodeIndexImageHead(head);
  RC_ASSERT(bytes.size() == head.bytes());
  RC_ASSERT(bytes.size() % kIndexLineBytes == 0);
  const auto decoded = Decode(bytes, head.file_bytes());
  RC_ASSERT(decoded.has_value());
  RC_ASSERT(*decoded == head);
}

TEST(IndexImageTest, TheSlotsOfThePagesMakeUpTheRestOfTheFile) {
  EXPECT_EQ(Example().file_bytes() - Example().bytes(), (16 + 1 + 65535 + 4) * 64U);
}

TEST(IndexImageTest, EveryFlippedBitOfTheHeadIsRefused) {
  const IndexImageHead head = Example();
  ForEachFlippedBit(EncodeIndexImageHead(head), [&](const Bytes& damaged, std::size_t bit) {
    EXPECT_EQ(CodeOf(damaged, head.file_bytes()), StatusCode::kCorruption) << "bit " << bit;
  });
}

TEST(IndexImageTest, EveryTruncationIsRefused) {
  const IndexImageHead head = Example();
  ForEachTruncation(EncodeIndexImageHead(head), [&](const Bytes& cut) {
    EXPECT_EQ(CodeOf(cut, cut.size()), StatusCode::kCorruption) << cut.size();
    EXPECT_EQ(CodeOf(cut, head.file_bytes()), StatusCode::kCorruption) << cut.size();
  });
}

TEST(IndexImageTest, AnotherLengthThanThatOfItsPagesIsRefused) {
  auto bytes = EncodeIndexImageHead(Example());
  base::Store(bytes.data() + 16, Example().file_bytes() + 64);
  Reseal(bytes, bytes.size() - sizeof(std::uint32_t));
  EXPECT_EQ(CodeOf(bytes, Example().file_bytes() + 64), StatusCode::kCorruption);
}

TEST(IndexImageTest, ANewerVersionIsUnsupported) {
  const IndexImageHead head = Example();
  auto bytes = EncodeIndexImageHead(head);
  base::Store(bytes.data() + kMagicBytes, kFormatVersion + 1);
  Reseal(std::span(bytes).first(kPreambleBytes), kPreambleBytes - sizeof(std::uint32_t));
  EXPECT_EQ(CodeOf(bytes, head.file_bytes()), StatusCode::kUnsupported);
}

TEST(IndexImageTest, RandomBytesAreRefused) {
  std::mt19937_64 random(1);
  for (int i = 0; i < 1000; ++i) {
    const Bytes bytes = RandomBytes(random, random() % 300);
    EXPECT_EQ(CodeOf(bytes, bytes.size()), StatusCode::kCorruption);
  }
}

// Forged heads: their checksums are right.
StatusCode CodeOfPages(std::vector<ImagedPage> pages) {
  IndexImageHead head = Example();
  head.pages = std::move(pages);
  return CodeOf(EncodeIndexImageHead(head), head.file_bytes());
}

TEST(IndexImageTest, PagesMustCoverEveryHashOnce) {
  EXPECT_EQ(CodeOfPages({{.lines = 1, .depth = 0}}), StatusCode::kOk);
  EXPECT_EQ(CodeOfPages({{.lines = 1, .depth = 1}, {.lines = 1, .depth = 1}}), StatusCode::kOk);
  EXPECT_EQ(CodeOfPages({}), StatusCode::kCorruption);
  EXPECT_EQ(CodeOfPages({{.lines = 1, .depth = 1}}), StatusCode::kCorruption) << "a gap";
  EXPECT_EQ(CodeOfPages({{.lines = 1, .depth = 0}, {.lines = 1, .depth = 1}}),
            StatusCode::kCorruption)
      << "more than all";
  EXPECT_EQ(
      CodeOfPages({{.lines = 1, .depth = 2}, {.lines = 1, .depth = 1}, {.lines = 1, .depth = 2}}),
      StatusCode::kCorruption)
      << "no range of top bits";
}

TEST(IndexImageTest, APageHasLinesAndABoundedDepth) {
  EXPECT_EQ(CodeOfPages({{.lines = 0, .depth = 0}}), StatusCode::kCorruption);
  EXPECT_EQ(CodeOfPages({{.lines = 1, .depth = 64}}), StatusCode::kCorruption);
}

TEST(IndexImageTest, PaddingAndReservedBytesAreZero) {
  const IndexImageHead head = Example();
  const auto intact = EncodeIndexImageHead(head);
  const std::size_t checksum = intact.size() - sizeof(std::uint32_t);
  for (const std::size_t at :
       {std::size_t{56}, std::size_t{63}, kIndexImageFixedBytes + 36, checksum - 1}) {
    auto bytes = intact;
    bytes[at] = std::byte{1};
    Reseal(bytes, checksum);
    EXPECT_EQ(CodeOf(bytes, head.file_bytes()), StatusCode::kCorruption) << at;
  }
}

}  // namespace
}  // namespace freyja::format
