#include "engine/record_reader.h"

#include <algorithm>
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
  const Location location = index_.Find(hash, [&](Location candidate) {
    if (IsLong(candidate)) ReadAhead(candidate);
    return HasKey(candidate, key, &damaged);
  });
  if (location.is_none() && damaged.is_none()) return std::nullopt;
  FREYJA_ASSIGN_OR_RETURN(const FoundRecord found, Read(location.is_none() ? damaged : location));
  // A record that reads well now although it did not a moment ago: the disk wavers.
  if (found.record.key != key) return std::nullopt;
  return found;
}

namespace {

void Touch(const std::byte* at) { static_cast<void>(*static_cast<const volatile std::byte*>(at)); }

}  // namespace

void RecordReader::ReadAhead(Location location) const {
  const bool asked = cold_.expected();
  const std::uint64_t known = location.length_bytes();
  const std::uint64_t likely = known != 0 ? known : Location::kMaxKnownLength;
  if (asked) WillNeed(location, likely);
  const bool waited = cold_.Time([&] { Touch(At(location)); });
  if (!waited) return;
  const std::uint64_t length = LengthOf(location);
  if (!asked || length > likely) WillNeed(location, length);
}

void RecordReader::Prepare(std::string_view key, std::uint64_t hash) const {
  if (!cold_.expected()) return index_.Prefetch(hash);
  index_.Find(hash, [&](Location location) {
    bool has_key = false;
    cold_.Time([&] { has_key = HasKey(location, key); });
    return has_key;
  });
}

void RecordReader::Prefetch(std::span<const std::uint64_t> hashes, std::uint64_t most_bytes) const {
  for (const std::uint64_t hash : hashes) index_.Prefetch(hash);
  const bool from_disk = cold_.expected();
  Location first;
  for (const std::uint64_t hash : hashes) {
    const Location likely = index_.Find(hash, [](Location) { return true; });
    if (likely.is_none()) continue;
    const std::byte* const at = At(likely);
    __builtin_prefetch(at);
    __builtin_prefetch(at + 64);
    __builtin_prefetch(at + 128);
    const std::uint64_t known = likely.length_bytes();
    if (from_disk) WillNeed(likely, std::min(known != 0 ? known : most_bytes, most_bytes));
    if (first.is_none()) first = likely;
  }
  if (!first.is_none()) cold_.TimeSome([&] { Touch(At(first)); });
}

}  // namespace freyja::engine
