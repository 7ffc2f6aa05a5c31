// The header of a data file: it is refused with a reason, or says exactly its bytes.
//
// The first byte of the input chooses what is put right before decoding: the preamble, the
// checksum of it for another version, the header's checksum.
#include <algorithm>
#include <array>
#include <cstddef>
#include <vector>

#include "format/segment_header.h"
#include "fuzz/input.h"
#include "fuzz/property.h"
#include "fuzz/seal.h"
#include "fuzz/targets.h"

namespace freyja::fuzz {

void FuzzSegmentHeader(Bytes data) {
  Input in(data);
  const unsigned choice = in.U8();
  std::vector<std::byte> bytes = in.Rest();
  if ((choice & 1) != 0) PutPreamble(bytes, format::kSegmentMagic);
  if ((choice & 2) != 0) SealAt(bytes, format::kPreambleBytes - 4);
  if ((choice & 4) != 0) SealAt(bytes, format::kSegmentHeaderBytes - 4);

  const auto header = format::DecodeSegmentHeader(bytes);
  if (!header) {
    Expect(header.error().code() == StatusCode::kCorruption ||
               header.error().code() == StatusCode::kUnsupported,
           "refused with the wrong code");
    Expect(!header.error().message().empty(), "refused without a reason");
    return;
  }
  Expect(bytes.size() >= format::kSegmentHeaderBytes, "decoded from too few bytes");
  Expect(header->identity.id != 0, "segment id 0");
  std::array<std::byte, format::kSegmentHeaderBytes> again{};
  format::EncodeSegmentHeader(*header, again);
  Expect(std::ranges::equal(again, Bytes(bytes).first(again.size())), "encoded as other bytes");
  bytes.resize(format::kSegmentHeaderBytes - 1);
  Expect(!format::DecodeSegmentHeader(bytes), "decoded after its last byte was cut off");
}

}  // namespace freyja::fuzz
