#include "format/index_image.h"

#include <string>

#include "base/bytes.h"
#include "base/crc32c.h"
#include "base/status_macros.h"
#include "format/preamble.h"

namespace freyja::format {
namespace {

constexpr std::string_view kWhat = "index image";

// Offsets and sizes; docs/file_format.md has the table.
constexpr std::size_t kFileBytes = 16;
constexpr std::size_t kGeneration = 24;
constexpr std::size_t kStoreHigh = 32;
constexpr std::size_t kStoreLow = 40;
constexpr std::size_t kSegmentCount = 48;
constexpr std::size_t kPageCount = 52;
constexpr std::size_t kZero = 56;
constexpr std::uint64_t kSegmentBytes = 56;
constexpr std::uint64_t kPageBytes = 8;
constexpr std::uint32_t kMaxDepth = 63;

// Can't overflow: two 32-bit counts times at most 56.
std::uint64_t HeadBytes(std::uint64_t segments, std::uint64_t pages) {
  return base::RoundUp<std::uint64_t>(
      kIndexImageFixedBytes + segments * kSegmentBytes + pages * kPageBytes + sizeof(std::uint32_t),
      kIndexLineBytes);
}

// The pages' ranges of hashes follow each other, from 0 through the highest one.
bool PagesTile(const std::vector<ImagedPage>& pages) {
  std::uint64_t next = 0;
  bool complete = false;
  for (const ImagedPage& page : pages) {
    const std::uint64_t last_of_first = ~std::uint64_t{0} >> page.depth;
    if (complete || (next & last_of_first) != 0) return false;
    next += last_of_first + 1;
    complete = next == 0;
  }
  return complete;
}

}  // namespace

std::uint64_t IndexImageHead::bytes() const { return HeadBytes(segments.size(), pages.size()); }

std::uint64_t IndexImageHead::file_bytes() const {
  std::uint64_t total = bytes();
  for (const ImagedPage& page : pages) total += std::uint64_t{page.lines} * kIndexLineBytes;
  return total;
}

std::vector<std::byte> EncodeIndexImageHead(const IndexImageHead& head) {
  std::vector<std::byte> bytes(head.bytes());
  std::byte* const start = bytes.data();
  EncodePreamble(kIndexImageMagic, std::span(bytes).first<kPreambleBytes>());
  base::Store(start + kFileBytes, head.file_bytes());
  base::Store(start + kGeneration, head.generation);
  base::Store(start + kStoreHigh, head.store.high);
  base::Store(start + kStoreLow, head.store.low);
  base::Store(start + kSegmentCount, static_cast<std::uint32_t>(head.segments.size()));
  base::Store(start + kPageCount, static_cast<std::uint32_t>(head.pages.size()));
  std::byte* at = start + kIndexImageFixedBytes;
  for (const ImagedSegment& segment : head.segments) {
    base::Store(at, segment.id);
    base::Store(at + 8, segment.nonce);
    base::Store(at + 16, segment.data_bytes);
    base::Store(at + 24, segment.record_count);
    base::Store(at + 32, segment.records_crc);
    base::Store(at + 40, segment.live_records);
    base::Store(at + 48, segment.live_bytes);
    at += kSegmentBytes;
  }
  for (const ImagedPage& page : head.pages) {
    base::Store(at, static_cast<std::uint16_t>(page.lines));
    base::Store(at + 2, static_cast<std::uint16_t>(page.depth));
    base::Store(at + 4, page.checksum);
    at += kPageBytes;
  }
  const auto covered = std::span(bytes).first(bytes.size() - sizeof(std::uint32_t));
  base::Store(start + covered.size(), base::Crc32c(0, covered));
  return bytes;
}

std::uint64_t IndexImagePrefix::head_bytes() const { return HeadBytes(segments, pages); }

Result<IndexImagePrefix> DecodeIndexImagePrefix(std::span<const std::byte> bytes) {
  FREYJA_RETURN_IF_ERROR(CheckPreamble(kIndexImageMagic, kWhat, bytes));
  if (bytes.size() < kIndexImageFixedBytes) {
    return std::unexpected(
        Damaged(kWhat, "only " + std::to_string(bytes.size()) + " bytes, too short"));
  }
  const std::byte* const start = bytes.data();
  if (base::Load<std::uint64_t>(start + kZero) != 0) {
    return std::unexpected(Damaged(kWhat, "bytes at offset 56 are not zero"));
  }
  return IndexImagePrefix{.store = {.high = base::Load<std::uint64_t>(start + kStoreHigh),
                                    .low = base::Load<std::uint64_t>(start + kStoreLow)},
                          .generation = base::Load<std::uint64_t>(start + kGeneration),
                          .file_bytes = base::Load<std::uint64_t>(start + kFileBytes),
                          .segments = base::Load<std::uint32_t>(start + kSegmentCount),
                          .pages = base::Load<std::uint32_t>(start + kPageCount)};
}

Result<IndexImageHead> DecodeIndexImageHead(std::span<const std::byte> bytes) {
  FREYJA_ASSIGN_OR_RETURN(const IndexImagePrefix prefix, DecodeIndexImagePrefix(bytes));
  if (prefix.head_bytes() != bytes.size()) {
    return std::unexpected(Damaged(kWhat, "the head has another length than it says"));
  }
  const auto covered = bytes.first(bytes.size() - sizeof(std::uint32_t));
  if (base::Load<std::uint32_t>(bytes.data() + covered.size()) != base::Crc32c(0, covered)) {
    return std::unexpected(Damaged(kWhat, "checksum of the head does not match"));
  }
  IndexImageHead head;
  head.store = prefix.store;
  head.generation = prefix.generation;
  head.segments.resize(prefix.segments);
  head.pages.resize(prefix.pages);
  const std::byte* at = bytes.data() + kIndexImageFixedBytes;
  for (ImagedSegment& segment : head.segments) {
    segment = {.id = base::Load<std::uint64_t>(at),
               .nonce = base::Load<std::uint64_t>(at + 8),
               .data_bytes = base::Load<std::uint64_t>(at + 16),
               .record_count = base::Load<std::uint64_t>(at + 24),
               .records_crc = base::Load<std::uint32_t>(at + 32),
               .live_records = base::Load<std::uint64_t>(at + 40),
               .live_bytes = base::Load<std::uint64_t>(at + 48)};
    if (base::Load<std::uint32_t>(at + 36) != 0) {
      return std::unexpected(Damaged(kWhat, "bytes in a segment's entry are not zero"));
    }
    at += kSegmentBytes;
  }
  for (ImagedPage& page : head.pages) {
    page = {.lines = base::Load<std::uint16_t>(at),
            .depth = base::Load<std::uint16_t>(at + 2),
            .checksum = base::Load<std::uint32_t>(at + 4)};
    if (page.lines == 0 || page.depth > kMaxDepth) {
      return std::unexpected(Damaged(kWhat, "a page of impossible size or depth"));
    }
    at += kPageBytes;
  }
  for (; at != bytes.data() + covered.size(); ++at) {
    if (*at != std::byte{0}) return std::unexpected(Damaged(kWhat, "padding is not zero"));
  }
  if (!PagesTile(head.pages)) {
    return std::unexpected(Damaged(kWhat, "its pages leave a gap or overlap"));
  }
  if (head.file_bytes() != prefix.file_bytes) {
    return std::unexpected(Damaged(kWhat, "its pages do not add up to its length"));
  }
  return head;
}

}  // namespace freyja::format
