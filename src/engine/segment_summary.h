// What a sealed segment holds, gathered record by record.
#pragma once

#include <cstdint>
#include <vector>

#include "engine/record_scanner.h"
#include "format/hint.h"
#include "format/manifest.h"

namespace freyja::engine {

// Not thread-safe.
class SummaryBuilder {
 public:
  // Sequence numbers may come in any order, records in file order without gaps.
  void Add(const ScannedRecord& scanned);

  // Complete but for id and nonce.
  const format::SealedSegment& summary() const { return summary_; }
  format::SealedSegment Finish(const format::SegmentIdentity& identity) const;

 private:
  format::SealedSegment summary_;
};

format::HintEntry MakeHintEntry(const ScannedRecord& scanned, std::uint64_t hash_seed);

// The header of the one hint that belongs to this state of the segment.
format::HintHeader HintHeaderOf(const format::StoreUuid& store,
                                const format::SealedSegment& sealed);

}  // namespace freyja::engine
