// Builds the index at open from the entries of all segments.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <unordered_map>
#include <vector>

#include "base/huge_pages.h"
#include "engine/index.h"
#include "engine/segment_table.h"
#include "format/hint.h"

namespace freyja::engine {

// What is known of every record, tombstones included, spread by the top bits of the key's hash, so
// that the records of a key come together and those of neighbouring pages as well.
//
// Memory: 32 bytes a record, dead ones included, and up to 8 MiB. Not thread-safe; every loading
// thread fills one of its own.
class LoadedEntries {
 public:
  // `records`: about how many will be loaded in all. All that are given to one BuildIndex must be
  // made with the same number.
  explicit LoadedEntries(std::uint64_t records);

  void Add(const Segment& segment, std::span<const format::HintEntry> entries);

 private:
  friend class IndexBuilder;

  // Without initial values: room for many is made at once.
  struct Entry {
    std::uint64_t hash_low;
    std::uint64_t hash_high;
    std::uint64_t sequence;
    std::uint64_t location;  // Location::raw(); none: a tombstone
  };
  // A part grows without moving what it has.
  struct Chunk {
    static constexpr std::size_t kEntries = 255;
    Chunk* previous;
    std::size_t used;
    Entry entries[kEntries];
  };
  Chunk& ChunkFor(std::size_t part);

  std::uint32_t part_bits_;
  std::vector<Chunk*> parts_;  // the last chunk of each
  base::HugeArena memory_;     // of the chunks
  // Of records too long for their location to say so.
  std::unordered_map<std::uint64_t, std::uint64_t> long_records_;
};

// Fills an empty index, which no other thread knows yet: for each key the record with the highest
// number wins, whatever the order in which the segments came. Counts the winners live in their
// segments. Errors: kOutOfMemory.
Status BuildIndex(std::vector<LoadedEntries> loaded, Index& index, SegmentTable& segments,
                  unsigned threads);

}  // namespace freyja::engine
