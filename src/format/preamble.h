// The first kPreambleBytes of every file with a header: magic (8 bytes), format version
// (u32), CRC-32C of those twelve (u32). A checksum of its own, so that a file of a newer
// format is told from a damaged one before anything else in it is understood.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "freyja/status.h"

namespace freyja::format {

inline constexpr std::size_t kPreambleBytes = 16;
inline constexpr std::size_t kMagicBytes = 8;

inline constexpr std::string_view kSegmentMagic = "FREYJSEG";
inline constexpr std::string_view kHintMagic = "FREYJHNT";
inline constexpr std::string_view kManifestMagic = "FREYJMAN";
inline constexpr std::string_view kIndexImageMagic = "FREYJIDX";

// Writes `magic` (kMagicBytes long) and kFormatVersion.
void EncodePreamble(std::string_view magic, std::span<std::byte, kPreambleBytes> out);

// Whether `bytes` starts with a preamble this build can read on from. kCorruption: too
// short, wrong magic, damaged, or a version that never existed. kUnsupported: intact and of
// a newer version. Messages start with `what`, the structure's name.
Status CheckPreamble(std::string_view magic, std::string_view what,
                     std::span<const std::byte> bytes);

// kCorruption with the message "<what>: <problem>".
Status Damaged(std::string_view what, std::string_view problem);

}  // namespace freyja::format
