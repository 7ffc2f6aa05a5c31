// The first kSegmentHeaderBytes of a data file.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "format/ids.h"
#include "freyja/status.h"

namespace freyja::format {

// Records start here. A multiple of 8.
inline constexpr std::size_t kSegmentHeaderBytes = 64;

struct SegmentHeader {
  SegmentIdentity identity = {};
  // Last durable manifest generation when the segment was created: a segment whose
  // generation is above the manifest's shows that an older manifest was put back.
  std::uint64_t generation = 0;
};

void EncodeSegmentHeader(const SegmentHeader& header,
                         std::span<std::byte, kSegmentHeaderBytes> out);
// kCorruption: too short, wrong magic, damaged. kUnsupported: a newer format version.
// Messages say what is wrong, without the file's name (the caller has it).
Result<SegmentHeader> DecodeSegmentHeader(std::span<const std::byte> bytes);

}  // namespace freyja::format
