// One record: a put or a tombstone as bytes in a segment.
//
//   0  u32 checksum        CRC-32C of everything after it, padding included, seeded
//                          with SegmentIdentity::ChecksumSeed()
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
inline constexpr std::size_t kMaxRecordOverheadBytes = kRecordHeaderBytes + 16 + kRecordAlignment - 1;

struct Record {
  std::uint64_t sequence = 0;
  std::uint64_t expires_at_ms = 0;  // 0: never
  std::optional<std::uint64_t> watermark;
  std::string_view key;
  std::string_view value;  // empty for a tombstone
  bool is_tombstone = false;
  bool begins_batch = false;
  bool ends_batch = false;
};

// Bytes the record takes in a segment, padding included.
std::size_t EncodedRecordBytes(const Record& record);

// Writes the record to the front of `out`, which holds at least EncodedRecordBytes.
// Returns that number.
std::size_t EncodeRecord(const Record& record, std::uint32_t seed, std::span<std::byte> out);

// Length of the record that starts at `bytes`, judged by its header alone, or 0 if no
// valid header is there or fewer than kRecordHeaderBytes are given. Nothing in it may be
// believed before DecodeRecord.
std::size_t PeekRecordBytes(std::span<const std::byte> bytes);

// The record at the front of `bytes`, whose views point into it; empty unless the
// checksum and every field verify. `*record_bytes` is its length if it does.
std::optional<Record> DecodeRecord(std::span<const std::byte> bytes, std::uint32_t seed,
                                   std::size_t* record_bytes = nullptr);

// The key of a record that has not been verified yet, clamped to `bytes`; empty if the
// header makes no sense. For the index's comparison, before the checksum is paid for.
std::string_view PeekKey(std::span<const std::byte> bytes);

}  // namespace freyja::format
