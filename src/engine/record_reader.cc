#include "engine/record_reader.h"

#include <string>

#include "base/status_macros.h"

namespace freyja::engine {

Result<FoundRecord> RecordReader::Read(Location location) const {
  Segment& segment = segments_.At(location);
  FREYJA_SCHEDULE_POINT("read.record", &segment);
  const auto record = format::DecodeRecord(segment.BytesAt(location), segment.SeedAt(location));
  if (record) return FoundRecord{&segment, location, *record};
  const std::string where = segment.name() + ": offset " + std::to_string(location.offset()) + ": ";
  if (segment.mapping().faulted()) {
    return std::unexpected(
        Status(StatusCode::kIoError,
               where + "the file could not be read (media error or shortened file)"));
  }
  return std::unexpected(Status(StatusCode::kCorruption, where + "the record does not verify"));
}

Result<std::optional<FoundRecord>> RecordReader::Find(std::string_view key,
                                                      std::uint64_t hash) const {
  Location damaged;
  const Location location =
      index_.Find(hash, [&](Location candidate) { return HasKey(candidate, key, &damaged); });
  if (location.is_none() && damaged.is_none()) return std::nullopt;
  FREYJA_ASSIGN_OR_RETURN(const FoundRecord found, Read(location.is_none() ? damaged : location));
  // A record that reads well now although it did not a moment ago: the disk wavers.
  if (found.record.key != key) return std::nullopt;
  return found;
}

}  // namespace freyja::engine
