// Builds the index at open from the entries of all segments.
#pragma once

#include <array>
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
// Memory: 32 bytes a record, dead ones included, and up to 24 MiB. Not thread-safe; every loading
// thread fills one of its own.
class LoadedEntries {
 public:
  // `records`: about how many will be loaded in all. All that are given to one BuildIndex must be
  // made with the same number.
  explicit LoadedEntries(std::uint64_t records);

  void Add(const Segment& segment, const format::HintEntries& entries);
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
  // A part grows without moving what it has. All chunks but the last are full.
  struct Chunk {
    static constexpr std::size_t kEntries = 255;
    Chunk* previous;
    Entry entries[kEntries];
  };
  struct Part {
    Chunk* last = nullptr;
    Entry* next = nullptr;  // in the last chunk
    Entry* end = nullptr;   // of the last chunk
  };
  // The parts are built group by group, and each group has memory of its own, so that a part of it
  // goes back to the kernel before all winners have theirs. What was just in use costs less: on a
  // virtual machine the host may have to find memory that was not, 2.5 ms for 2 MiB.
  static constexpr std::size_t kGroups = 8;

  std::size_t GroupOf(std::size_t part) const { return part * kGroups >> part_bits_; }
  // Of a group or of those behind it; there may be fewer parts than groups.
  std::size_t FirstPartFrom(std::size_t group) const {
    return (group * parts_.size() + kGroups - 1) / kGroups;
  }
  void AddAll(const Segment& segment, const auto& entries);
  void AddChunk(std::size_t part);

  std::uint32_t part_bits_;
  std::vector<Part> parts_;
  std::array<base::HugeArena, kGroups> memory_;  // of the chunks
  // Of records too long for their location to say so.
  std::unordered_map<std::uint64_t, std::uint64_t> long_records_;
};

// Fills an empty index, which no other thread knows yet: for each key the record with the highest
// number wins, whatever the order in which the segments came. Counts the winners live in their
// segments. Errors: kOutOfMemory.
Status BuildIndex(std::vector<LoadedEntries> loaded, Index& index, SegmentTable& segments,
                  unsigned threads);

}  // namespace freyja::engine
