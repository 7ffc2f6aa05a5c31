// CRC-32C (Castagnoli), as in RFC 3720 (iSCSI).
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace freyja::base {

// Checksum of the bytes whose checksum is `crc` followed by `data`.
// Crc32c(0, "123456789") == 0xE3069283.
std::uint32_t Crc32c(std::uint32_t crc, std::span<const std::byte> data);

}  // namespace freyja::base
