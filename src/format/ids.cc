#include "format/ids.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

#include <charconv>
#include <span>

#include "base/bytes.h"
#include "base/crc32c.h"

namespace freyja::format {
namespace {

constexpr std::string_view kDataSuffix = ".data";
constexpr std::string_view kHintSuffix = ".hint";

}  // namespace

std::uint32_t SegmentIdentity::ChecksumSeed() const {
  std::array<std::byte, 32> bytes;
  base::Store(bytes.data(), store.high);
  base::Store(bytes.data() + 8, store.low);
  base::Store(bytes.data() + 16, id);
  base::Store(bytes.data() + 24, nonce);
  return base::Crc32c(0, bytes);
}

std::string DataFileName(std::uint64_t segment_id) {
  return std::to_string(segment_id).append(kDataSuffix);
}

std::string HintFileName(std::uint64_t segment_id) {
  return std::to_string(segment_id).append(kHintSuffix);
}

ParsedFileName ParseFileName(std::string_view name) {
  ParsedFileName parsed;
  if (name.ends_with(kDataSuffix)) {
    parsed.kind = FileKind::kData;
  } else if (name.ends_with(kHintSuffix)) {
    parsed.kind = FileKind::kHint;
  } else {
    return {};
  }
  static_assert(kDataSuffix.size() == kHintSuffix.size());
  const std::string_view digits = name.substr(0, name.size() - kDataSuffix.size());
  // A leading zero would give one segment two names, and ids start at 1.
  if (digits.empty() || digits.front() == '0') return {};
  const char* const end = digits.data() + digits.size();
  const auto [stop, error] = std::from_chars(digits.data(), end, parsed.segment_id);
  if (error != std::errc() || stop != end) return {};
  return parsed;
}

KeyHash HashKey(std::string_view key, std::uint64_t seed) {
  const XXH128_hash_t hash = XXH3_128bits_withSeed(key.data(), key.size(), seed);
  return {.low = hash.low64, .high = hash.high64};
}

}  // namespace freyja::format
