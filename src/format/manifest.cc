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
constexpr std::uint64_t kFixedBytes = 120;
constexpr std::uint64_t kLogSegmentBytes = 16;
constexpr std::uint64_t kSealedSegmentBytes = 80;
constexpr std::uint64_t kJobBytes = 24;
constexpr std::uint64_t kOutputBytes = 8;
constexpr std::uint64_t kTrailerBytes = 8;  // zero (u32), checksum (u32)
constexpr std::uint64_t kSmallestBytes = kFixedBytes + kTrailerBytes;

constexpr std::uint32_t kCleanFlag = 1;
constexpr std::uint32_t kRestoredFlag = 1;

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
    Put(segment.restored ? kRestoredFlag : std::uint32_t{0});
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
  // False if it has unknown flags.
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
    const std::uint32_t flags = U32();
    segment.restored = (flags & kRestoredFlag) != 0;
    return (flags & ~kRestoredFlag) == 0;
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
  std::uint32_t jobs = 0;
  std::uint32_t outputs = 0;

  static Counts Of(const Manifest& manifest) {
    Counts counts{.log = static_cast<std::uint32_t>(manifest.log.size()),
                  .sealed = static_cast<std::uint32_t>(manifest.sealed.size()),
                  .jobs = static_cast<std::uint32_t>(manifest.quarantine.size())};
    for (const QuarantinedJob& job : manifest.quarantine) {
      counts.quarantined += static_cast<std::uint32_t>(job.segments.size());
      counts.outputs += static_cast<std::uint32_t>(job.outputs.size());
    }
    return counts;
  }

  // Can't overflow: five 32-bit counts times at most 80.
  std::uint64_t FileBytes() const {
    return kSmallestBytes + log * kLogSegmentBytes +
           (std::uint64_t{sealed} + quarantined) * kSealedSegmentBytes + jobs * kJobBytes +
           outputs * kOutputBytes;
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
  ids.reserve(manifest.log.size() + manifest.sealed.size());
  for (const LogSegment& segment : manifest.log) ids.push_back(segment.id);
  manifest.ForEachSealedOrQuarantined(
      [&](const SealedSegment& segment) { ids.push_back(segment.id); });
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
  manifest.ForEachSealedOrQuarantined(
      [&](const SealedSegment& segment) { highest = std::max(highest, segment.highest_sequence); });
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
  counts.jobs = reader.U32();
  counts.outputs = reader.U32();
  return counts;
}

Status ReadSegments(Reader& reader, std::vector<SealedSegment>& segments, std::uint32_t count) {
  segments.resize(count);
  for (SealedSegment& segment : segments) {
    if (!reader.Read(segment)) {
      return Damaged(kWhat, "unknown flags in the entry of segment " + std::to_string(segment.id));
    }
  }
  return Status::Ok();
}

// All jobs, then their segments, then the ids of their outputs.
Status ReadQuarantine(Reader& reader, const Counts& counts, Manifest& manifest) {
  std::vector<Counts> parts(counts.jobs);
  std::uint64_t segments = 0;
  std::uint64_t outputs = 0;
  manifest.quarantine.resize(counts.jobs);
  for (std::size_t i = 0; i < parts.size(); ++i) {
    manifest.quarantine[i].id = reader.U64();
    manifest.quarantine[i].keep_until_ms = reader.U64();
    parts[i].quarantined = reader.U32();
    parts[i].outputs = reader.U32();
    segments += parts[i].quarantined;
    outputs += parts[i].outputs;
    if (parts[i].quarantined == 0) return Damaged(kWhat, "a quarantined job without segments");
  }
  if (segments != counts.quarantined || outputs != counts.outputs) {
    return Damaged(kWhat, "its counts of quarantined segments do not add up");
  }
  for (std::size_t i = 0; i < parts.size(); ++i) {
    FREYJA_RETURN_IF_ERROR(
        ReadSegments(reader, manifest.quarantine[i].segments, parts[i].quarantined));
  }
  for (std::size_t i = 0; i < parts.size(); ++i) {
    manifest.quarantine[i].outputs.resize(parts[i].outputs);
    for (std::uint64_t& id : manifest.quarantine[i].outputs) id = reader.U64();
  }
  return Status::Ok();
}

}  // namespace

std::vector<std::byte> EncodeManifest(const Manifest& manifest) {
  const Counts counts = Counts::Of(manifest);
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
  writer.Put(counts.jobs);
  writer.Put(counts.outputs);
  for (const LogSegment& segment : manifest.log) {
    writer.Put(segment.id);
    writer.Put(segment.nonce);
  }
  for (const SealedSegment& segment : manifest.sealed) writer.Put(segment);
  for (const QuarantinedJob& job : manifest.quarantine) {
    writer.Put(job.id);
    writer.Put(job.keep_until_ms);
    writer.Put(static_cast<std::uint32_t>(job.segments.size()));
    writer.Put(static_cast<std::uint32_t>(job.outputs.size()));
  }
  for (const QuarantinedJob& job : manifest.quarantine) {
    for (const SealedSegment& segment : job.segments) writer.Put(segment);
  }
  for (const QuarantinedJob& job : manifest.quarantine) {
    for (const std::uint64_t id : job.outputs) writer.Put(id);
  }
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
  FREYJA_RETURN_IF_ERROR(ReadSegments(reader, manifest.sealed, counts.sealed));
  FREYJA_RETURN_IF_ERROR(ReadQuarantine(reader, counts, manifest));
  FREYJA_RETURN_IF_ERROR(CheckIds(manifest));
  FREYJA_RETURN_IF_ERROR(CheckNumbers(manifest));
  return manifest;
}

}  // namespace freyja::format
