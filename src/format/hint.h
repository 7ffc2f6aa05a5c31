// The hint of a sealed segment: an entry for every record, dead ones and tombstones
// included, then a Bloom filter over all their keys. Pure bytes; no I/O.
//
//   header (kHintHeaderBytes, own checksum) | entries, 32 bytes each, in file order |
//   entries' CRC-32C (u32) + u32 zero | filter | filter's CRC-32C (u32) + u32 zero
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "base/buffer.h"
#include "base/bytes.h"
#include "format/ids.h"
#include "freyja/status.h"

namespace freyja::format {

inline constexpr std::size_t kHintHeaderBytes = 96;
inline constexpr std::size_t kHintEntryBytes = 32;

// The last word of an entry: length in units, then these.
inline constexpr std::size_t kHintEntryPacked = 28;
inline constexpr std::uint32_t kHintLengthMask = (1U << 27) - 1;
inline constexpr std::uint32_t kHintTombstoneBit = 1U << 30;
inline constexpr std::uint32_t kHintExpiryBit = 1U << 31;

struct HintEntry {
  KeyHash hash = {};
  std::uint64_t sequence = 0;
  std::uint32_t offset_units = 0;  // offset in the data file / 8
  std::uint32_t length_units = 0;  // record length / 8, below 2^27
  bool is_tombstone = false;
  bool has_expiry = false;
  friend bool operator==(const HintEntry&, const HintEntry&) = default;
};

// Binds a hint to exactly one state of one data file.
struct HintHeader {
  SegmentIdentity identity = {};
  std::uint64_t data_bytes = 0;   // exact length of the data file's content
  std::uint32_t records_crc = 0;  // running CRC over the records' checksums
  std::uint64_t record_count = 0;
  std::uint64_t filter_bytes = 0;
  friend bool operator==(const HintHeader&, const HintHeader&) = default;
};

// Offsets of the parts of a hint file, from its header.
struct HintLayout {
  std::uint64_t entries_offset = 0;
  std::uint64_t entries_bytes = 0;  // without the checksum
  std::uint64_t filter_offset = 0;
  std::uint64_t filter_bytes = 0;
  std::uint64_t file_bytes = 0;
};
HintLayout LayoutOf(const HintHeader& header);

void EncodeHintEntry(const HintEntry& entry, std::span<std::byte, kHintEntryBytes> out);
// Here, because an open does it for every record of the store.
inline HintEntry DecodeHintEntry(std::span<const std::byte, kHintEntryBytes> bytes) {
  const auto packed = base::Load<std::uint32_t>(bytes.data() + kHintEntryPacked);
  return {.hash = {.low = base::Load<std::uint64_t>(bytes.data()),
                   .high = base::Load<std::uint64_t>(bytes.data() + 8)},
          .sequence = base::Load<std::uint64_t>(bytes.data() + 16),
          .offset_units = base::Load<std::uint32_t>(bytes.data() + 24),
          .length_units = packed & kHintLengthMask,
          .is_tombstone = (packed & kHintTombstoneBit) != 0,
          .has_expiry = (packed & kHintExpiryBit) != 0};
}

// The entries of a hint that has been verified, decoded when asked for. A view of its bytes.
class HintEntries {
 public:
  std::size_t size() const { return bytes_.size() / kHintEntryBytes; }
  HintEntry operator[](std::size_t i) const {
    return DecodeHintEntry(bytes_.subspan(i * kHintEntryBytes).first<kHintEntryBytes>());
  }
  std::vector<HintEntry> Copy() const;

 private:
  friend Result<HintEntries> DecodeHintEntries(const HintHeader& header,
                                               std::span<const std::byte> bytes);
  explicit HintEntries(std::span<const std::byte> bytes) : bytes_(bytes) {}

  std::span<const std::byte> bytes_;
};

// What stands around the entries of a hint, made while they go by, so that nobody needs to hold
// a whole hint. Not thread-safe.
class HintFrame {
 public:
  // A complete header, as of the entries to come.
  explicit HintFrame(const HintHeader& header);

  // Whole entries as EncodeHintEntry makes them, in file order, in pieces of any length.
  void Add(std::span<const std::byte> entries);
  const HintLayout& layout() const { return layout_; }
  // What goes before the entries.
  std::span<const std::byte> Head() const { return head_; }
  // What goes behind them, once all have been added.
  std::span<const std::byte> Tail();

 private:
  std::span<std::byte> Filter();

  const HintLayout layout_;
  const std::array<std::byte, kHintHeaderBytes> head_;
  std::uint32_t entries_crc_;
  base::PassingBuffer tail_;  // the filter, with room for the checksums
};

// A whole hint file. `header.record_count` and `header.filter_bytes` are set from `entries`.
std::vector<std::byte> EncodeHint(HintHeader header, std::span<const HintEntry> entries);
// kCorruption, or kUnsupported for a newer format version.
Result<HintHeader> DecodeHintHeader(std::span<const std::byte> bytes);
// Checks the checksum behind the entries, and each of them. `bytes`: entries_bytes + 8 from
// entries_offset, which must outlive what is returned.
Result<HintEntries> DecodeHintEntries(const HintHeader& header, std::span<const std::byte> bytes);
// Checks the checksum behind the filter. `bytes`: filter_bytes + 8 from filter_offset.
Result<std::vector<std::byte>> DecodeHintFilter(const HintHeader& header,
                                                std::span<const std::byte> bytes);

}  // namespace freyja::format
