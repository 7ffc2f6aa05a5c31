// One record: a put or a tombstone as bytes in a segment.
//
//   0  u32 checksum        CRC-32C of everything after it, padding included, seeded
//                          with RecordSeed(SegmentIdentity::ChecksumSeed(), offset)
//   4  u32 value_length
//   8  u64 sequence        never 0
//  16  u24 key_length      1 to kMaxKeyBytes; 0 is never a record
//  19  u8  flags
//  20  u64 expiry          only with kHasExpiry: ms since the Unix epoch
//  ..  u64 watermark       only with kHasWatermark: highest number durable when written
//  ..  key, value, zeros up to a multiple of 8
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <span>
#include <string_view>

#include "base/bytes.h"
#include "base/crc32c.h"
#include "freyja/options.h"

namespace freyja::format {

enum RecordFlags : std::uint8_t {
  kTombstone = 1,
  kHasExpiry = 2,
  kBatchBegin = 4,
  kBatchEnd = 8,
  kHasWatermark = 16,
};
inline constexpr std::uint8_t kKnownRecordFlags = 31;

inline constexpr std::size_t kRecordHeaderBytes = 20;
inline constexpr std::size_t kRecordAlignment = 8;
inline constexpr std::size_t kMinRecordBytes = 24;
inline constexpr std::size_t kMaxRecordOverheadBytes =
    kRecordHeaderBytes + 16 + kRecordAlignment - 1;

struct Record {
  std::uint64_t sequence = 0;
  std::uint64_t expires_at_ms = 0;  // 0: never
  std::optional<std::uint64_t> watermark = {};
  std::string_view key = {};
  std::string_view value = {};  // empty for a tombstone
  bool is_tombstone = false;
  bool begins_batch = false;
  bool ends_batch = false;
};

// Bytes the record takes in a segment, padding included.
inline std::size_t EncodedRecordBytes(const Record& record) {
  const std::size_t optional_fields =
      (record.expires_at_ms != 0 ? 8U : 0U) + (record.watermark.has_value() ? 8U : 0U);
  return base::RoundUp(
      kRecordHeaderBytes + optional_fields + record.key.size() + record.value.size(),
      kRecordAlignment);
}

// What the checksum of the record at `offset` of a segment is seeded with. Different at every
// offset, and CRCs of the same bytes from different seeds differ: a record that was moved within
// its segment does not verify there.
inline std::uint32_t RecordSeed(std::uint32_t segment_seed, std::uint64_t offset) {
  return segment_seed ^ static_cast<std::uint32_t>(offset / kRecordAlignment);
}

// Writes the record to the front of `out`, which holds at least EncodedRecordBytes; nothing
// behind it is touched. Returns that number. The caller has checked what DecodeRecord
// insists on: key and value within their limits, a sequence number, no value in a tombstone.
std::size_t EncodeRecord(const Record& record, std::uint32_t seed, std::span<std::byte> out);

// Length of the record that starts at `bytes`, judged by its header alone, or 0 if no
// valid header is there or fewer than kRecordHeaderBytes are given. It may reach beyond
// `bytes`. Nothing in it may be believed before DecodeRecord.
inline std::size_t PeekRecordBytes(std::span<const std::byte> bytes);

// The record at the front of `bytes`, whose views point into it; empty unless it lies in
// `bytes` as a whole and the checksum and every field verify. `*record_bytes` is its length
// if it does, and untouched otherwise.
std::optional<Record> DecodeRecord(std::span<const std::byte> bytes, std::uint32_t seed,
                                   std::size_t* record_bytes = nullptr);
// The same into `record`, which means nothing after `false`.
bool DecodeRecord(std::span<const std::byte> bytes, std::uint32_t seed, Record& record,
                  std::size_t* record_bytes = nullptr);

// Adds an encoded record, which begins with its checksum, to the running CRC over the
// checksums of a segment's records (SealedSegment::records_crc, HintHeader::records_crc),
// which starts at 0.
inline std::uint32_t ExtendRecordsCrc(std::uint32_t records_crc,
                                      std::span<const std::byte> record) {
  return base::Crc32c(records_crc, record.first(sizeof(std::uint32_t)));
}

// The key of a record that has not been verified yet; empty if the header makes no sense
// or the key reaches beyond `bytes`. For the index's comparison, before the checksum is
// paid for.
inline std::string_view PeekKey(std::span<const std::byte> bytes);

// The fixed part of a record as stored, unverified.
struct RawRecordHeader {
  std::uint32_t checksum;
  std::uint32_t value_length;
  std::uint64_t sequence;
  std::uint32_t key_length;
  std::uint8_t flags;

  // `bytes` points to at least kRecordHeaderBytes.
  static RawRecordHeader Load(const std::byte* bytes) {
    const auto key_and_flags = base::Load<std::uint32_t>(bytes + 16);
    return {.checksum = base::Load<std::uint32_t>(bytes),
            .value_length = base::Load<std::uint32_t>(bytes + 4),
            .sequence = base::Load<std::uint64_t>(bytes + 8),
            .key_length = key_and_flags & 0xFFFFFF,
            .flags = static_cast<std::uint8_t>(key_and_flags >> 24)};
  }

  // Whether a record could say this. Without short circuits: one branch at the caller.
  bool Plausible() const {
    const bool length_off = (key_length - 1U >= kMaxKeyBytes) | (value_length > kMaxValueBytes);
    const bool tombstone_with_value = ((flags & kTombstone) != 0) & (value_length != 0);
    return !(length_off | ((flags & ~kKnownRecordFlags) != 0) | (sequence == 0) |
             tombstone_with_value);
  }

  std::size_t KeyOffset() const {
    return kRecordHeaderBytes + ((flags & kHasExpiry) != 0 ? 8U : 0U) +
           ((flags & kHasWatermark) != 0 ? 8U : 0U);
  }
  std::size_t UnpaddedBytes() const { return KeyOffset() + key_length + value_length; }
};

inline std::size_t PeekRecordBytes(std::span<const std::byte> bytes) {
  if (bytes.size() < kRecordHeaderBytes) return 0;
  const RawRecordHeader header = RawRecordHeader::Load(bytes.data());
  return header.Plausible() ? base::RoundUp(header.UnpaddedBytes(), kRecordAlignment) : 0;
}

inline std::string_view PeekKey(std::span<const std::byte> bytes) {
  if (bytes.size() < kRecordHeaderBytes) return {};
  const RawRecordHeader header = RawRecordHeader::Load(bytes.data());
  if (!header.Plausible() || header.KeyOffset() + header.key_length > bytes.size()) return {};
  return base::AsChars({bytes.data() + header.KeyOffset(), header.key_length});
}

}  // namespace freyja::format
