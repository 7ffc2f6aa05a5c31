#include "versioned_values.h"

#include <xxhash.h>

#include <algorithm>
#include <cstring>

#include "keys_values.h"

namespace freyja::bench {

namespace {

constexpr std::size_t kWord = sizeof(std::uint64_t);
constexpr std::size_t kHead = 2 * kWord;

std::uint64_t WordAt(std::string_view value, std::size_t offset) {
  std::uint64_t word = 0;
  std::memcpy(&word, value.data() + offset, kWord);
  return word;
}

std::uint64_t ChecksumOf(std::string_view value) {
  return XXH3_64bits(value.data(), value.size() - kWord);
}

}  // namespace

VersionedValue::VersionedValue(std::size_t bytes)
    : value_(std::max(bytes, kFewestVersionedBytes), '\0') {}

std::string_view VersionedValue::Make(std::uint64_t key, std::uint64_t version) {
  const auto put = [&](std::size_t offset, std::uint64_t word, std::size_t bytes) {
    std::memcpy(value_.data() + offset, &word, bytes);
  };
  put(0, key, kWord);
  put(kWord, version, kWord);
  const std::size_t end = value_.size() - kWord;
  std::uint64_t filler = Mix(key * 0x9e3779b97f4a7c15 + version);
  for (std::size_t at = kHead; at < end; at += kWord) put(at, filler++, std::min(kWord, end - at));
  put(end, ChecksumOf(value_), kWord);
  return value_;
}

std::optional<std::uint64_t> VersionOf(std::string_view value, std::uint64_t key) {
  if (value.size() < kFewestVersionedBytes || WordAt(value, 0) != key) return std::nullopt;
  if (WordAt(value, value.size() - kWord) != ChecksumOf(value)) return std::nullopt;
  return WordAt(value, kWord);
}

Verdict VersionTable::Judge(std::uint64_t key, std::uint64_t acknowledged_before, bool found,
                            std::string_view value) const {
  if (!found) return acknowledged_before == 0 ? Verdict::kFine : Verdict::kMissed;
  const std::optional<std::uint64_t> version = VersionOf(value, key);
  if (!version || *version == 0 || *version > begun_[key].load()) return Verdict::kCorrupt;
  return *version < acknowledged_before ? Verdict::kStale : Verdict::kFine;
}

}  // namespace freyja::bench
