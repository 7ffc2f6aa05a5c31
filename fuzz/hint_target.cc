// Hint files: each part is refused with a reason, or says exactly its bytes.
//
// The first byte of the input chooses what is put right before decoding: the preamble, the
// header's checksum, the lengths (a record count from the next byte, the filter length that
// belongs to it, the file resized), the checksums behind entries and filter.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "base/bytes.h"
#include "base/crc32c.h"
#include "format/bloom.h"
#include "format/hint.h"
#include "format/record.h"
#include "format/segment_header.h"
#include "fuzz/input.h"
#include "fuzz/property.h"
#include "fuzz/seal.h"
#include "fuzz/targets.h"

namespace freyja::fuzz {

namespace {

constexpr std::size_t kDataBytes = 48;
constexpr std::size_t kRecordCount = 56;
constexpr std::size_t kFilterBytes = 64;
constexpr std::size_t kHeaderChecksum = format::kHintHeaderBytes - 4;
constexpr std::size_t kTrailer = 8;

std::vector<std::byte> WithLengths(Input& in) {
  const std::uint64_t records = in.Below(9);
  const std::uint64_t filter = format::BloomFilterBytes(records);
  const std::vector<std::byte> rest = in.Rest();
  std::vector<std::byte> bytes(format::kHintHeaderBytes + records * format::kHintEntryBytes +
                               kTrailer + filter + kTrailer);
  std::ranges::copy(Bytes(rest).first(std::min(rest.size(), bytes.size())), bytes.begin());
  base::Store(bytes.data() + kRecordCount, records);
  base::Store(bytes.data() + kFilterBytes, filter);
  const auto data_bytes = base::Load<std::uint64_t>(bytes.data() + kDataBytes) % 65536;
  base::Store(bytes.data() + kDataBytes,
              data_bytes / format::kRecordAlignment * format::kRecordAlignment +
                  format::kSegmentHeaderBytes);
  return bytes;
}

// The trailer behind `part`, which is followed by it.
void SealPart(std::span<std::byte> bytes, std::uint64_t offset, std::uint64_t length) {
  if (bytes.size() < offset + length + kTrailer) return;
  const auto seed = base::Load<std::uint32_t>(bytes.data() + kHeaderChecksum);
  const auto checksum = base::Crc32c(seed, bytes.subspan(offset, length));
  base::Store(bytes.data() + offset + length, std::uint64_t{checksum});
}

void CheckEntries(const format::HintHeader& header, std::span<const format::HintEntry> entries,
                  Bytes part) {
  Expect(entries.size() == header.record_count, "not as many entries as the header says");
  std::uint64_t end = format::kSegmentHeaderBytes;
  std::vector<std::byte> again(format::kHintEntryBytes);
  for (std::size_t i = 0; i < entries.size(); ++i) {
    const std::uint64_t offset = entries[i].offset_units * format::kRecordAlignment;
    const std::uint64_t length = entries[i].length_units * format::kRecordAlignment;
    Expect(offset >= end && length >= format::kMinRecordBytes, "entries that overlap");
    end = offset + length;
    Expect(end <= header.data_bytes, "an entry behind the segment's end");
    Expect(entries[i].sequence != 0, "an entry without a number");
    format::EncodeHintEntry(entries[i], std::span(again).first<format::kHintEntryBytes>());
    Expect(std::ranges::equal(again, part.subspan(i * format::kHintEntryBytes, again.size())),
           "an entry is encoded as other bytes");
  }
}

void CheckEncodedAgain(const format::HintHeader& header, Bytes file,
                       std::span<const format::HintEntry> entries) {
  const format::HintLayout layout = format::LayoutOf(header);
  const std::vector<std::byte> again = format::EncodeHint(header, entries);
  Expect(again.size() == layout.file_bytes, "encoded in another length");
  const std::size_t through_entries = layout.filter_offset;
  Expect(std::ranges::equal(Bytes(again).first(through_entries), file.first(through_entries)),
         "encoded as other bytes");
  const auto filter = format::DecodeHintFilter(header, Bytes(again).subspan(layout.filter_offset));
  Expect(filter.has_value(), "the filter it encodes does not decode");
  for (const format::HintEntry& entry : entries) {
    Expect(format::MayContain(*filter, entry.hash), "the filter lacks a key");
  }
}

}  // namespace

void FuzzHint(Bytes data) {
  Input in(data);
  const unsigned choice = in.U8();
  std::vector<std::byte> bytes = (choice & 4) != 0 ? WithLengths(in) : in.Rest();
  if ((choice & 1) != 0) PutPreamble(bytes, format::kHintMagic);
  if ((choice & 2) != 0) SealAt(bytes, kHeaderChecksum);

  const auto header = format::DecodeHintHeader(bytes);
  if (!header) {
    Expect(header.error().code() == StatusCode::kCorruption ||
               header.error().code() == StatusCode::kUnsupported,
           "refused with the wrong code");
    Expect(!header.error().message().empty(), "refused without a reason");
    return;
  }
  const format::HintLayout layout = format::LayoutOf(*header);
  Expect(layout.entries_offset < layout.filter_offset && layout.filter_offset < layout.file_bytes,
         "the parts are out of order");
  if (layout.file_bytes > bytes.size()) return;
  if ((choice & 8) != 0) SealPart(bytes, layout.entries_offset, layout.entries_bytes);
  if ((choice & 16) != 0) SealPart(bytes, layout.filter_offset, layout.filter_bytes);

  const Bytes file(bytes);
  const auto part = file.subspan(layout.entries_offset, layout.entries_bytes + kTrailer);
  const auto entries = format::DecodeHintEntries(*header, part);
  if (entries) {
    CheckEntries(*header, entries->Copy(), part);
    CheckEncodedAgain(*header, file, entries->Copy());
    Expect(!format::DecodeHintEntries(*header, part.first(part.size() - 1)),
           "entries decoded with a byte too few");
  }
  const auto filter_part = file.subspan(layout.filter_offset, layout.filter_bytes + kTrailer);
  if (const auto filter = format::DecodeHintFilter(*header, filter_part)) {
    Expect(std::ranges::equal(*filter, filter_part.first(layout.filter_bytes)),
           "the filter is not its bytes");
  }
}

}  // namespace freyja::fuzz
