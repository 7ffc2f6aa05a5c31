// From a location to a verified record: the reading half of a get.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include "engine/cold_reads.h"
#include "engine/index.h"
#include "engine/location.h"
#include "engine/segment_table.h"
#include "format/record.h"
#include "freyja/status.h"

namespace freyja::engine {

struct FoundRecord {
  Segment* segment = nullptr;
  Location location;
  format::Record record;  // views into the segment's mapping
};

// Thread safety: all members may be called from any thread that holds an EpochGuard, which
// must outlive the use of what they return.
class RecordReader {
 public:
  RecordReader(const Index& index, const SegmentTable& segments)
      : index_(index), segments_(segments) {}

  // The newest record of `key`, verified; false if there is none, and `found` means nothing then or
  // after an error. Expiry is not looked at. kCorruption (or kIoError, if the mapping failed under
  // the read) names file and offset.
  Result<bool> Find(std::string_view key, std::uint64_t hash, FoundRecord& found) const {
    Location damaged;
    const Location location = index_.Find(hash, [&](Location candidate) {
      if (IsLong(candidate)) ReadAhead(candidate);
      if (Verify(candidate, found)) return found.record.key == key;
      // Nobody can know whose record it was, but what is left of it may say so.
      damaged = candidate;
      return format::PeekKey(found.segment->BytesAt(candidate)) == key;
    });
    if (damaged.is_none()) return !location.is_none();
    // An intact record that has the key, beside one that may have had another's.
    if (!location.is_none() && location != damaged) return true;
    return ReadAgain(key, damaged, found);
  }
  Result<std::optional<FoundRecord>> Find(std::string_view key, std::uint64_t hash) const;
  // The same for one who has had `likely` from Prefetch, under the same guard.
  Result<bool> Find(std::string_view key, std::uint64_t hash, Location likely,
                    FoundRecord& found) const {
    if (!likely.is_none()) {
      if (IsLong(likely)) ReadAhead(likely);
      if (Verify(likely, found) && found.record.key == key) return true;
    }
    return Find(key, hash, found);
  }

  // The record at a location that the index or a snapshot holds, verified.
  Result<FoundRecord> Read(Location location) const;

  // Whether the record there has `key`. Says no, and sets *damaged, if it does not verify:
  // then nobody can know whose record it was.
  bool HasKey(Location location, std::string_view key, Location* damaged = nullptr) const {
    const Segment& segment = segments_.At(location);
    FREYJA_SCHEDULE_POINT("read.key", &segment);
    const auto bytes = segment.BytesAt(location);
    if (format::PeekKey(bytes) == key) return true;
    if (damaged == nullptr) return false;
    FREYJA_SCHEDULE_POINT("read.verify", &segment);
    const auto record = format::DecodeRecord(bytes, segment.SeedAt(location));
    if (!record) *damaged = location;
    // It reads well now although it did not a moment ago: the disk wavers.
    return record && record->key == key;
  }

  // Starts fetching the index line that looking for a key will touch. If records seem to come from
  // the disk, reads also what may be its record, and waits for it.
  void Prepare(std::string_view key, std::uint64_t hash) const;

  // Starts fetching the beginning of what may be the key's record, if its index line has come by
  // now.
  void PrefetchRecord(std::uint64_t hash) const;

  // HasKey, which now and then looks whether it waits for a disk.
  bool HasKeyTimed(Location location, std::string_view key, Location* damaged) const {
    bool has_key = false;
    cold_.TimeSome([&] { has_key = HasKey(location, key, damaged); });
    return has_key;
  }

  // Starts fetching what looking for these keys will touch, so that the misses overlap: the index
  // lines, then of each record that may be a key's the first `most_bytes`, from the disk if they
  // seem to be there. `likely`, if not empty, is told where these records are.
  void Prefetch(std::span<const std::uint64_t> hashes, std::uint64_t most_bytes,
                std::span<Location> likely = {}) const;

  // Whether records seem to come from the disk at present.
  bool ExpectsDisk() const { return cold_.expected(); }

  // Length of the record there, by its header where the location does not say.
  std::uint64_t LengthOf(Location location) const {
    const std::uint64_t known = location.length_bytes();
    return known != 0 ? known : format::PeekRecordBytes(segments_.At(location).BytesAt(location));
  }

 private:
  // Whether the record there verifies; found.segment is told in any case.
  bool Verify(Location location, FoundRecord& found) const {
    Segment& segment = segments_.At(location);
    FREYJA_SCHEDULE_POINT("read.key", &segment);
    found.segment = &segment;
    found.location = location;
    return format::DecodeRecord(segment.BytesAt(location), segment.SeedAt(location), found.record);
  }
  // Find's answer about a record that did not verify and may be the key's.
  Result<bool> ReadAgain(std::string_view key, Location damaged, FoundRecord& found) const;

  // Of a longer one more than one page has to be read.
  static constexpr std::uint64_t kLongRecord = 4096;
  static bool IsLong(Location location) {
    return location.length_bytes() > kLongRecord || location.length_bytes() == 0;
  }
  // Has a long record read from the disk in one piece rather than page by page, if it is there.
  void ReadAhead(Location location) const;
  const std::byte* At(Location location) const {
    return segments_.At(location).base() + location.offset();
  }
  void WillNeed(Location location, std::uint64_t bytes) const {
    segments_.At(location).mapping().WillNeed(location.offset(), bytes);
  }

  const Index& index_;
  const SegmentTable& segments_;
  mutable ColdReads cold_;
};

}  // namespace freyja::engine
