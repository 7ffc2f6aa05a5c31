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

Result<bool> RecordReader::ReadAgain(std::string_view key, Location damaged,
                                     FoundRecord& found) const {
  FREYJA_ASSIGN_OR_RETURN(found, Read(damaged));
  // It reads well now although it did not a moment ago: the disk wavers.
  return found.record.key == key;
}

Result<std::optional<FoundRecord>> RecordReader::Find(std::string_view key,
                                                      std::uint64_t hash) const {
  FoundRecord found;
  FREYJA_ASSIGN_OR_RETURN(const bool is_there, Find(key, hash, found));
  return is_there ? std::optional(found) : std::nullopt;
}

namespace {

void Touch(const std::byte* at) { static_cast<void>(*static_cast<const volatile std::byte*>(at)); }

}  // namespace

void RecordReader::ReadAhead(Location location) const {
  const bool asked = cold_.expected();
  const std::uint64_t known = location.length_bytes();
  const std::uint64_t likely = known != 0 ? known : Location::kMaxKnownLength;
  if (asked) WillNeed(location, likely);
  // The first page may have come with the record before it.
  const bool waited = cold_.Time([&] { Touch(At(location) + kLongRecord); });
  if (!waited) return;
  const std::uint64_t length = LengthOf(location);
  if (!asked || length > likely) WillNeed(location, length);
}

void RecordReader::Prepare(std::string_view key, std::uint64_t hash) const {
  if (!cold_.expected()) return index_.PrefetchToChange(hash);
  index_.Find(hash, [&](Location location) {
    bool has_key = false;
    cold_.Time([&] { has_key = HasKey(location, key); });
    return has_key;
  });
}

void RecordReader::PrefetchRecord(std::uint64_t hash) const {
  const Location likely = index_.Find(hash, [](Location) { return true; });
  if (!likely.is_none()) __builtin_prefetch(At(likely));
}

void RecordReader::Prefetch(std::span<const std::uint64_t> hashes, std::uint64_t most_bytes,
                            std::span<Location> likely) const {
  for (const std::uint64_t hash : hashes) index_.Prefetch(hash);
  const bool from_disk = cold_.expected();
  Location first;
  for (std::size_t i = 0; i < hashes.size(); ++i) {
    const Location location = index_.Find(hashes[i], [](Location) { return true; });
    if (!likely.empty()) likely[i] = location;
    if (location.is_none()) continue;
    const std::byte* const at = At(location);
    __builtin_prefetch(at);
    __builtin_prefetch(at + 64);
    __builtin_prefetch(at + 128);
    const std::uint64_t known = location.length_bytes();
    if (from_disk) WillNeed(location, std::min(known != 0 ? known : most_bytes, most_bytes));
    if (first.is_none()) first = location;
  }
  if (!first.is_none()) cold_.TimeSome([&] { Touch(At(first)); });
}

}  // namespace freyja::engine
