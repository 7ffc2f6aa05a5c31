// Records: what decodes is what was encoded, within its bytes, and in no other way.
//
// The input is a seed selector, two bytes that choose a cut and a flipped bit, and records as
// raw bytes. Each is tried as it is and with the right checksum put in, which is how the
// fuzzer gets at the checks behind it. Properties, for every record with a right checksum:
// - it is refused only for padding that isn't zero or an expiry of 0 (the rest is judged
//   before the checksum);
// - its length is the one PeekRecordBytes said, its views lie in its bytes, and encoding it
//   again gives the same bytes;
// - cut short by any length, or with any bit flipped, it does not decode.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "base/bytes.h"
#include "base/crc32c.h"
#include "format/record.h"
#include "fuzz/input.h"
#include "fuzz/property.h"
#include "fuzz/targets.h"

namespace freyja::fuzz {

namespace {

using format::DecodeRecord;
using format::Record;

bool LiesIn(std::string_view part, Bytes whole) {
  const std::string_view chars = base::AsChars(whole);
  return part.data() >= chars.data() && part.data() + part.size() <= chars.data() + chars.size();
}

void CheckDecoded(const Record& record, std::size_t length, Bytes bytes, std::uint32_t seed) {
  Expect(length <= bytes.size(), "the record is longer than the input");
  Expect(length % format::kRecordAlignment == 0 && length >= format::kMinRecordBytes,
         "impossible record length");
  Expect(LiesIn(record.key, bytes) && LiesIn(record.value, bytes), "a view outside the input");
  Expect(!record.key.empty() && record.sequence != 0, "a record without key or number");
  Expect(!record.is_tombstone || record.value.empty(), "a tombstone with a value");
  Expect(format::EncodedRecordBytes(record) == length, "another length when encoded");
  Expect(format::PeekKey(bytes) == record.key, "PeekKey shows another key");
  std::vector<std::byte> again(length, std::byte{0xA5});
  Expect(format::EncodeRecord(record, seed, again) == length, "encoded in another length");
  Expect(std::ranges::equal(again, bytes.first(length)), "encoded as other bytes");
}

// Reads the layout on its own: padding and expiry are all that may still be wrong.
bool MayBeRefused(Bytes record) {
  const auto header = format::RawRecordHeader::Load(record.data());
  const bool no_expiry = (header.flags & format::kHasExpiry) != 0 &&
                         std::ranges::all_of(record.subspan(format::kRecordHeaderBytes, 8),
                                             [](std::byte byte) { return byte == std::byte{0}; });
  const auto padding = record.subspan(header.UnpaddedBytes());
  return no_expiry ||
         std::ranges::any_of(padding, [](std::byte byte) { return byte != std::byte{0}; });
}

void CheckRecord(std::vector<std::byte> record, std::uint32_t seed, unsigned cut, unsigned flip) {
  const std::size_t length = record.size();
  base::Store(record.data(), base::Crc32c(seed, Bytes(record).subspan(4)));
  std::size_t decoded_bytes = 0;
  const std::optional<Record> decoded = DecodeRecord(record, seed, &decoded_bytes);
  if (!decoded) {
    Expect(MayBeRefused(record), "a record that is as it should be was refused");
    Expect(decoded_bytes == 0, "a length was set for a refused record");
    return;
  }
  Expect(decoded_bytes == length, "not the length that its header says");
  CheckDecoded(*decoded, decoded_bytes, record, seed);
  Expect(!DecodeRecord(record, seed + 1), "verified under another segment's seed");

  const std::vector<std::byte> shorter(record.begin(),
                                       record.end() - 1 - static_cast<long>(cut % length));
  Expect(!DecodeRecord(shorter, seed), "a record that was cut short decoded");
  std::byte& flipped = record[flip / 8 % length];
  flipped ^= std::byte{1} << (flip % 8);
  Expect(!DecodeRecord(record, seed), "a record with a flipped bit decoded");
}

}  // namespace

void FuzzRecord(Bytes data) {
  Input in(data);
  const std::uint32_t seed = in.U8() * 0x01010101U;
  const unsigned cut = in.U8();
  const unsigned flip = in.U16();
  const std::vector<std::byte> all = in.Rest();

  std::size_t as_is_bytes = 0;
  if (const auto as_is = DecodeRecord(all, seed, &as_is_bytes)) {
    CheckDecoded(*as_is, as_is_bytes, all, seed);
  }
  for (Bytes rest = all; !rest.empty();) {
    const std::size_t length = format::PeekRecordBytes(rest);
    if (length == 0 || length > rest.size()) {
      Expect(!DecodeRecord(rest, seed), "decoded although its header makes no sense");
      break;
    }
    CheckRecord({rest.begin(), rest.begin() + static_cast<long>(length)}, seed, cut, flip);
    rest = rest.subspan(length);
  }
}

}  // namespace freyja::fuzz
