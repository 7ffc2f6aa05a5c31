// A canary: a decoder of records without checksum that forgets the watermark when it
// adds up the length of a record that also has an expiry, and so takes a record for whole
// whose last bytes are missing. `make fuzz` fails unless it is found: a fuzzer that is not
// guided by coverage, or whose findings get lost, would not notice.
#include <cstddef>

#include "base/bytes.h"
#include "format/record.h"
#include "fuzz/input.h"
#include "fuzz/property.h"
#include "fuzz/targets.h"

namespace freyja::fuzz {

namespace {

std::size_t LengthAsTheCanaryAddsItUp(const format::RawRecordHeader& header) {
  std::size_t length = format::kRecordHeaderBytes + header.key_length + header.value_length;
  if ((header.flags & format::kHasExpiry) != 0) {
    length += 8;
  } else if ((header.flags & format::kHasWatermark) != 0) {
    length += 8;
  }
  return base::RoundUp(length, format::kRecordAlignment);
}

}  // namespace

void FuzzCanaryRecord(Bytes data) {
  const std::vector<std::byte> bytes = Input(data).Rest();
  if (bytes.size() < format::kRecordHeaderBytes) return;
  const auto header = format::RawRecordHeader::Load(bytes.data());
  if (!header.Plausible()) return;
  const std::size_t length = LengthAsTheCanaryAddsItUp(header);
  if (length > bytes.size()) return;
  Expect(length >= header.UnpaddedBytes(), "the planted wrong: a record longer than its bytes");
}

}  // namespace freyja::fuzz
