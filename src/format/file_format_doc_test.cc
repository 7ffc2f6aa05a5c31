// The worked example in docs/file_format.md is made of real bytes.
#include <gtest/gtest.h>

#include <cstdio>
#include <fstream>
#include <string>

#include "format/hint.h"
#include "format/manifest.h"
#include "format/record.h"
#include "format/segment_header.h"

namespace freyja::format {
namespace {

using Bytes = std::vector<std::byte>;

constexpr std::uint64_t kHashSeed = 0x0F1E2D3C4B5A6978;
constexpr SegmentIdentity kIdentity{
    .store = {.high = 0x0011223344556677, .low = 0x8899AABBCCDDEEFF},
    .id = 1,
    .nonce = 0x0123456789ABCDEF};
constexpr Record kPut{.sequence = 1, .key = "user:1", .value = "Ada"};
constexpr Record kDeletion{.sequence = 2, .watermark = 1, .key = "user:1", .is_tombstone = true};

Bytes Segment() {
  Bytes bytes(kSegmentHeaderBytes + EncodedRecordBytes(kPut) + EncodedRecordBytes(kDeletion));
  std::span<std::byte> rest(bytes);
  EncodeSegmentHeader({.identity = kIdentity, .generation = 1}, rest.first<kSegmentHeaderBytes>());
  rest = rest.subspan(kSegmentHeaderBytes);
  const auto append = [&](const Record& record) {
    const std::uint64_t offset = bytes.size() - rest.size();
    rest = rest.subspan(EncodeRecord(record, RecordSeed(kIdentity.ChecksumSeed(), offset), rest));
  };
  append(kPut);
  append(kDeletion);
  return bytes;
}

std::uint32_t RecordsCrc() {
  const Bytes segment = Segment();
  const auto first = std::span(segment).subspan(kSegmentHeaderBytes);
  return ExtendRecordsCrc(ExtendRecordsCrc(0, first), first.subspan(EncodedRecordBytes(kPut)));
}

Bytes Hint() {
  const KeyHash hash = HashKey("user:1", kHashSeed);
  const auto put_units = static_cast<std::uint32_t>(EncodedRecordBytes(kPut) / 8);
  const auto deletion_units = static_cast<std::uint32_t>(EncodedRecordBytes(kDeletion) / 8);
  const HintEntry entries[] = {
      {.hash = hash, .sequence = 1, .offset_units = 8, .length_units = put_units},
      {.hash = hash,
       .sequence = 2,
       .offset_units = 8 + put_units,
       .length_units = deletion_units,
       .is_tombstone = true}};
  return EncodeHint(
      {.identity = kIdentity, .data_bytes = Segment().size(), .records_crc = RecordsCrc()},
      entries);
}

Bytes ManifestFile() {
  return EncodeManifest({.generation = 2,
                         .store = kIdentity.store,
                         .hash_seed = kHashSeed,
                         .log = {{.id = 2, .nonce = 0x1032547698BADCFE}},
                         .log_first_sequence = 3,
                         .sealed = {{.id = 1,
                                     .nonce = kIdentity.nonce,
                                     .data_bytes = Segment().size(),
                                     .record_count = 2,
                                     .lowest_sequence = 1,
                                     .highest_sequence = 2,
                                     .tombstone_count = 1,
                                     .tombstone_bytes = EncodedRecordBytes(kDeletion),
                                     .records_crc = RecordsCrc()}},
                         .watermark = 2,
                         .reserved_id = 64,
                         .reserved_sequence = 65536});
}

// "0010  0d 0e ...": an offset and eight bytes a line. For the message of a failed test: it
// is what the document should say, comments aside.
std::string Dump(const Bytes& bytes) {
  std::string text;
  char piece[32];
  for (std::size_t at = 0; at < bytes.size(); ++at) {
    if (at % 8 == 0) {
      std::snprintf(piece, sizeof piece, "%s%04zx ", at == 0 ? "" : "\n", at);
      text += piece;
    }
    std::snprintf(piece, sizeof piece, " %02x", std::to_integer<unsigned>(bytes[at]));
    text += piece;
  }
  return text + "\n";
}

// The block that opens with "```hex <name>", its comments (from '|' on) cut off.
std::string DocumentedBlock(const std::string& name) {
  std::ifstream document(FREYJA_SOURCE_DIR "/docs/file_format.md");
  EXPECT_TRUE(document.is_open()) << "docs/file_format.md is missing";
  std::string line;
  while (std::getline(document, line) && line != "```hex " + name) {
  }
  std::string block;
  while (std::getline(document, line) && line != "```") {
    line = line.substr(0, line.find('|'));
    block += line.substr(0, line.find_last_not_of(' ') + 1) + "\n";
  }
  return block;
}

TEST(FileFormatDocumentTest, TheSegmentExampleIsWhatTheCodeWrites) {
  EXPECT_EQ(DocumentedBlock("segment"), Dump(Segment()));
}

TEST(FileFormatDocumentTest, TheHintExampleIsWhatTheCodeWrites) {
  EXPECT_EQ(DocumentedBlock("hint"), Dump(Hint()));
}

TEST(FileFormatDocumentTest, TheManifestExampleIsWhatTheCodeWrites) {
  EXPECT_EQ(DocumentedBlock("manifest"), Dump(ManifestFile()));
}

TEST(FileFormatDocumentTest, TheExampleFilesBelongTogether) {
  const auto manifest = DecodeManifest(ManifestFile());
  ASSERT_TRUE(manifest.has_value());
  const auto header = DecodeHintHeader(Hint());
  ASSERT_TRUE(header.has_value());
  ASSERT_EQ(manifest->sealed.size(), 1U);
  EXPECT_EQ(header->data_bytes, manifest->sealed[0].data_bytes);
  EXPECT_EQ(header->records_crc, manifest->sealed[0].records_crc);
  EXPECT_EQ(header->identity.nonce, manifest->sealed[0].nonce);
  EXPECT_EQ(LayoutOf(*header).file_bytes, Hint().size());
}

}  // namespace
}  // namespace freyja::format
