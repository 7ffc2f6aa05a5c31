// The head of an index image: it is refused with a reason, or says exactly its bytes.
//
// The first byte of the input chooses what is put right before decoding: the preamble, the
// counts of segments and pages (from the next two bytes, with the head resized to hold them, the
// pages made to tile the hashes, and the length of the file made to fit), the checksum.
#include <algorithm>
#include <bit>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "base/bytes.h"
#include "format/index_image.h"
#include "fuzz/input.h"
#include "fuzz/property.h"
#include "fuzz/seal.h"
#include "fuzz/targets.h"

namespace freyja::fuzz {

namespace {

constexpr std::size_t kFileBytes = 16;
constexpr std::size_t kSegmentCount = 48;
constexpr std::size_t kPageCount = 52;
constexpr std::size_t kSegmentBytes = 56;
constexpr std::size_t kPageBytes = 8;

std::vector<std::byte> WithCounts(Input& in) {
  const format::IndexImagePrefix counts{.segments = in.Below(4),
                                        .pages = std::uint32_t{1} << in.Below(4)};
  const std::vector<std::byte> rest = in.Rest();
  std::vector<std::byte> bytes(counts.head_bytes());
  const std::size_t pages_at = format::kIndexImageFixedBytes + counts.segments * kSegmentBytes;
  const std::size_t used = pages_at + counts.pages * kPageBytes;
  std::ranges::copy(Bytes(rest).first(std::min(rest.size(), used)), bytes.begin());
  base::Store(bytes.data() + kSegmentCount, counts.segments);
  base::Store(bytes.data() + kPageCount, counts.pages);
  std::uint64_t file_bytes = bytes.size();
  for (std::size_t i = 0; i < counts.pages; ++i) {
    std::byte* const page = bytes.data() + pages_at + i * kPageBytes;
    base::Store(page + 2, static_cast<std::uint16_t>(std::countr_zero(counts.pages)));
    file_bytes += std::uint64_t{base::Load<std::uint16_t>(page)} * format::kIndexLineBytes;
  }
  base::Store(bytes.data() + kFileBytes, file_bytes);
  return bytes;
}

void CheckPages(const format::IndexImageHead& head) {
  double covered = 0;  // of all hashes
  for (const format::ImagedPage& page : head.pages) {
    Expect(page.lines != 0 && page.depth < 64, "a page of impossible size or depth");
    covered += std::ldexp(1.0, -static_cast<int>(page.depth));
  }
  Expect(covered == 1.0, "the pages do not cover every hash once");
}

}  // namespace

void FuzzIndexImage(Bytes data) {
  Input in(data);
  const unsigned choice = in.U8();
  std::vector<std::byte> bytes = (choice & 4) != 0 ? WithCounts(in) : in.Rest();
  if ((choice & 1) != 0) PutPreamble(bytes, format::kIndexImageMagic);
  if ((choice & 2) != 0 && bytes.size() >= 4) SealAt(bytes, bytes.size() - 4);

  const auto prefix = format::DecodeIndexImagePrefix(bytes);
  const auto head = format::DecodeIndexImageHead(bytes);
  if (!head) {
    Expect(head.error().code() == StatusCode::kCorruption ||
               head.error().code() == StatusCode::kUnsupported,
           "refused with the wrong code");
    Expect(!head.error().message().empty(), "refused without a reason");
    return;
  }
  Expect(prefix.has_value(), "a head whose beginning is refused");
  Expect(prefix->store == head->store && prefix->generation == head->generation &&
             prefix->segments == head->segments.size() && prefix->pages == head->pages.size(),
         "the beginning says something else");
  Expect(prefix->head_bytes() == bytes.size() && head->bytes() == bytes.size() &&
             prefix->file_bytes == head->file_bytes(),
         "of another length");
  Expect(format::EncodeIndexImageHead(*head) == bytes, "encoded as other bytes");
  CheckPages(*head);
  bytes.push_back(std::byte{0});
  Expect(!format::DecodeIndexImageHead(bytes), "decoded with a byte too many");
  bytes.resize(bytes.size() - 2);
  Expect(!format::DecodeIndexImageHead(bytes), "decoded with a byte too few");
}

}  // namespace freyja::fuzz
