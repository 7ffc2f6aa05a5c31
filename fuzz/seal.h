// Puts right checksums into damaged or made-up structures, so that what is behind the
// checksums is fuzzed, too.
#pragma once

#include <cstddef>
#include <span>
#include <string_view>

#include "base/bytes.h"
#include "base/crc32c.h"
#include "format/preamble.h"

namespace freyja::fuzz {

// The checksum of everything before `offset`, at `offset`.
inline void SealAt(std::span<std::byte> bytes, std::size_t offset) {
  if (bytes.size() < offset + sizeof(std::uint32_t)) return;
  base::Store(bytes.data() + offset, base::Crc32c(0, bytes.first(offset)));
}

// Magic, version and their checksum.
inline void PutPreamble(std::span<std::byte> bytes, std::string_view magic) {
  if (bytes.size() < format::kPreambleBytes) return;
  format::EncodePreamble(magic, bytes.first<format::kPreambleBytes>());
}

}  // namespace freyja::fuzz
