#include "support/versioned_value.h"

#include <array>

#include "base/bytes.h"
#include "base/crc32c.h"

namespace freyja::testing {

namespace {

constexpr std::size_t kFixedBytes = 20;

std::size_t PaddingOf(std::uint32_t key, std::uint64_t version) {
  return (key * 7 + version * 13) % 180;
}

}  // namespace

std::string MakeVersionedValue(std::uint32_t key, std::uint64_t version) {
  std::array<std::byte, kFixedBytes> fixed{};
  base::Store(fixed.data(), std::uint64_t{key});
  base::Store(fixed.data() + 8, version);
  base::Store(fixed.data() + 16, base::Crc32c(0, std::span(fixed).first(16)));
  std::string value(base::AsChars(fixed));
  value.append(PaddingOf(key, version), static_cast<char>('a' + version % 26));
  return value;
}

std::optional<std::uint64_t> ReadVersion(std::uint32_t key, std::string_view value) {
  if (value.size() < kFixedBytes) return std::nullopt;
  const std::uint64_t version = base::Load<std::uint64_t>(base::AsBytes(value).data() + 8);
  if (value != MakeVersionedValue(key, version)) return std::nullopt;
  return version;
}

}  // namespace freyja::testing
