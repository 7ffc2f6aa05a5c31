#include "fuzz/made_directory.h"

#include <algorithm>
#include <array>

#include "base/bytes.h"
#include "format/hint.h"
#include "format/segment_header.h"
#include "fuzz/property.h"
#include "fuzz/seal.h"
#include "support/crash_images.h"

namespace freyja::fuzz {

using format::Record;

namespace {

constexpr std::uint64_t kGeneration = 9;
constexpr std::uint64_t kFirstLogId = 11;
constexpr std::uint64_t kFirstLogSequence = 200;
constexpr std::uint64_t kReservedSequence = 1000;
constexpr std::uint64_t kReservedId = 64;

std::vector<std::byte> HeaderBytes(const format::SegmentIdentity& identity,
                                   std::uint64_t generation) {
  std::vector<std::byte> bytes(format::kSegmentHeaderBytes);
  format::EncodeSegmentHeader({.identity = identity, .generation = generation},
                              std::span(bytes).first<format::kSegmentHeaderBytes>());
  return bytes;
}

void Append(std::vector<std::byte>& to, const std::vector<std::byte>& more) {
  to.insert(to.end(), more.begin(), more.end());
}

}  // namespace

MadeDirectory::MadeDirectory(Input& in) : in_(in) {
  manifest_.generation = kGeneration;
  manifest_.store = {.high = 7, .low = 8};
  manifest_.hash_seed = 99;
  manifest_.reserved_id = kReservedId;
  manifest_.reserved_sequence = kReservedSequence;
  manifest_.log_first_sequence = kFirstLogSequence;
  MakeSealed();
  MakeLog();
  MakeUnlisted();
  LieInManifest();
  files_[std::string(format::kManifestName)] = format::EncodeManifest(manifest_);
  Damage();
  CollectPairs();
}

std::shared_ptr<io::MemoryFileSystem> MadeDirectory::MakeDisk() const {
  auto disk = std::make_shared<io::MemoryFileSystem>();
  fuzz::Expect(disk->CreateDirectory(support::kStorePath).ok(), "no directory");
  for (const auto& [name, bytes] : files_) {
    const auto path = std::filesystem::path(support::kStorePath) / name;
    fuzz::Expect(disk->Overwrite(path, bytes).ok(), "no file");
  }
  fuzz::Expect(disk->SyncDirectory("/").ok(), "no directory");
  fuzz::Expect(disk->SyncDirectory(support::kStorePath).ok(), "no directory");
  return disk;
}

// --- Records --------------------------------------------------------------------------

MadeDirectory::Segment MadeDirectory::Begin(std::uint64_t id) {
  Segment segment;
  segment.identity = {.store = manifest_.store, .id = id, .nonce = id * 1000 + in_.U8()};
  segment.bytes = HeaderBytes(segment.identity, in_.Below(kGeneration + 1));
  return segment;
}

void MadeDirectory::AppendRecord(Segment& segment, const Record& record) {
  std::vector<std::byte> bytes(format::EncodedRecordBytes(record));
  const std::uint64_t offset = segment.bytes.size();
  format::EncodeRecord(record, format::RecordSeed(segment.identity.ChecksumSeed(), offset), bytes);
  const engine::ScannedRecord scanned{.offset = offset,
                                      .bytes = bytes.size(),
                                      .checksum = base::Load<std::uint32_t>(bytes.data()),
                                      .record = record};
  segment.summary.Add(scanned);
  segment.entries.push_back(engine::MakeHintEntry(scanned, manifest_.hash_seed));
  fuzz::Append(segment.bytes, bytes);
}

Record MadeDirectory::Append(Segment& segment, std::uint64_t sequence, bool in_log) {
  const unsigned choice = in_.U8();
  const unsigned key = in_.Below(8);
  // The longest take the record past what an index entry can say of its length.
  const std::size_t value_bytes = in_.U8() * (in_.OneIn(8) ? 100U : 1U);
  text_ = "key" + std::to_string(key);
  const std::size_t key_bytes = text_.size();
  Record record;
  record.sequence = sequence;
  record.is_tombstone = (choice & 3) == 3;
  if (!record.is_tombstone) text_ += support::MakeValue(text_, sequence, value_bytes);
  record.key = std::string_view(text_).substr(0, key_bytes);
  record.value = std::string_view(text_).substr(key_bytes);
  if ((choice & 12) == 12) record.expires_at_ms = (choice & 16) != 0 ? kPastMs : kFutureMs;
  record.begins_batch = (choice & 32) != 0;
  record.ends_batch = (choice & 64) != 0;
  if ((choice & 128) != 0) {
    record.watermark = in_log ? sequence - std::min<std::uint64_t>(in_.U8(), sequence) : sequence;
  }
  AppendRecord(segment, record);
  return record;
}

// --- Sealed segments ------------------------------------------------------------------

void MadeDirectory::MakeSealed() {
  const unsigned segments = in_.Below(4);
  for (unsigned i = 0; i < segments; ++i) {
    Segment segment = Begin(i + 1);
    const unsigned records = 1 + in_.Below(8);
    const bool quarantined = in_.OneIn(6);
    for (unsigned k = 0; k < records; ++k) {
      std::uint64_t sequence = 1 + in_.Below(120);
      while (!used_sequences_.insert(sequence).second) ++sequence;
      const Record record = Append(segment, sequence, /*in_log=*/false);
      Newest& newest = newest_[std::string(record.key)];
      if (quarantined || newest.sequence > sequence) continue;
      const bool gone = record.is_tombstone || record.expires_at_ms == kPastMs;
      newest = {sequence, gone ? std::nullopt : std::optional(std::string(record.value))};
    }
    const format::SealedSegment sealed = segment.summary.Finish(segment.identity);
    MakeHint(segment, sealed);
    // Behind its end there may be anything.
    if (in_.OneIn(3)) fuzz::Append(segment.bytes, in_.Take(in_.U8()));
    files_[format::DataFileName(sealed.id)] = segment.bytes;
    if (quarantined) {
      manifest_.quarantine.push_back({.id = sealed.id, .segments = {sealed}});
    } else {
      manifest_.sealed.push_back(sealed);
    }
  }
}

void MadeDirectory::MakeHint(const Segment& segment, const format::SealedSegment& sealed) {
  const unsigned kind = in_.Below(6);
  if (kind == 0) return;
  format::HintHeader header = engine::HintHeaderOf(manifest_.store, sealed);
  std::vector<format::HintEntry> entries = segment.entries;
  if (kind == 2) {
    // Of another state of the file: it is not for this one, and so not used.
    header.records_crc ^= 1U + in_.U8();
  } else if (kind == 3) {
    // Lies, with checksums that hold.
    format::HintEntry& entry = entries[in_.Below(static_cast<unsigned>(entries.size()))];
    const unsigned what = in_.U8();
    if ((what & 1) != 0) entry.hash.low ^= 1U << (what >> 4);
    if ((what & 2) != 0) entry.sequence += in_.U8();
    if ((what & 4) != 0) entry.offset_units += in_.U8();
    if ((what & 8) != 0) entry.length_units += in_.U8();
    entry.is_tombstone ^= (what & 16) != 0;
    entry.has_expiry ^= (what & 32) != 0;
    intact_ = false;
  }
  std::vector<std::byte> bytes = format::EncodeHint(header, entries);
  // Cut off or changed: its checksums don't hold, the segment is scanned instead.
  if (kind == 4) bytes.resize(in_.U16() % bytes.size());
  if (kind == 5) {
    bytes[in_.U16() % bytes.size()] ^= static_cast<std::byte>(1 + in_.Below(255));
    has_damaged_hint_ = true;
  }
  files_[format::HintFileName(sealed.id)] = bytes;
}

// --- The log --------------------------------------------------------------------------

void MadeDirectory::MakeLogSegment(Segment& segment, std::uint64_t& sequence, Replay& replay) {
  const unsigned records = in_.Below(10);
  for (unsigned i = 0; i < records; ++i) {
    const unsigned kind = in_.Below(16);
    if (kind == 15) ++sequence;  // one is missing
    const std::size_t start = segment.bytes.size();
    const Record record = Append(segment, sequence, /*in_log=*/true);
    if (kind == 14) {  // torn
      segment.bytes[start + in_.U16() % (segment.bytes.size() - start)] ^= std::byte{0x41};
      replay.stopped = true;
      ++sequence;
      continue;
    }
    if (record.watermark) replay.watermark = std::max(replay.watermark, *record.watermark);
    if (sequence != replay.expected) replay.stopped = true;
    if (replay.batch_start != 0 && record.begins_batch) replay.stopped = true;
    ++sequence;
    if (replay.stopped) continue;
    ++replay.expected;
    if (record.begins_batch) replay.batch_start = record.sequence;
    if (record.ends_batch) replay.batch_start = 0;
    const bool gone = record.is_tombstone || record.expires_at_ms == kPastMs;
    replay.taken.emplace_back(
        std::string(record.key),
        Newest{record.sequence, gone ? std::nullopt : std::optional(std::string(record.value))});
  }
  if (replay.batch_start != 0) replay.stopped = true;  // a batch lies in one segment
}

void MadeDirectory::MakeLogTail(Segment& segment) {
  const unsigned kind = in_.Below(4);
  if (kind == 1) segment.bytes.resize(segment.bytes.size() + in_.U16() % 8192);
  if (kind == 2) fuzz::Append(segment.bytes, in_.Take(in_.U8()));
  if (kind == 3) segment.bytes.resize(segment.bytes.size() + 8 - segment.bytes.size() % 8 + 4);
}

void MadeDirectory::MakeLog() {
  const unsigned segments = in_.Below(4);
  Replay replay;
  replay.expected = kFirstLogSequence;
  std::uint64_t sequence = kFirstLogSequence;
  for (unsigned i = 0; i < segments; ++i) {
    Segment segment = Begin(kFirstLogId + i);
    MakeLogSegment(segment, sequence, replay);
    MakeLogTail(segment);
    files_[format::DataFileName(segment.identity.id)] = segment.bytes;
    manifest_.log.push_back({.id = segment.identity.id, .nonce = segment.identity.nonce});
  }
  manifest_.watermark = kFirstLogSequence - 1 + (in_.OneIn(4) ? in_.Below(32) : 0);
  replay.watermark = std::max(replay.watermark, manifest_.watermark);
  if (in_.OneIn(3)) {
    manifest_.clean = true;
    manifest_.clean_last_sequence =
        in_.OneIn(4) ? kFirstLogSequence - 1 + in_.Below(32) : replay.expected - 1;
    // No clean close leaves records behind a hole.
    if (replay.stopped) intact_ = false;
  }
  Expect(replay);
}

// What docs/durability.md says of such a log.
void MadeDirectory::Expect(const Replay& replay) {
  const std::uint64_t last = replay.batch_start != 0 ? replay.batch_start - 1 : replay.expected - 1;
  std::uint64_t proven = replay.watermark;
  if (manifest_.clean) proven = std::max(proven, manifest_.clean_last_sequence);
  refused_ = last < proven || (manifest_.clean && last > manifest_.clean_last_sequence);
  for (const auto& [key, newest] : replay.taken) {
    if (newest.sequence <= last) newest_[key] = newest;
  }
  for (const auto& [key, newest] : newest_) {
    if (newest.value) contents_[key] = *newest.value;
  }
}

// --- What else may lie there ----------------------------------------------------------

void MadeDirectory::MakeUnlisted() {
  const unsigned choice = in_.U8();
  if ((choice & 1) != 0) {
    Segment segment = Begin(kReservedId - 1);
    Append(segment, 999, /*in_log=*/false);
    files_[format::DataFileName(segment.identity.id)] = segment.bytes;
  }
  if ((choice & 2) != 0) files_[format::HintFileName(kReservedId - 2)] = in_.Take(in_.U8());
  if ((choice & 4) != 0) files_[std::string(format::kManifestTempName)] = in_.Take(in_.U8());
  if ((choice & 8) != 0) files_["notes.txt"] = in_.Take(in_.U8());
  if ((choice & 16) != 0) files_[format::DataFileName(kReservedId - 3)] = in_.Take(in_.U8());
  if ((choice & 0xE0) == 0xE0) {  // the manifest is an old one
    const bool by_id = in_.Flag();
    const std::uint64_t id = kReservedId + (by_id ? 1 : 0);
    files_[format::DataFileName(id)] =
        HeaderBytes({.store = manifest_.store, .id = id, .nonce = 5}, kGeneration + 1);
    refused_ = true;
  }
}

void MadeDirectory::LieInManifest() {
  if (!in_.OneIn(4)) return;
  intact_ = false;
  manifest_lies_ = true;
  const std::uint64_t value = in_.Flag() ? in_.U64() : in_.U8();
  std::uint64_t* const fields[] = {&manifest_.generation,          &manifest_.hash_seed,
                                   &manifest_.log_first_sequence,  &manifest_.watermark,
                                   &manifest_.reserved_sequence,   &manifest_.reserved_id,
                                   &manifest_.clean_last_sequence, &manifest_.store.low};
  const unsigned which = in_.Below(20);
  if (which < std::size(fields)) {
    *fields[which] = value;
    return;
  }
  if (manifest_.sealed.empty()) return;
  format::SealedSegment& sealed =
      manifest_.sealed[in_.Below(static_cast<unsigned>(manifest_.sealed.size()))];
  std::uint64_t* const of_segment[] = {&sealed.id,
                                       &sealed.nonce,
                                       &sealed.data_bytes,
                                       &sealed.record_count,
                                       &sealed.lowest_sequence,
                                       &sealed.highest_sequence,
                                       &sealed.highest_expiry_ms,
                                       &sealed.tombstone_count,
                                       &sealed.tombstone_bytes};
  if (which - 8 < std::size(of_segment)) {
    *of_segment[which - 8] = value;
  } else {
    sealed.records_crc ^= static_cast<std::uint32_t>(value);
  }
}

void MadeDirectory::Damage() {
  const unsigned count = in_.OneIn(3) ? 1 + in_.Below(3) : 0;
  for (unsigned i = 0; i < count; ++i) {
    intact_ = false;
    auto file = files_.begin();
    std::advance(file, in_.Below(static_cast<unsigned>(files_.size())));
    std::vector<std::byte>& bytes = file->second;
    const std::size_t at = in_.U16();
    switch (in_.Below(5)) {
      case 0:
        if (files_.size() > 1) files_.erase(file);
        break;
      case 1:
        if (at < bytes.size()) bytes.resize(at);
        break;
      case 2:  // a zeroed sector
        for (std::size_t k = at / 512 * 512; k < bytes.size() && k < at / 512 * 512 + 512; ++k) {
          bytes[k] = std::byte{0};
        }
        break;
      default:
        if (!bytes.empty()) bytes[at % bytes.size()] ^= static_cast<std::byte>(in_.U8());
        break;
    }
  }
}

void MadeDirectory::CollectPairs() {
  const auto scan = [&](std::uint64_t id, std::uint64_t nonce) {
    const auto file = files_.find(format::DataFileName(id));
    if (file == files_.end()) return;
    const format::SegmentIdentity identity{.store = manifest_.store, .id = id, .nonce = nonce};
    const std::span<const std::byte> bytes(file->second);
    for (std::size_t at = format::kSegmentHeaderBytes; at < bytes.size(); at += 8) {
      const auto record =
          format::DecodeRecord(bytes.subspan(at), format::RecordSeed(identity.ChecksumSeed(), at));
      // A hint that lies with checksums that hold can turn a deletion into an empty value.
      if (record) pairs_.emplace(record->key, record->value);
    }
  };
  for (const auto& segment : manifest_.log) scan(segment.id, segment.nonce);
  for (const auto& segment : manifest_.sealed) scan(segment.id, segment.nonce);
}

}  // namespace freyja::fuzz
