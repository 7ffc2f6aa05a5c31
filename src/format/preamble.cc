#include "format/preamble.h"

#include <cstring>
#include <string>

#include "base/bytes.h"
#include "base/crc32c.h"
#include "format/ids.h"

namespace freyja::format {
namespace {

constexpr std::size_t kVersionOffset = kMagicBytes;
constexpr std::size_t kChecksumOffset = kVersionOffset + sizeof(std::uint32_t);

}  // namespace

void EncodePreamble(std::string_view magic, std::span<std::byte, kPreambleBytes> out) {
  std::memcpy(out.data(), magic.data(), kMagicBytes);
  base::Store(out.data() + kVersionOffset, kFormatVersion);
  base::Store(out.data() + kChecksumOffset, base::Crc32c(0, out.first<kChecksumOffset>()));
}

Status CheckPreamble(std::string_view magic, std::string_view what,
                     std::span<const std::byte> bytes) {
  if (bytes.size() < kPreambleBytes) {
    return Damaged(what, "only " + std::to_string(bytes.size()) + " bytes, too short for a header");
  }
  if (base::AsChars(bytes.first(kMagicBytes)) != magic) {
    return Damaged(what, "wrong magic bytes at offset 0");
  }
  if (base::Load<std::uint32_t>(bytes.data() + kChecksumOffset) !=
      base::Crc32c(0, bytes.first(kChecksumOffset))) {
    return Damaged(what, "checksum of the format version at offset 8 does not match");
  }
  const auto version = base::Load<std::uint32_t>(bytes.data() + kVersionOffset);
  if (version > kFormatVersion) {
    return {StatusCode::kUnsupported, std::string(what) + ": format version " +
                                          std::to_string(version) + " is newer than version " +
                                          std::to_string(kFormatVersion) +
                                          ", the newest this build can read"};
  }
  if (version == 0) return Damaged(what, "format version 0 does not exist");
  return Status::Ok();
}

Status Damaged(std::string_view what, std::string_view problem) {
  return {StatusCode::kCorruption, std::string(what).append(": ").append(problem)};
}

}  // namespace freyja::format
