#include "engine/index_builder.h"

#include <algorithm>
#include <atomic>

#include "base/status_macros.h"
#include "engine/parallel.h"
#include "format/record.h"

namespace freyja::engine {

void IndexBuilder::Add(const Segment& segment, std::span<const format::HintEntry> entries) {
  for (const format::HintEntry& entry : entries) {
    const std::uint64_t bytes = std::uint64_t{entry.length_units} * format::kRecordAlignment;
    const std::uint64_t offset = std::uint64_t{entry.offset_units} * format::kRecordAlignment;
    Entry added;
    added.hash = entry.hash;
    added.sequence = entry.sequence;
    added.location = Location(segment.slot(), offset, bytes);
    added.bytes = bytes;
    added.is_tombstone = entry.is_tombstone;
    // By the high half: the low one places keys in the index.
    partitions_[entry.hash.high % kPartitions].push_back(added);
  }
}

void IndexBuilder::Absorb(IndexBuilder other) {
  for (std::size_t i = 0; i < kPartitions; ++i) {
    auto& from = other.partitions_[i];
    if (partitions_[i].empty()) {
      partitions_[i] = std::move(from);
    } else {
      partitions_[i].insert(partitions_[i].end(), from.begin(), from.end());
    }
  }
}

Status IndexBuilder::Build(Index& index, SegmentTable& segments, unsigned threads) {
  std::atomic<std::uint64_t> winners{0};
  FREYJA_RETURN_IF_ERROR(RunParallel(kPartitions, threads, [&](std::size_t i) -> Status {
    auto& entries = partitions_[i];
    std::ranges::sort(entries, [](const Entry& a, const Entry& b) {
      return a.hash != b.hash ? a.hash < b.hash : a.sequence > b.sequence;
    });
    const auto losers = std::ranges::unique(entries, {}, &Entry::hash);
    entries.erase(losers.begin(), losers.end());
    std::erase_if(entries, [](const Entry& entry) { return entry.is_tombstone; });
    winners += entries.size();
    return Status::Ok();
  }));
  FREYJA_RETURN_IF_ERROR(index.Reserve(winners.load()));
  return RunParallel(kPartitions, threads, [&](std::size_t i) -> Status {
    for (const Entry& entry : partitions_[i]) {
      // 128-bit hashes differ, so the keys do, even if the index's 64 bits are the same.
      const auto inserted = index.Upsert(
          entry.hash.low, [](Location) { return false; }, entry.location,
          [&](Location) { segments.At(entry.location).AddLive(entry.bytes); });
      if (!inserted) return inserted.error();
    }
    partitions_[i] = {};
    return Status::Ok();
  });
}

}  // namespace freyja::engine
