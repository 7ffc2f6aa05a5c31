#include "format/hint.h"

#include <algorithm>
#include <array>
#include <string>

#include "base/bytes.h"
#include "base/crc32c.h"
#include "base/status_macros.h"
#include "format/bloom.h"
#include "format/preamble.h"
#include "format/record.h"
#include "format/segment_header.h"

namespace freyja::format {
namespace {

constexpr std::string_view kHeaderWhat = "hint header";
constexpr std::string_view kEntriesWhat = "hint entries";
constexpr std::string_view kFilterWhat = "hint filter";

// Offsets in the header; docs/file_format.md has the table.
constexpr std::size_t kStoreHigh = 16;
constexpr std::size_t kStoreLow = 24;
constexpr std::size_t kId = 32;
constexpr std::size_t kNonce = 40;
constexpr std::size_t kDataBytes = 48;
constexpr std::size_t kRecordCount = 56;
constexpr std::size_t kFilterBytes = 64;
constexpr std::size_t kRecordsCrc = 72;
constexpr std::size_t kZeros = 76;
constexpr std::size_t kHeaderChecksum = 92;

// Behind the entries and behind the filter: checksum and four zeros.
constexpr std::size_t kTrailerBytes = 8;

// Of an entry's last word.
constexpr std::uint32_t kReservedBits = ~(kHintLengthMask | kHintTombstoneBit | kHintExpiryBit);

// What a 32-bit offset in units can address; also keeps the sums below from overflowing.
constexpr std::uint64_t kMaxDataBytes = (std::uint64_t{1} << 32) * kRecordAlignment;

using HeaderBytes = std::array<std::byte, kHintHeaderBytes>;

HeaderBytes EncodeHeader(const HintHeader& header) {
  HeaderBytes bytes{};
  std::byte* const start = bytes.data();
  EncodePreamble(kHintMagic, std::span(bytes).first<kPreambleBytes>());
  base::Store(start + kStoreHigh, header.identity.store.high);
  base::Store(start + kStoreLow, header.identity.store.low);
  base::Store(start + kId, header.identity.id);
  base::Store(start + kNonce, header.identity.nonce);
  base::Store(start + kDataBytes, header.data_bytes);
  base::Store(start + kRecordCount, header.record_count);
  base::Store(start + kFilterBytes, header.filter_bytes);
  base::Store(start + kRecordsCrc, header.records_crc);
  base::Store(start + kHeaderChecksum,
              base::Crc32c(0, std::span<const std::byte>(bytes).first(kHeaderChecksum)));
  return bytes;
}

std::uint32_t ChecksumOf(const HeaderBytes& bytes) {
  return base::Load<std::uint32_t>(bytes.data() + kHeaderChecksum);
}

void AppendTrailer(std::byte* to, std::uint32_t checksum) {
  base::Store(to, checksum);
  base::Store(to + sizeof checksum, std::uint32_t{0});
}

// Checks the length and the trailer of entries or filter, whose checksums are seeded with
// the header's: the parts of one hint do not verify in another.
Status CheckPart(const HintHeader& header, std::string_view what, std::uint64_t expected_bytes,
                 std::span<const std::byte> bytes) {
  if (bytes.size() < kTrailerBytes || bytes.size() - kTrailerBytes != expected_bytes) {
    return Damaged(what, std::to_string(bytes.size()) + " bytes instead of " +
                             std::to_string(expected_bytes + kTrailerBytes));
  }
  const std::byte* const trailer = bytes.data() + expected_bytes;
  const std::uint32_t seed = ChecksumOf(EncodeHeader(header));
  if (base::Load<std::uint32_t>(trailer) != base::Crc32c(seed, bytes.first(expected_bytes))) {
    return Damaged(what, "checksum does not match");
  }
  if (base::Load<std::uint32_t>(trailer + 4) != 0) {
    return Damaged(what, "bytes behind the checksum are not zero");
  }
  return Status::Ok();
}

// What an intact header can't say about any segment.
Status CheckHeaderFields(const HintHeader& header) {
  if (header.identity.id == 0) return Damaged(kHeaderWhat, "segment id 0 does not exist");
  if (header.data_bytes < kSegmentHeaderBytes || header.data_bytes > kMaxDataBytes ||
      header.data_bytes % kRecordAlignment != 0) {
    return Damaged(kHeaderWhat, "impossible segment length " + std::to_string(header.data_bytes));
  }
  if (header.record_count > (header.data_bytes - kSegmentHeaderBytes) / kMinRecordBytes) {
    return Damaged(kHeaderWhat, std::to_string(header.record_count) + " records do not fit in " +
                                    std::to_string(header.data_bytes) + " bytes");
  }
  if (header.filter_bytes != BloomFilterBytes(header.record_count)) {
    return Damaged(kHeaderWhat, "impossible filter length " + std::to_string(header.filter_bytes));
  }
  return Status::Ok();
}

}  // namespace

HintLayout LayoutOf(const HintHeader& header) {
  HintLayout layout;
  layout.entries_offset = kHintHeaderBytes;
  layout.entries_bytes = header.record_count * kHintEntryBytes;
  layout.filter_offset = layout.entries_offset + layout.entries_bytes + kTrailerBytes;
  layout.filter_bytes = header.filter_bytes;
  layout.file_bytes = layout.filter_offset + layout.filter_bytes + kTrailerBytes;
  return layout;
}

void EncodeHintEntry(const HintEntry& entry, std::span<std::byte, kHintEntryBytes> out) {
  base::Store(out.data(), entry.hash.low);
  base::Store(out.data() + 8, entry.hash.high);
  base::Store(out.data() + 16, entry.sequence);
  base::Store(out.data() + 24, entry.offset_units);
  base::Store(out.data() + kHintEntryPacked, (entry.length_units & kHintLengthMask) |
                                                 (entry.is_tombstone ? kHintTombstoneBit : 0) |
                                                 (entry.has_expiry ? kHintExpiryBit : 0));
}

std::vector<HintEntry> HintEntries::Copy() const {
  std::vector<HintEntry> entries;
  entries.reserve(size());
  for (std::size_t i = 0; i < size(); ++i) entries.push_back((*this)[i]);
  return entries;
}

HintFrame::HintFrame(const HintHeader& header)
    : layout_(LayoutOf(header)),
      head_(EncodeHeader(header)),
      entries_crc_(ChecksumOf(head_)),
      tail_(layout_.file_bytes - layout_.entries_offset - layout_.entries_bytes) {}

void HintFrame::Add(std::span<const std::byte> entries) {
  entries_crc_ = base::Crc32c(entries_crc_, entries);
  const auto filter = Filter();
  for (; !entries.empty(); entries = entries.subspan(kHintEntryBytes)) {
    AddToBloomFilter(filter, DecodeHintEntry(entries.first<kHintEntryBytes>()).hash);
  }
}

std::span<std::byte> HintFrame::Filter() {
  return std::span(tail_).subspan(kTrailerBytes, layout_.filter_bytes);
}

std::span<const std::byte> HintFrame::Tail() {
  AppendTrailer(tail_.data(), entries_crc_);
  const auto filter = Filter();
  AppendTrailer(filter.data() + filter.size(), base::Crc32c(ChecksumOf(head_), filter));
  return tail_;
}

std::vector<std::byte> EncodeHint(HintHeader header, std::span<const HintEntry> entries) {
  header.record_count = entries.size();
  header.filter_bytes = BloomFilterBytes(entries.size());
  HintFrame frame(header);
  std::vector<std::byte> file(frame.layout().file_bytes);
  const auto part =
      std::span(file).subspan(frame.layout().entries_offset, frame.layout().entries_bytes);
  std::span<std::byte> rest = part;
  for (const HintEntry& entry : entries) {
    EncodeHintEntry(entry, rest.first<kHintEntryBytes>());
    rest = rest.subspan(kHintEntryBytes);
  }
  frame.Add(part);
  std::ranges::copy(frame.Head(), file.begin());
  std::ranges::copy(frame.Tail(), part.data() + part.size());
  return file;
}

Result<HintHeader> DecodeHintHeader(std::span<const std::byte> bytes) {
  FREYJA_RETURN_IF_ERROR(CheckPreamble(kHintMagic, kHeaderWhat, bytes));
  if (bytes.size() < kHintHeaderBytes) {
    return std::unexpected(Damaged(kHeaderWhat, "ends early, after " +
                                                    std::to_string(bytes.size()) + " of " +
                                                    std::to_string(kHintHeaderBytes) + " bytes"));
  }
  const std::byte* const start = bytes.data();
  if (base::Load<std::uint32_t>(start + kHeaderChecksum) !=
      base::Crc32c(0, bytes.first(kHeaderChecksum))) {
    return std::unexpected(Damaged(kHeaderWhat, "checksum does not match"));
  }
  const auto zeros = bytes.subspan(kZeros, kHeaderChecksum - kZeros);
  if (std::ranges::any_of(zeros, [](std::byte b) { return b != std::byte{0}; })) {
    return std::unexpected(Damaged(kHeaderWhat, "bytes at offset 76 are not zero"));
  }
  HintHeader header;
  header.identity.store.high = base::Load<std::uint64_t>(start + kStoreHigh);
  header.identity.store.low = base::Load<std::uint64_t>(start + kStoreLow);
  header.identity.id = base::Load<std::uint64_t>(start + kId);
  header.identity.nonce = base::Load<std::uint64_t>(start + kNonce);
  header.data_bytes = base::Load<std::uint64_t>(start + kDataBytes);
  header.record_count = base::Load<std::uint64_t>(start + kRecordCount);
  header.filter_bytes = base::Load<std::uint64_t>(start + kFilterBytes);
  header.records_crc = base::Load<std::uint32_t>(start + kRecordsCrc);
  FREYJA_RETURN_IF_ERROR(CheckHeaderFields(header));
  return header;
}

Result<HintEntries> DecodeHintEntries(const HintHeader& header, std::span<const std::byte> bytes) {
  const std::uint64_t entries_bytes = LayoutOf(header).entries_bytes;
  FREYJA_RETURN_IF_ERROR(CheckPart(header, kEntriesWhat, entries_bytes, bytes));
  const HintEntries entries(bytes.first(entries_bytes));
  std::uint64_t lowest_offset_units = kSegmentHeaderBytes / kRecordAlignment;
  for (std::size_t i = 0; i < entries.size(); ++i) {
    const HintEntry entry = entries[i];
    const std::uint64_t end_units = std::uint64_t{entry.offset_units} + entry.length_units;
    const auto packed =
        base::Load<std::uint32_t>(bytes.data() + i * kHintEntryBytes + kHintEntryPacked);
    if ((packed & kReservedBits) != 0 || entry.sequence == 0 ||
        entry.length_units < kMinRecordBytes / kRecordAlignment ||
        entry.offset_units < lowest_offset_units ||
        end_units > header.data_bytes / kRecordAlignment) {
      return std::unexpected(Damaged(kEntriesWhat, "impossible entry number " + std::to_string(i)));
    }
    lowest_offset_units = end_units;
  }
  return entries;
}

Result<std::vector<std::byte>> DecodeHintFilter(const HintHeader& header,
                                                std::span<const std::byte> bytes) {
  FREYJA_RETURN_IF_ERROR(CheckPart(header, kFilterWhat, header.filter_bytes, bytes));
  const auto filter = bytes.first(header.filter_bytes);
  return std::vector<std::byte>(filter.begin(), filter.end());
}

}  // namespace freyja::format
