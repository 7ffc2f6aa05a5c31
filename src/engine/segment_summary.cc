#include "engine/segment_summary.h"

#include <algorithm>
#include <array>

#include "base/bytes.h"
#include "format/bloom.h"
#include "format/record.h"

namespace freyja::engine {

void SummaryBuilder::Add(const ScannedRecord& scanned) {
  const format::Record& record = scanned.record;
  summary_.data_bytes = scanned.offset + scanned.bytes;
  summary_.lowest_sequence = summary_.record_count == 0
                                 ? record.sequence
                                 : std::min(summary_.lowest_sequence, record.sequence);
  summary_.highest_sequence = std::max(summary_.highest_sequence, record.sequence);
  summary_.highest_expiry_ms = std::max(summary_.highest_expiry_ms, record.expires_at_ms);
  ++summary_.record_count;
  if (record.is_tombstone) {
    ++summary_.tombstone_count;
    summary_.tombstone_bytes += scanned.bytes;
  }
  std::array<std::byte, 4> checksum;
  base::Store(checksum.data(), scanned.checksum);
  summary_.records_crc = format::ExtendRecordsCrc(summary_.records_crc, checksum);
}

format::SealedSegment SummaryBuilder::Finish(const format::SegmentIdentity& identity) const {
  format::SealedSegment sealed = summary_;
  sealed.id = identity.id;
  sealed.nonce = identity.nonce;
  return sealed;
}

format::HintEntry MakeHintEntry(const ScannedRecord& scanned, std::uint64_t hash_seed) {
  format::HintEntry entry;
  entry.hash = format::HashKey(scanned.record.key, hash_seed);
  entry.sequence = scanned.record.sequence;
  entry.offset_units = static_cast<std::uint32_t>(scanned.offset / format::kRecordAlignment);
  entry.length_units = static_cast<std::uint32_t>(scanned.bytes / format::kRecordAlignment);
  entry.is_tombstone = scanned.record.is_tombstone;
  entry.has_expiry = scanned.record.expires_at_ms != 0;
  return entry;
}

format::HintHeader HintHeaderOf(const format::StoreUuid& store,
                                const format::SealedSegment& sealed) {
  format::HintHeader header;
  header.identity = {.store = store, .id = sealed.id, .nonce = sealed.nonce};
  header.data_bytes = sealed.data_bytes;
  header.records_crc = sealed.records_crc;
  header.record_count = sealed.record_count;
  header.filter_bytes = format::BloomFilterBytes(sealed.record_count);
  return header;
}

}  // namespace freyja::engine
