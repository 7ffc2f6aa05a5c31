// The manifest: the durable list of segments that count; the only authority on what is
// live. Replaced whole. Pure bytes; no I/O.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "format/ids.h"
#include "freyja/status.h"

namespace freyja::format {

// A segment of the log: active, prepared, or full and not sealed yet.
struct LogSegment {
  std::uint64_t id = 0;
  std::uint64_t nonce = 0;
  friend bool operator==(const LogSegment&, const LogSegment&) = default;
};

// A sealed segment ends exactly where this says and nowhere else.
struct SealedSegment {
  std::uint64_t id = 0;
  std::uint64_t nonce = 0;
  std::uint64_t data_bytes = 0;  // exact length, header included
  std::uint64_t record_count = 0;
  std::uint64_t lowest_sequence = 0;
  std::uint64_t highest_sequence = 0;
  std::uint64_t highest_expiry_ms = 0;  // 0: no record expires
  std::uint64_t tombstone_count = 0;
  std::uint64_t tombstone_bytes = 0;
  std::uint32_t records_crc = 0;  // running CRC-32C over the records' checksums, in order
  // Brought back by an undo: puts in it that the index doesn't know may have been taken out of
  // it when they expired, and still hide older ones.
  bool restored = false;
  friend bool operator==(const SealedSegment&, const SealedSegment&) = default;
};

// The inputs of a compaction that can still be undone: never replayed, still counted by the
// tombstone rule, given up whole.
struct QuarantinedJob {
  std::uint64_t id = 0;
  std::uint64_t keep_until_ms = 0;  // since the Unix epoch; 0: no limit by time
  std::vector<SealedSegment> segments = {};
  std::vector<std::uint64_t> outputs = {};  // ids of what replaced them
  friend bool operator==(const QuarantinedJob&, const QuarantinedJob&) = default;
};

struct Manifest {
  std::uint64_t generation = 0;  // strictly increasing
  StoreUuid store = {};
  std::uint64_t hash_seed = 0;  // secret of the store, seeds HashKey
  // Unsealed segments in order. Numbers are dense from `log_first_sequence`, the number
  // of the first record of the oldest one (or the next to be given if it is empty).
  std::vector<LogSegment> log = {};
  std::uint64_t log_first_sequence = 1;
  std::vector<SealedSegment> sealed = {};
  std::vector<QuarantinedJob> quarantine = {};  // oldest first
  std::uint64_t watermark = 0;                  // highest number known durable; only ever raised
  std::uint64_t reserved_id = 0;                // highest segment id that may have been used
  std::uint64_t reserved_sequence = 0;          // highest sequence number that may have been used
  // Closed cleanly: the log ends with record number `clean_last_sequence`, nothing is torn.
  bool clean = false;
  std::uint64_t clean_last_sequence = 0;
  friend bool operator==(const Manifest&, const Manifest&) = default;

  // Visits what is on disk for good: sealed segments, then quarantined ones.
  template <class Visit>
  void ForEachSealedOrQuarantined(Visit&& visit) const {
    for (const SealedSegment& segment : sealed) visit(segment);
    for (const QuarantinedJob& job : quarantine) {
      for (const SealedSegment& segment : job.segments) visit(segment);
    }
  }
};

std::vector<std::byte> EncodeManifest(const Manifest& manifest);
// kCorruption if anything is off (magic, length, checksum, counts, trailing bytes, ids listed twice
// or above reserved_id, numbers above reserved_sequence, jobs without segments); kUnsupported for a
// newer format version.
Result<Manifest> DecodeManifest(std::span<const std::byte> bytes);

}  // namespace freyja::format
