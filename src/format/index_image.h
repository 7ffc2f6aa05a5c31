// The head of an index image: what an index was when its store was closed, and over which
// segments. The slots of its pages follow, as they lay in memory. Pure bytes; no I/O.
//
//   preamble | fixed fields | segments, 56 bytes each | pages, 8 bytes each | zero padding |
//   checksum || the slots of the pages, page after page, 64 bytes a line
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "format/ids.h"
#include "freyja/status.h"

namespace freyja::format {

inline constexpr std::size_t kIndexImageFixedBytes = 64;
inline constexpr std::size_t kIndexLineBytes = 64;

// A segment to which locations point: its number in the list is their segment slot.
struct ImagedSegment {
  std::uint64_t id = 0;
  std::uint64_t nonce = 0;
  std::uint64_t data_bytes = 0;  // behind its last record
  std::uint64_t record_count = 0;
  std::uint32_t records_crc = 0;  // running CRC over its records' checksums
  std::uint64_t live_records = 0;
  std::uint64_t live_bytes = 0;
  friend bool operator==(const ImagedSegment&, const ImagedSegment&) = default;
};

// Pages lie in the order of the hashes that they hold, without a gap.
struct ImagedPage {
  std::uint32_t lines = 0;     // 1 to 65535
  std::uint32_t depth = 0;     // how many of the hash's top bits its keys share, 0 to 63
  std::uint32_t checksum = 0;  // CRC-32C of its slots
  friend bool operator==(const ImagedPage&, const ImagedPage&) = default;
};

struct IndexImageHead {
  StoreUuid store = {};
  std::uint64_t generation = 0;  // of the manifest that says that the store was closed so
  std::vector<ImagedSegment> segments = {};
  std::vector<ImagedPage> pages = {};
  friend bool operator==(const IndexImageHead&, const IndexImageHead&) = default;

  // Where the slots of the first page begin; a multiple of 64.
  std::uint64_t bytes() const;
  std::uint64_t file_bytes() const;
};

std::vector<std::byte> EncodeIndexImageHead(const IndexImageHead& head);

// What the first kIndexImageFixedBytes say: whether to read on, and how far. Its checksum is
// that of the whole head.
struct IndexImagePrefix {
  StoreUuid store = {};
  std::uint64_t generation = 0;
  std::uint64_t file_bytes = 0;
  std::uint32_t segments = 0;
  std::uint32_t pages = 0;

  std::uint64_t head_bytes() const;
};
// kCorruption, or kUnsupported for a newer format version.
Result<IndexImagePrefix> DecodeIndexImagePrefix(std::span<const std::byte> bytes);
// `bytes`: exactly the head. kCorruption also if the pages leave a gap or overlap.
Result<IndexImageHead> DecodeIndexImageHead(std::span<const std::byte> bytes);

}  // namespace freyja::format
