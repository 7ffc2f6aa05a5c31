#include "format/record.h"

namespace freyja::format {
namespace {

constexpr std::size_t kChecksumBytes = 4;

std::uint32_t FlagsOf(const Record& record) {
  const auto flag_if = [](bool condition, RecordFlags flag) {
    return condition ? static_cast<std::uint32_t>(flag) : 0;
  };
  return flag_if(record.is_tombstone, kTombstone) | flag_if(record.expires_at_ms != 0, kHasExpiry) |
         flag_if(record.begins_batch, kBatchBegin) | flag_if(record.ends_batch, kBatchEnd) |
         flag_if(record.watermark.has_value(), kHasWatermark);
}

// `padding` below 8 bytes at the end of a record that ends before `end`. Never reads
// outside the record: it is at least kMinRecordBytes long.
bool PaddingIsZero(const std::byte* end, std::size_t padding) {
  const auto last_word = base::Load<std::uint64_t>(end - sizeof(std::uint64_t));
  // In two steps, because a shift by all 64 bits is undefined.
  return ((last_word >> 1) >> (63 - 8 * padding)) == 0;
}

}  // namespace

std::size_t EncodeRecord(const Record& record, std::uint32_t seed, std::span<std::byte> out) {
  const std::size_t record_bytes = EncodedRecordBytes(record);
  std::byte* const start = out.data();
  // The last word first: what of it isn't key or value stays behind as padding.
  base::Store(start + record_bytes - sizeof(std::uint64_t), std::uint64_t{0});
  base::Store(start + 4, static_cast<std::uint32_t>(record.value.size()));
  base::Store(start + 8, record.sequence);
  base::Store(start + 16, static_cast<std::uint32_t>(record.key.size()) | FlagsOf(record) << 24);
  std::byte* next = start + kRecordHeaderBytes;
  if (record.expires_at_ms != 0) {
    base::Store(next, record.expires_at_ms);
    next += sizeof(std::uint64_t);
  }
  if (record.watermark) {
    base::Store(next, *record.watermark);
    next += sizeof(std::uint64_t);
  }
  std::memcpy(next, record.key.data(), record.key.size());
  // An empty view may hold a null pointer, which memcpy must not see.
  if (!record.value.empty()) {
    std::memcpy(next + record.key.size(), record.value.data(), record.value.size());
  }
  const std::span<const std::byte> covered(start + kChecksumBytes, record_bytes - kChecksumBytes);
  base::Store(start, base::Crc32c(seed, covered));
  return record_bytes;
}

std::optional<Record> DecodeRecord(std::span<const std::byte> bytes, std::uint32_t seed,
                                   std::size_t* record_bytes) {
  std::optional<Record> record(std::in_place);
  if (!DecodeRecord(bytes, seed, *record, record_bytes)) record.reset();
  return record;
}

bool DecodeRecord(std::span<const std::byte> bytes, std::uint32_t seed, Record& record,
                  std::size_t* record_bytes) {
  if (bytes.size() < kRecordHeaderBytes) return false;
  const std::byte* const start = bytes.data();
  const RawRecordHeader header = RawRecordHeader::Load(start);
  if (!header.Plausible()) return false;
  const std::size_t unpadded = header.UnpaddedBytes();
  const std::size_t length = base::RoundUp(unpadded, kRecordAlignment);
  if (length > bytes.size()) return false;
  const std::span<const std::byte> covered(start + kChecksumBytes, length - kChecksumBytes);
  if (base::Crc32c(seed, covered) != header.checksum) return false;
  if (!PaddingIsZero(start + length, length - unpadded)) return false;

  const std::byte* next = start + kRecordHeaderBytes;
  record.expires_at_ms = 0;
  if ((header.flags & kHasExpiry) != 0) {
    record.expires_at_ms = base::Load<std::uint64_t>(next);
    // "Never" has a shorter spelling, and a record has only one.
    if (record.expires_at_ms == 0) return false;
    next += sizeof(std::uint64_t);
  }
  record.watermark.reset();
  if ((header.flags & kHasWatermark) != 0) {
    record.watermark = base::Load<std::uint64_t>(next);
    next += sizeof(std::uint64_t);
  }
  record.sequence = header.sequence;
  record.key = base::AsChars({next, header.key_length});
  record.value = base::AsChars({next + header.key_length, header.value_length});
  record.is_tombstone = (header.flags & kTombstone) != 0;
  record.begins_batch = (header.flags & kBatchBegin) != 0;
  record.ends_batch = (header.flags & kBatchEnd) != 0;
  if (record_bytes != nullptr) *record_bytes = length;
  return true;
}

}  // namespace freyja::format
