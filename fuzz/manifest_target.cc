// The manifest: it is refused with a reason, or says exactly its bytes.
//
// The first byte of the input chooses what is put right before decoding: the preamble, the
// length and the zeros before the checksum, the counts of segments (from the next three
// bytes, with the file resized to hold them; quarantined segments are of one job), the checksum.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <set>
#include <vector>

#include "base/bytes.h"
#include "format/manifest.h"
#include "fuzz/input.h"
#include "fuzz/property.h"
#include "fuzz/seal.h"
#include "fuzz/targets.h"

namespace freyja::fuzz {

namespace {

constexpr std::size_t kLength = 16;
constexpr std::size_t kCounts = 96;
constexpr std::size_t kFixed = 120;
constexpr std::size_t kJobCounts = 112;
constexpr std::size_t kTrailer = 8;

void PutCounts(Input& in, std::vector<std::byte>& bytes) {
  const std::uint32_t log = in.Below(4);
  const std::uint32_t sealed = in.Below(4);
  const std::uint32_t quarantined = in.Below(3);
  const std::vector<std::byte> rest = in.Rest();
  const std::size_t job = kFixed + log * 16 + sealed * 80;
  bytes.assign(job + (quarantined != 0 ? 24 + 80 * quarantined + 8 : 0) + kTrailer, std::byte{0});
  std::ranges::copy(Bytes(rest).first(std::min(rest.size(), bytes.size())), bytes.begin());
  base::Store(bytes.data() + kCounts, log);
  base::Store(bytes.data() + kCounts + 4, sealed);
  base::Store(bytes.data() + kCounts + 8, quarantined);
  base::Store(bytes.data() + kJobCounts, std::uint64_t{0});
  if (quarantined == 0) return;
  const auto one_of_each = std::uint64_t{1} << 32 | 1;
  base::Store(bytes.data() + kJobCounts, one_of_each);
  base::Store(bytes.data() + job + 16, std::uint64_t{1} << 32 | quarantined);
}

void CheckIds(const format::Manifest& manifest) {
  std::set<std::uint64_t> ids;
  const auto take = [&](std::uint64_t id) {
    Expect(ids.insert(id).second, "an id is listed twice");
    Expect(id != 0 && id <= manifest.reserved_id, "an id that was never given out");
  };
  for (const auto& segment : manifest.log) take(segment.id);
  manifest.ForEachSealedOrQuarantined([&](const auto& segment) { take(segment.id); });
}

}  // namespace

void FuzzManifest(Bytes data) {
  Input in(data);
  const unsigned choice = in.U8();
  std::vector<std::byte> bytes;
  if ((choice & 8) != 0) {
    PutCounts(in, bytes);
  } else {
    bytes = in.Rest();
  }
  if ((choice & 1) != 0) PutPreamble(bytes, format::kManifestMagic);
  if ((choice & 2) != 0 && bytes.size() >= kFixed + kTrailer) {
    base::Store(bytes.data() + kLength, std::uint64_t{bytes.size()});
    base::Store(bytes.data() + bytes.size() - kTrailer, std::uint32_t{0});
  }
  if ((choice & 4) != 0 && bytes.size() >= 4) SealAt(bytes, bytes.size() - 4);

  const auto manifest = format::DecodeManifest(bytes);
  if (!manifest) {
    Expect(manifest.error().code() == StatusCode::kCorruption ||
               manifest.error().code() == StatusCode::kUnsupported,
           "refused with the wrong code");
    Expect(!manifest.error().message().empty(), "refused without a reason");
    return;
  }
  Expect(format::EncodeManifest(*manifest) == bytes, "encoded as other bytes");
  CheckIds(*manifest);
  bytes.push_back(std::byte{0});
  Expect(!format::DecodeManifest(bytes), "decoded with a byte too many");
  bytes.resize(bytes.size() - 2);
  Expect(!format::DecodeManifest(bytes), "decoded with a byte too few");
}

}  // namespace freyja::fuzz
