#include "format/segment_header.h"

#include "base/bytes.h"
#include "base/crc32c.h"
#include "base/status_macros.h"
#include "format/preamble.h"

namespace freyja::format {
namespace {

constexpr std::string_view kWhat = "segment header";

// Offsets; docs/file_format.md has the table.
constexpr std::size_t kStoreHigh = 16;
constexpr std::size_t kStoreLow = 24;
constexpr std::size_t kId = 32;
constexpr std::size_t kNonce = 40;
constexpr std::size_t kGeneration = 48;
constexpr std::size_t kZero = 56;
constexpr std::size_t kChecksum = 60;

}  // namespace

void EncodeSegmentHeader(const SegmentHeader& header,
                         std::span<std::byte, kSegmentHeaderBytes> out) {
  EncodePreamble(kSegmentMagic, out.first<kPreambleBytes>());
  std::byte* const start = out.data();
  base::Store(start + kStoreHigh, header.identity.store.high);
  base::Store(start + kStoreLow, header.identity.store.low);
  base::Store(start + kId, header.identity.id);
  base::Store(start + kNonce, header.identity.nonce);
  base::Store(start + kGeneration, header.generation);
  base::Store(start + kZero, std::uint32_t{0});
  base::Store(start + kChecksum, base::Crc32c(0, out.first<kChecksum>()));
}

Result<SegmentHeader> DecodeSegmentHeader(std::span<const std::byte> bytes) {
  FREYJA_RETURN_IF_ERROR(CheckPreamble(kSegmentMagic, kWhat, bytes));
  if (bytes.size() < kSegmentHeaderBytes) {
    return std::unexpected(Damaged(kWhat, "ends early, after " + std::to_string(bytes.size()) +
                                              " of " + std::to_string(kSegmentHeaderBytes) +
                                              " bytes"));
  }
  const std::byte* const start = bytes.data();
  if (base::Load<std::uint32_t>(start + kChecksum) != base::Crc32c(0, bytes.first(kChecksum))) {
    return std::unexpected(Damaged(kWhat, "checksum does not match"));
  }
  if (base::Load<std::uint32_t>(start + kZero) != 0) {
    return std::unexpected(Damaged(kWhat, "bytes at offset 56 are not zero"));
  }
  SegmentHeader header;
  header.identity.store.high = base::Load<std::uint64_t>(start + kStoreHigh);
  header.identity.store.low = base::Load<std::uint64_t>(start + kStoreLow);
  header.identity.id = base::Load<std::uint64_t>(start + kId);
  header.identity.nonce = base::Load<std::uint64_t>(start + kNonce);
  header.generation = base::Load<std::uint64_t>(start + kGeneration);
  if (header.identity.id == 0) {
    return std::unexpected(Damaged(kWhat, "segment id 0 does not exist"));
  }
  return header;
}

}  // namespace freyja::format
