// From a location to a verified record: the reading half of a get.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

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

  // The newest record of `key`, verified; empty if there is none. Expiry is not looked at.
  // kCorruption (or kIoError, if the mapping failed under the read) names file and offset.
  Result<std::optional<FoundRecord>> Find(std::string_view key, std::uint64_t hash) const;

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

  // Length of the record there, by its header where the location does not say.
  std::uint64_t LengthOf(Location location) const {
    const std::uint64_t known = location.length_bytes();
    return known != 0 ? known : format::PeekRecordBytes(segments_.At(location).BytesAt(location));
  }
  void Prefetch(Location location) const {
    const std::byte* at = segments_.At(location).base() + location.offset();
    __builtin_prefetch(at);
    __builtin_prefetch(at + 64);
    __builtin_prefetch(at + 128);
  }

 private:
  const Index& index_;
  const SegmentTable& segments_;
};

}  // namespace freyja::engine
