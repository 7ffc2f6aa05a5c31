#include "engine/index_builder.h"

#include <algorithm>
#include <atomic>
#include <bit>
#include <numeric>

#include "base/status_macros.h"
#include "engine/parallel.h"
#include "format/record.h"

namespace freyja::engine {

namespace {

// So many records are sorted at once while they are in the processor's cache.
constexpr std::uint64_t kPartRecords = 8192;
constexpr std::uint32_t kMostPartBits = 10;

}  // namespace

// --- Loading --------------------------------------------------------------------------

LoadedEntries::LoadedEntries(std::uint64_t records)
    : part_bits_(std::min(static_cast<std::uint32_t>(std::bit_width(records / kPartRecords)),
                          kMostPartBits)),
      parts_(std::size_t{1} << part_bits_) {}

void LoadedEntries::AddChunk(std::size_t part) {
  Chunk* const chunk = new (memory_[GroupOf(part)].Allocate(sizeof(Chunk))) Chunk;
  chunk->previous = parts_[part].last;
  parts_[part] = {.last = chunk, .next = chunk->entries, .end = chunk->entries + Chunk::kEntries};
}

void LoadedEntries::AddAll(const Segment& segment, const auto& entries) {
  // Entries go to places all over the memory: each is asked for before it is needed.
  constexpr std::size_t kAhead = 16;
  const std::size_t count = entries.size();
  for (std::size_t i = 0; i < count; ++i) {
    if (i + kAhead < count) {
      const std::size_t later = RangeNumber(entries[i + kAhead].hash.low, part_bits_);
      __builtin_prefetch(parts_[later].next, 1);
    }
    const format::HintEntry entry = entries[i];
    const std::uint64_t bytes = std::uint64_t{entry.length_units} * format::kRecordAlignment;
    const std::uint64_t offset = std::uint64_t{entry.offset_units} * format::kRecordAlignment;
    const Location location(segment.slot(), offset, bytes);
    if (location.length_bytes() == 0) long_records_.emplace(location.raw(), bytes);
    const std::size_t number = RangeNumber(entry.hash.low, part_bits_);
    Part& part = parts_[number];
    if (part.next == part.end) AddChunk(number);
    *part.next++ = {.hash_low = entry.hash.low,
                    .hash_high = entry.hash.high,
                    .sequence = entry.sequence,
                    .location = entry.is_tombstone ? Location().raw() : location.raw()};
  }
}

void LoadedEntries::Add(const Segment& segment, const format::HintEntries& entries) {
  AddAll(segment, entries);
}

void LoadedEntries::Add(const Segment& segment, std::span<const format::HintEntry> entries) {
  AddAll(segment, entries);
}

// --- Building -------------------------------------------------------------------------

// Three steps: the winners of each part, sorted by hash; which ranges of hashes become a page;
// the pages.
class IndexBuilder {
 public:
  IndexBuilder(std::vector<LoadedEntries> loaded, Index& index, SegmentTable& segments,
               unsigned threads)
      : loaded_(std::move(loaded)),
        index_(index),
        segments_(segments),
        threads_(threads),
        part_bits_(loaded_.front().part_bits_),
        benches_(threads),
        winners_(loaded_.front().parts_.size()) {}

  Status Run();

 private:
  using Entry = LoadedEntries::Entry;
  using Chunk = LoadedEntries::Chunk;

  struct Winner {
    std::uint64_t hash;
    Location location;
  };
  // By segment slot.
  struct Live {
    std::uint64_t records = 0;
    std::uint64_t bytes = 0;
  };
  using LiveCounts = std::vector<Live>;
  // Parts [first_part, last_part], of the first one from `begin` on, of the last one up to `end`.
  // Runs through more than one part only as a whole.
  struct PlannedPage {
    std::uint32_t depth;
    std::uint32_t lines;
    std::size_t first_part;
    std::size_t last_part;
    std::size_t begin;
    std::size_t end;
  };

  Status FindWinners();
  Status FindWinnersOfGroup(std::size_t group);
  // What a thread works with, kept from part to part.
  struct Bench {
    std::vector<Entry> loaded;
    std::vector<Entry> entries;
    std::vector<std::size_t> starts;
    base::HugeArena winners;
    LiveCounts live;
  };
  void FindWinnersOf(std::size_t part, Bench& bench);
  void CollectSorted(std::size_t part, Bench& bench) const;
  std::uint64_t BytesOf(Location location) const;
  void CountLive();
  void PlanParts(std::size_t first_part, std::size_t parts, std::uint32_t depth);
  void PlanWithin(std::size_t part, std::size_t begin, std::size_t end, std::uint64_t first_hash,
                  std::uint32_t depth);
  Result<std::unique_ptr<IndexPage>> MakePage(const PlannedPage& planned) const;

  std::vector<LoadedEntries> loaded_;
  Index& index_;
  SegmentTable& segments_;
  const unsigned threads_;
  const std::uint32_t part_bits_;
  std::vector<Bench> benches_;              // one for each thread
  std::vector<std::span<Winner>> winners_;  // of each part, by hash
  std::uint32_t deepest_ = 0;               // that a page may be
  std::vector<PlannedPage> planned_;
};

Status IndexBuilder::Run() {
  FREYJA_RETURN_IF_ERROR(FindWinners());
  loaded_.clear();
  std::uint64_t keys = 0;
  for (const auto& of_part : winners_) keys += of_part.size();
  deepest_ =
      Index::MaxDepth(keys / (std::uint64_t{kSlotsPerLine} * index_.options().max_page_lines));
  PlanParts(0, winners_.size(), 0);
  std::vector<std::unique_ptr<IndexPage>> pages(planned_.size());
  const Status made = RunParallel(planned_.size(), threads_, [&](std::size_t i) -> Status {
    FREYJA_ASSIGN_OR_RETURN(pages[i], MakePage(planned_[i]));
    return Status::Ok();
  });
  FREYJA_RETURN_IF_ERROR(made);
  return index_.Adopt(std::move(pages));
}

Status IndexBuilder::FindWinners() {
  for (std::size_t group = 0; group < LoadedEntries::kGroups; ++group) {
    FREYJA_RETURN_IF_ERROR(FindWinnersOfGroup(group));
    for (LoadedEntries& loaded : loaded_) loaded.memory_[group] = {};
  }
  CountLive();
  return Status::Ok();
}

Status IndexBuilder::FindWinnersOfGroup(std::size_t group) {
  const std::size_t end = loaded_.front().FirstPartFrom(group + 1);
  std::atomic<std::size_t> next{loaded_.front().FirstPartFrom(group)};
  return RunParallel(threads_, threads_, [&](std::size_t thread) -> Status {
    for (std::size_t i = next.fetch_add(1); i < end; i = next.fetch_add(1)) {
      FindWinnersOf(i, benches_[thread]);
    }
    return Status::Ok();
  });
}

// The bits behind those that a part shares put a few entries into each of many buckets; only
// these are sorted by comparing.
void IndexBuilder::CollectSorted(std::size_t part, Bench& bench) const {
  bench.loaded.clear();
  for (const LoadedEntries& loaded : loaded_) {
    const LoadedEntries::Part& of_part = loaded.parts_[part];
    for (const Chunk* chunk = of_part.last; chunk != nullptr; chunk = chunk->previous) {
      const Entry* const end =
          chunk == of_part.last ? of_part.next : chunk->entries + Chunk::kEntries;
      bench.loaded.insert(bench.loaded.end(), chunk->entries, end);
    }
  }
  const auto bits =
      std::clamp(static_cast<std::uint32_t>(std::bit_width(bench.loaded.size() / 8)), 1u, 16u);
  const auto bucket = [&](const Entry& entry) {
    return RangeNumber(entry.hash_low << part_bits_, bits);
  };
  bench.starts.assign((std::size_t{1} << bits) + 1, 0);
  for (const Entry& entry : bench.loaded) ++bench.starts[bucket(entry) + 1];
  std::partial_sum(bench.starts.begin(), bench.starts.end(), bench.starts.begin());
  bench.entries.resize(bench.loaded.size());
  for (const Entry& entry : bench.loaded) bench.entries[bench.starts[bucket(entry)]++] = entry;
  // Each start has become the end of its bucket.
  std::size_t begin = 0;
  for (const std::size_t end : std::span(bench.starts).first(std::size_t{1} << bits)) {
    std::ranges::sort(std::span(bench.entries).subspan(begin, end - begin),
                      [](const Entry& a, const Entry& b) {
                        if (a.hash_low != b.hash_low) return a.hash_low < b.hash_low;
                        if (a.hash_high != b.hash_high) return a.hash_high < b.hash_high;
                        return a.sequence > b.sequence;
                      });
    begin = end;
  }
}

void IndexBuilder::FindWinnersOf(std::size_t part, Bench& bench) {
  CollectSorted(part, bench);
  std::vector<Entry>& entries = bench.entries;
  const auto losers = std::ranges::unique(entries, [](const Entry& a, const Entry& b) {
    return a.hash_low == b.hash_low && a.hash_high == b.hash_high;
  });
  entries.erase(losers.begin(), losers.end());
  auto* const winners =
      reinterpret_cast<Winner*>(bench.winners.Allocate(entries.size() * sizeof(Winner)));
  std::size_t count = 0;
  LiveCounts& live = bench.live;
  for (const Entry& entry : entries) {
    const Location location(entry.location);
    if (location.is_none()) continue;
    // 128-bit hashes differ, so the keys do, even if the index's 64 bits are the same.
    new (winners + count++) Winner{.hash = entry.hash_low, .location = location};
    if (live.size() <= location.slot()) live.resize(location.slot() + 1);
    ++live[location.slot()].records;
    live[location.slot()].bytes += BytesOf(location);
  }
  winners_[part] = {winners, count};
}

std::uint64_t IndexBuilder::BytesOf(Location location) const {
  if (const std::uint64_t bytes = location.length_bytes(); bytes != 0) return bytes;
  for (const LoadedEntries& loaded : loaded_) {
    const auto found = loaded.long_records_.find(location.raw());
    if (found != loaded.long_records_.end()) return found->second;
  }
  return 0;  // not reached: whoever added the location has it
}

void IndexBuilder::CountLive() {
  LiveCounts sum;
  for (const Bench& bench : benches_) {
    sum.resize(std::max(sum.size(), bench.live.size()));
    for (std::size_t slot = 0; slot < bench.live.size(); ++slot) {
      sum[slot].records += bench.live[slot].records;
      sum[slot].bytes += bench.live[slot].bytes;
    }
  }
  segments_.ForEach([&](Segment& segment) {
    if (segment.slot() >= sum.size()) return;
    segment.SetLive(sum[segment.slot()].records, sum[segment.slot()].bytes);
  });
}

// `parts` neighbouring parts are a range of hashes that share `depth` top bits.
void IndexBuilder::PlanParts(std::size_t first_part, std::size_t parts, std::uint32_t depth) {
  const std::uint64_t first_hash = part_bits_ == 0 ? 0 : first_part << (64 - part_bits_);
  if (parts == 1) {
    return PlanWithin(first_part, 0, winners_[first_part].size(), first_hash, depth);
  }
  std::uint64_t keys = 0;
  for (std::size_t i = first_part; i < first_part + parts; ++i) keys += winners_[i].size();
  const std::uint32_t lines = index_.LinesToLoad(keys);
  if (lines <= index_.MaxLines(first_hash)) {
    const std::size_t last_part = first_part + parts - 1;
    planned_.push_back({depth, lines, first_part, last_part, 0, winners_[last_part].size()});
    return;
  }
  PlanParts(first_part, parts / 2, depth + 1);
  PlanParts(first_part + parts / 2, parts / 2, depth + 1);
}

void IndexBuilder::PlanWithin(std::size_t part, std::size_t begin, std::size_t end,
                              std::uint64_t first_hash, std::uint32_t depth) {
  const std::span<const Winner> winners = winners_[part];
  const std::uint32_t lines = index_.LinesToLoad(end - begin);
  // Keys whose top bits are the same can't be told apart by splitting.
  const bool separable =
      begin != end && static_cast<std::uint32_t>(
                          std::countl_zero(winners[begin].hash ^ winners[end - 1].hash)) < deepest_;
  if (lines <= index_.MaxLines(first_hash) || !separable) {
    planned_.push_back({depth, std::min(lines, kMaxPageLines), part, part, begin, end});
    return;
  }
  const std::uint64_t bit = std::uint64_t{1} << (63 - depth);
  const auto middle =
      std::partition_point(winners.begin() + static_cast<std::ptrdiff_t>(begin),
                           winners.begin() + static_cast<std::ptrdiff_t>(end),
                           [&](const Winner& winner) { return (winner.hash & bit) == 0; });
  const auto split = static_cast<std::size_t>(middle - winners.begin());
  PlanWithin(part, begin, split, first_hash, depth + 1);
  PlanWithin(part, split, end, first_hash | bit, depth + 1);
}

Result<std::unique_ptr<IndexPage>> IndexBuilder::MakePage(const PlannedPage& planned) const {
  auto page = IndexPage::Create(planned.lines, planned.depth);
  if (page == nullptr) return std::unexpected(Status(StatusCode::kOutOfMemory, "an index page"));
  for (std::size_t part = planned.first_part; part <= planned.last_part; ++part) {
    const std::span<const Winner> winners = winners_[part];
    const std::size_t begin = part == planned.first_part ? planned.begin : 0;
    const std::size_t end = part == planned.last_part ? planned.end : winners.size();
    for (std::size_t i = begin; i < end; ++i) {
      if (page->InsertUnshared(winners[i].hash, winners[i].location.raw())) continue;
      return std::unexpected(Status(StatusCode::kOutOfMemory, "an index page of equal hashes"));
    }
  }
  return page;
}

Status BuildIndex(std::vector<LoadedEntries> loaded, Index& index, SegmentTable& segments,
                  unsigned threads) {
  return IndexBuilder(std::move(loaded), index, segments, threads).Run();
}

}  // namespace freyja::engine
