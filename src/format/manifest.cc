#include "format/manifest.h"

#include <algorithm>
#include <string>

#include "base/bytes.h"
#include "base/crc32c.h"
#include "base/status_macros.h"
#include "format/preamble.h"

namespace freyja::format {
namespace {

constexpr std::string_view kWhat = "manifest";

// Sizes; docs/file_format.md has the tables.
constexpr std::uint64_t kFixedBytes = 112;
constexpr std::uint64_t kLogSegmentBytes = 16;
constexpr std::uint64_t kSealedSegmentBytes = 80;
constexpr std::uint64_t kTrailerBytes = 8;  // zero (u32), checksum (u32)
constexpr std::uint64_t kSmallestBytes = kFixedBytes + kTrailerBytes;

constexpr std::uint32_t kCleanFlag = 1;

class Writer {
 public:
  explicit Writer(std::byte* to) : to_(to) {}

  template <typename T>
  void Put(T value) {
    base::Store(to_, value);
    to_ += sizeof value;
  }
  void Put(const SealedSegment& segment) {
    Put(segment.id);
    Put(segment.nonce);
    Put(segment.data_bytes);
    Put(segment.record_count);
    Put(segment.lowest_sequence);
    Put(segment.highest_sequence);
    Put(segment.highest_expiry_ms);
    Put(segment.tombstone_count);
    Put(segment.tombstone_bytes);
    Put(segment.records_crc);
    Put(std::uint32_t{0});
  }

 private:
  std::byte* to_;
};

// Reads fields in order; the caller has made sure that the bytes are there.
class Reader {
 public:
  explicit Reader(const std::byte* from) : from_(from) {}

  std::uint64_t U64() { return Next<std::uint64_t>(); }
  std::uint32_t U32() { return Next<std::uint32_t>(); }
  // False if the bytes that must be zero aren't.
  bool Read(SealedSegment& segment) {
    segment.id = U64();
    segment.nonce = U64();
    segment.data_bytes = U64();
    segment.record_count = U64();
    segment.lowest_sequence = U64();
    segment.highest_sequence = U64();
    segment.highest_expiry_ms = U64();
    segment.tombstone_count = U64();
    segment.tombstone_bytes = U64();
    segment.records_crc = U32();
    return U32() == 0;
  }

 private:
  template <typename T>
  T Next() {
    const T value = base::Load<T>(from_);
    from_ += sizeof value;
    return value;
  }

  const std::byte* from_;
};

struct Counts {
  std::uint32_t log = 0;
  std::uint32_t sealed = 0;
  std::uint32_t quarantined = 0;

  // Can't overflow: three 32-bit counts times at most 80.
  std::uint64_t FileBytes() const {
    return kSmallestBytes + log * kLogSegmentBytes +
           (std::uint64_t{sealed} + quarantined) * kSealedSegmentBytes;
  }
};

// Magic, version, length and checksum, in the order that gives the most useful answer.
Status CheckEnvelope(std::span<const std::byte> bytes) {
  FREYJA_RETURN_IF_ERROR(CheckPreamble(kManifestMagic, kWhat, bytes));
  if (bytes.size() < kSmallestBytes) {
    return Damaged(kWhat, "only " + std::to_string(bytes.size()) + " bytes, too short");
  }
  const auto length = base::Load<std::uint64_t>(bytes.data() + kPreambleBytes);
  if (length != bytes.size()) {
    return Damaged(kWhat, "is " + std::to_string(bytes.size()) + " bytes long and says " +
                              std::to_string(length));
  }
  const auto covered = bytes.first(bytes.size() - sizeof(std::uint32_t));
  const auto checksum = base::Load<std::uint32_t>(bytes.data() + covered.size());
  if (checksum != base::Crc32c(0, covered)) return Damaged(kWhat, "checksum does not match");
  if (base::Load<std::uint32_t>(bytes.data() + bytes.size() - kTrailerBytes) != 0) {
    return Damaged(kWhat, "bytes before the checksum are not zero");
  }
  return Status::Ok();
}

// No id twice, none that was never given out.
Status CheckIds(const Manifest& manifest) {
  std::vector<std::uint64_t> ids;
  ids.reserve(manifest.log.size() + manifest.sealed.size() + manifest.quarantined.size());
  for (const LogSegment& segment : manifest.log) ids.push_back(segment.id);
  for (const SealedSegment& segment : manifest.sealed) ids.push_back(segment.id);
  for (const SealedSegment& segment : manifest.quarantined) ids.push_back(segment.id);
  std::ranges::sort(ids);
  if (const auto twice = std::ranges::adjacent_find(ids); twice != ids.end()) {
    return Damaged(kWhat, "segment " + std::to_string(*twice) + " is listed twice");
  }
  if (ids.empty()) return Status::Ok();
  if (ids.front() == 0) return Damaged(kWhat, "segment id 0 does not exist");
  if (ids.back() > manifest.reserved_id) {
    return Damaged(kWhat, "segment " + std::to_string(ids.back()) +
                              " is above the highest id given out, " +
                              std::to_string(manifest.reserved_id));
  }
  return Status::Ok();
}

// No number that was never given out.
Status CheckNumbers(const Manifest& manifest) {
  if (manifest.log_first_sequence == 0) return Damaged(kWhat, "the log can't begin with number 0");
  std::uint64_t highest =
      std::max({manifest.log_first_sequence - 1, manifest.watermark, manifest.clean_last_sequence});
  for (const auto* segments : {&manifest.sealed, &manifest.quarantined}) {
    for (const SealedSegment& segment : *segments) {
      highest = std::max(highest, segment.highest_sequence);
    }
  }
  if (highest <= manifest.reserved_sequence) return Status::Ok();
  return Damaged(kWhat, "sequence number " + std::to_string(highest) +
                            " is above the highest given out, " +
                            std::to_string(manifest.reserved_sequence));
}

// The fields from the generation to the flags. The order is the one in Encode.
Result<Counts> ReadFixedPart(Reader& reader, Manifest& manifest) {
  manifest.generation = reader.U64();
  manifest.store.high = reader.U64();
  manifest.store.low = reader.U64();
  manifest.hash_seed = reader.U64();
  manifest.log_first_sequence = reader.U64();
  manifest.watermark = reader.U64();
  manifest.reserved_id = reader.U64();
  manifest.reserved_sequence = reader.U64();
  manifest.clean_last_sequence = reader.U64();
  Counts counts;
  counts.log = reader.U32();
  counts.sealed = reader.U32();
  counts.quarantined = reader.U32();
  const std::uint32_t flags = reader.U32();
  if ((flags & ~kCleanFlag) != 0) {
    return std::unexpected(Damaged(kWhat, "unknown flags at offset 108"));
  }
  manifest.clean = (flags & kCleanFlag) != 0;
  return counts;
}

}  // namespace

std::vector<std::byte> EncodeManifest(const Manifest& manifest) {
  const Counts counts{.log = static_cast<std::uint32_t>(manifest.log.size()),
                      .sealed = static_cast<std::uint32_t>(manifest.sealed.size()),
                      .quarantined = static_cast<std::uint32_t>(manifest.quarantined.size())};
  std::vector<std::byte> bytes(counts.FileBytes());
  EncodePreamble(kManifestMagic, std::span(bytes).first<kPreambleBytes>());
  Writer writer(bytes.data() + kPreambleBytes);
  writer.Put(std::uint64_t{bytes.size()});
  writer.Put(manifest.generation);
  writer.Put(manifest.store.high);
  writer.Put(manifest.store.low);
  writer.Put(manifest.hash_seed);
  writer.Put(manifest.log_first_sequence);
  writer.Put(manifest.watermark);
  writer.Put(manifest.reserved_id);
  writer.Put(manifest.reserved_sequence);
  writer.Put(manifest.clean_last_sequence);
  writer.Put(counts.log);
  writer.Put(counts.sealed);
  writer.Put(counts.quarantined);
  writer.Put(manifest.clean ? kCleanFlag : std::uint32_t{0});
  for (const LogSegment& segment : manifest.log) {
    writer.Put(segment.id);
    writer.Put(segment.nonce);
  }
  for (const SealedSegment& segment : manifest.sealed) writer.Put(segment);
  for (const SealedSegment& segment : manifest.quarantined) writer.Put(segment);
  writer.Put(std::uint32_t{0});
  writer.Put(base::Crc32c(0, std::span(bytes).first(bytes.size() - sizeof(std::uint32_t))));
  return bytes;
}

Result<Manifest> DecodeManifest(std::span<const std::byte> bytes) {
  FREYJA_RETURN_IF_ERROR(CheckEnvelope(bytes));
  Reader reader(bytes.data() + kPreambleBytes + sizeof(std::uint64_t));
  Manifest manifest;
  FREYJA_ASSIGN_OR_RETURN(const Counts counts, ReadFixedPart(reader, manifest));
  if (counts.FileBytes() != bytes.size()) {
    return std::unexpected(Damaged(kWhat, "its counts of segments do not add up to its length"));
  }
  manifest.log.resize(counts.log);
  for (LogSegment& segment : manifest.log) {
    segment.id = reader.U64();
    segment.nonce = reader.U64();
  }
  manifest.sealed.resize(counts.sealed);
  manifest.quarantined.resize(counts.quarantined);
  for (auto* const list : {&manifest.sealed, &manifest.quarantined}) {
    for (SealedSegment& segment : *list) {
      if (!reader.Read(segment)) {
        return std::unexpected(Damaged(kWhat, "bytes behind the entry of segment " +
                                                  std::to_string(segment.id) + " are not zero"));
      }
    }
  }
  FREYJA_RETURN_IF_ERROR(CheckIds(manifest));
  FREYJA_RETURN_IF_ERROR(CheckNumbers(manifest));
  return manifest;
}

}  // namespace freyja::format
