#include "format/hint.h"

#include <gtest/gtest.h>
#include <rapidcheck.h>
#include <rapidcheck/gtest.h>

#include <algorithm>
#include <array>
#include <string>
#include <utility>

#include "format/bloom.h"
#include "format/damage_for_test.h"
#include "format/preamble.h"

namespace freyja::format {
namespace {

constexpr std::size_t kHeaderChecksum = kHintHeaderBytes - 4;

struct Decoded {
  HintHeader header;
  std::vector<HintEntry> entries;
  Bytes filter;
};

// A whole hint file, as a reader of the engine takes it apart.
Result<Decoded> DecodeFile(std::span<const std::byte> bytes) {
  auto header = DecodeHintHeader(bytes);
  if (!header) return std::unexpected(header.error());
  const HintLayout layout = LayoutOf(*header);
  if (layout.file_bytes != bytes.size()) {
    return std::unexpected(Status(StatusCode::kCorruption, "wrong file length"));
  }
  auto entries =
      DecodeHintEntries(*header, bytes.subspan(layout.entries_offset, layout.entries_bytes + 8));
  if (!entries) return std::unexpected(entries.error());
  auto filter =
      DecodeHintFilter(*header, bytes.subspan(layout.filter_offset, layout.filter_bytes + 8));
  if (!filter) return std::unexpected(filter.error());
  return Decoded{.header = *header, .entries = entries->Copy(), .filter = *std::move(filter)};
}

StatusCode CodeOf(std::span<const std::byte> bytes) {
  const auto decoded = DecodeFile(bytes);
  return decoded ? StatusCode::kOk : decoded.error().code();
}

std::vector<HintEntry> Entries(std::size_t count) {
  std::vector<HintEntry> entries;
  std::uint32_t offset_units = 8;
  for (std::size_t i = 0; i < count; ++i) {
    const auto length_units = static_cast<std::uint32_t>(3 + i % 50);
    entries.push_back({.hash = HashKey(std::to_string(i), 9),
                       .sequence = 1000 + i * 7 % 13,
                       .offset_units = offset_units,
                       .length_units = length_units,
                       .is_tombstone = i % 3 == 0,
                       .has_expiry = i % 5 == 0});
    offset_units += length_units;
  }
  return entries;
}

HintHeader HeaderFor(const std::vector<HintEntry>& entries) {
  const std::uint64_t end_units =
      entries.empty() ? 8
                      : std::uint64_t{entries.back().offset_units} + entries.back().length_units;
  return {.identity = {.store = {.high = 1, .low = 2}, .id = 3, .nonce = 4},
          .data_bytes = end_units * 8,
          .records_crc = 0xABCDEF01};
}

Bytes Example(std::size_t count) { return EncodeHint(HeaderFor(Entries(count)), Entries(count)); }

RC_GTEST_PROP(HintTest, DecodesToWhatWasEncoded, ()) {
  const auto entries = Entries(*rc::gen::inRange<std::size_t>(0, 300));
  HintHeader header = HeaderFor(entries);
  header.identity.nonce = *rc::gen::arbitrary<std::uint64_t>();
  header.records_crc = *rc::gen::arbitrary<std::uint32_t>();
  const Bytes file = EncodeHint(header, entries);
  const auto decoded = DecodeFile(file);
  RC_ASSERT(decoded.has_value());
  header.record_count = entries.size();
  header.filter_bytes = BloomFilterBytes(entries.size());
  RC_ASSERT(decoded->header == header);
  RC_ASSERT(decoded->entries == entries);
  for (const HintEntry& entry : entries) RC_ASSERT(MayContain(decoded->filter, entry.hash));
}

RC_GTEST_PROP(HintTest, EntriesOfAnyContentRoundTrip,
              (std::uint64_t low, std::uint64_t high, std::uint64_t sequence,
               std::uint32_t offset_units, bool is_tombstone, bool has_expiry)) {
  const HintEntry entry{.hash = {.low = low, .high = high},
                        .sequence = sequence,
                        .offset_units = offset_units,
                        .length_units = *rc::gen::inRange<std::uint32_t>(0, 1U << 27),
                        .is_tombstone = is_tombstone,
                        .has_expiry = has_expiry};
  std::array<std::byte, kHintEntryBytes> bytes;
  EncodeHintEntry(entry, bytes);
  RC_ASSERT(DecodeHintEntry(bytes) == entry);
}

RC_GTEST_PROP(HintTest, AFrameIsTheSameHoweverTheEntriesComeToIt, ()) {
  const auto entries = Entries(*rc::gen::inRange<std::size_t>(0, 300));
  HintHeader header = HeaderFor(entries);
  header.record_count = entries.size();
  header.filter_bytes = BloomFilterBytes(entries.size());
  const Bytes file = EncodeHint(header, entries);
  HintFrame frame(header);
  auto rest = std::span(file).subspan(frame.layout().entries_offset, frame.layout().entries_bytes);
  while (!rest.empty()) {
    const std::size_t count = *rc::gen::inRange<std::size_t>(1, rest.size() / kHintEntryBytes + 1);
    frame.Add(rest.first(count * kHintEntryBytes));
    rest = rest.subspan(count * kHintEntryBytes);
  }
  RC_ASSERT(std::ranges::equal(frame.Head(), std::span(file).first(kHintHeaderBytes)));
  RC_ASSERT(std::ranges::equal(frame.Tail(), std::span(file).last(frame.Tail().size())));
}

TEST(HintTest, EveryFlippedBitIsCorruption) {
  for (const std::size_t count : {0U, 1U, 7U}) {
    ForEachFlippedBit(Example(count), [](const Bytes& damaged, std::size_t bit) {
      EXPECT_EQ(CodeOf(damaged), StatusCode::kCorruption)
          << "bit " << bit << " of " << damaged.size() << " bytes";
    });
  }
}

TEST(HintTest, EveryTruncationIsCorruption) {
  ForEachTruncation(Example(3), [](const Bytes& cut) {
    EXPECT_EQ(CodeOf(cut), StatusCode::kCorruption) << cut.size() << " bytes";
  });
  const Bytes file = Example(3);
  const auto header = DecodeHintHeader(file);
  ASSERT_TRUE(header.has_value());
  const HintLayout layout = LayoutOf(*header);
  const auto parts = std::span(file);
  ForEachTruncation(parts.subspan(layout.entries_offset, layout.entries_bytes + 8),
                    [&](const Bytes& cut) { EXPECT_FALSE(DecodeHintEntries(*header, cut)); });
  ForEachTruncation(parts.subspan(layout.filter_offset, layout.filter_bytes + 8),
                    [&](const Bytes& cut) { EXPECT_FALSE(DecodeHintFilter(*header, cut)); });
}

TEST(HintTest, PartsGivenWithMoreThanTheirBytesAreCorruption) {
  const Bytes file = Example(3);
  const auto header = DecodeHintHeader(file);
  ASSERT_TRUE(header.has_value());
  const HintLayout layout = LayoutOf(*header);
  EXPECT_FALSE(DecodeHintEntries(*header, std::span(file).subspan(layout.entries_offset)));
  EXPECT_FALSE(DecodeHintFilter(
      *header, std::span(file).subspan(layout.filter_offset - 8, layout.filter_bytes + 16)));
}

TEST(HintTest, PartsOfAnotherHintAreCorruption) {
  const auto entries = Entries(5);
  HintHeader other = HeaderFor(entries);
  other.identity.nonce ^= 1;
  const Bytes home_file = EncodeHint(HeaderFor(entries), entries);
  const Bytes other_file = EncodeHint(other, entries);
  const auto header = DecodeHintHeader(home_file);
  ASSERT_TRUE(header.has_value());
  const HintLayout layout = LayoutOf(*header);
  const auto parts = std::span(other_file);
  EXPECT_FALSE(
      DecodeHintEntries(*header, parts.subspan(layout.entries_offset, layout.entries_bytes + 8)));
  EXPECT_FALSE(
      DecodeHintFilter(*header, parts.subspan(layout.filter_offset, layout.filter_bytes + 8)));
}

TEST(HintTest, RandomBytesAreCorruption) {
  std::mt19937_64 random(1);
  for (int round = 0; round < 20000; ++round) {
    Bytes bytes = RandomBytes(random, random() % 300);
    EXPECT_EQ(CodeOf(bytes), StatusCode::kCorruption);
    if (bytes.size() < kHintHeaderBytes) continue;
    // An intact header of random fields.
    EncodePreamble(kHintMagic, std::span(bytes).first<kPreambleBytes>());
    std::fill(bytes.begin() + 76, bytes.begin() + kHeaderChecksum, std::byte{0});
    if (round % 2 == 0) {
      base::Store(bytes.data() + 48, std::uint64_t{random() % 64 * 8});
      base::Store(bytes.data() + 56, std::uint64_t{random() % 6});
      base::Store(bytes.data() + 64, std::uint64_t{8});
    }
    Reseal(std::span(bytes).first(kHintHeaderBytes), kHeaderChecksum);
    EXPECT_EQ(CodeOf(bytes), StatusCode::kCorruption);
  }
}

TEST(HintTest, ImpossibleHeadersAreCorruptionThoughTheirChecksumIsRight) {
  const auto code_with = [](std::size_t offset, std::uint64_t value) {
    Bytes bytes = Example(3);
    base::Store(bytes.data() + offset, value);
    Reseal(std::span(bytes).first(kHintHeaderBytes), kHeaderChecksum);
    const auto header = DecodeHintHeader(bytes);
    return header ? StatusCode::kOk : header.error().code();
  };
  EXPECT_EQ(code_with(32, 3), StatusCode::kOk);
  EXPECT_EQ(code_with(32, 0), StatusCode::kCorruption) << "segment id 0";
  EXPECT_EQ(code_with(48, 56), StatusCode::kCorruption) << "shorter than a header";
  EXPECT_EQ(code_with(48, 64), StatusCode::kCorruption) << "no room for three records";
  EXPECT_EQ(code_with(48, 4097), StatusCode::kCorruption) << "not in units";
  EXPECT_EQ(code_with(48, ~7ULL), StatusCode::kCorruption) << "beyond any offset";
  EXPECT_EQ(code_with(56, ~0ULL), StatusCode::kCorruption) << "count";
  EXPECT_EQ(code_with(64, 16), StatusCode::kCorruption) << "filter longer than it must be";
  EXPECT_EQ(code_with(64, ~0ULL), StatusCode::kCorruption) << "filter without end";
  EXPECT_EQ(code_with(80, 1), StatusCode::kCorruption) << "reserved bytes";
}

TEST(HintTest, ImpossibleEntriesAreCorruptionThoughTheirChecksumIsRight) {
  const auto accepts = [](auto change) {
    std::vector<HintEntry> entries = Entries(3);
    const HintHeader header = HeaderFor(entries);
    change(entries);
    return DecodeFile(EncodeHint(header, entries)).has_value();
  };
  EXPECT_TRUE(accepts([](auto&) {}));
  EXPECT_FALSE(accepts([](auto& entries) { entries[0].offset_units = 7; }));
  EXPECT_FALSE(accepts([](auto& entries) { entries[1].offset_units -= 1; }));
  EXPECT_FALSE(accepts([](auto& entries) { entries[2].length_units += 1; }));
  EXPECT_FALSE(accepts([](auto& entries) { entries[2].offset_units = ~0U; }));
  EXPECT_FALSE(accepts([](auto& entries) { entries[0].length_units = 2; }));
  EXPECT_FALSE(accepts([](auto& entries) { entries[1].sequence = 0; }));
  EXPECT_FALSE(accepts([](auto& entries) { std::swap(entries[0], entries[1]); }));
}

TEST(HintTest, ReservedBitsOfAnEntryAreCorruptionThoughTheirChecksumIsRight) {
  for (unsigned bit = 27; bit < 30; ++bit) {
    Bytes file = Example(1);
    const auto header = DecodeHintHeader(file);
    ASSERT_TRUE(header.has_value());
    const auto part = std::span(file).subspan(kHintHeaderBytes, kHintEntryBytes + 8);
    const std::uint32_t seed = base::Load<std::uint32_t>(file.data() + kHeaderChecksum);
    base::Store(part.data() + 28,
                base::Load<std::uint32_t>(part.data() + 28) | std::uint32_t{1} << bit);
    base::Store(part.data() + kHintEntryBytes, base::Crc32c(seed, part.first(kHintEntryBytes)));
    EXPECT_FALSE(DecodeHintEntries(*header, part)) << "bit " << bit;
  }
}

TEST(HintTest, ANewerVersionIsUnsupported) {
  Bytes bytes = Example(2);
  base::Store(bytes.data() + 8, kFormatVersion + 1);
  Reseal(bytes, 12);
  EXPECT_EQ(CodeOf(bytes), StatusCode::kUnsupported);
}

}  // namespace
}  // namespace freyja::format
