// Builds the index at open from the entries of all segments.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <vector>

#include "engine/index.h"
#include "engine/segment_table.h"
#include "format/hint.h"

namespace freyja::engine {

// Keeps (key hash, number, location) of every record, tombstones included, until all
// segments are in; then, for each key, the highest number wins, whatever the order in which
// the segments came. Entries are spread over partitions by hash; each is sorted by itself.
//
// Memory: 40 bytes a record, dead ones included, until Build returns. Not thread-safe; every
// loading thread fills one of its own, and Absorb joins them.
class IndexBuilder {
 public:
  void Add(const Segment& segment, std::span<const format::HintEntry> entries);
  void Absorb(IndexBuilder other);

  // Inserts the winners and counts them live in their segments. Empties the builder.
  Status Build(Index& index, SegmentTable& segments, unsigned threads);

 private:
  static constexpr std::size_t kPartitions = 64;

  struct Entry {
    format::KeyHash hash;
    std::uint64_t sequence = 0;
    Location location;
    std::uint64_t bytes = 0;
    bool is_tombstone = false;
  };
  std::array<std::vector<Entry>, kPartitions> partitions_;
};

}  // namespace freyja::engine
