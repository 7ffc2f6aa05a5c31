#include "compaction/tombstone_rule.h"

#include <algorithm>
#include <map>
#include <optional>
#include <string>

#include "engine/segment_file.h"
#include "engine/segment_summary.h"
#include "format/bloom.h"

namespace freyja::compaction {

void TombstoneRule::KeepHidden(const format::SealedSegment& segment,
                               std::span<const Candidate> candidates, std::vector<bool>& may_drop) {
  const auto older_here = [&](std::size_t i) {
    return may_drop[i] && candidates[i].sequence > segment.lowest_sequence;
  };
  bool any = false;
  for (std::size_t i = 0; i < candidates.size() && !any; ++i) any = older_here(i);
  if (!any) return;

  const format::HintHeader hint = engine::HintHeaderOf(manifest_.store, segment);
  // A filter that can't be read says "maybe".
  const auto read = engine::ReadHintFilter(directory_, hint);
  const std::span<const std::byte> filter =
      read ? std::span<const std::byte>(*read) : std::span<const std::byte>();
  std::multimap<format::KeyHash, std::size_t> suspects;
  for (std::size_t i = 0; i < candidates.size(); ++i) {
    if (older_here(i) && format::MayContain(filter, candidates[i].hash)) {
      suspects.emplace(candidates[i].hash, i);
    }
  }
  if (suspects.empty()) return;

  const auto entries = engine::ReadHintEntries(directory_, hint);
  if (!entries) {
    for (const auto& [hash, i] : suspects) may_drop[i] = false;
    keeper_ = segment.id;
    return;
  }
  for (const format::HintEntry& entry : *entries) {
    const auto [first, last] = suspects.equal_range(entry.hash);
    for (auto it = first; it != last; ++it) {
      if (entry.sequence >= candidates[it->second].sequence) continue;
      may_drop[it->second] = false;
      keeper_ = segment.id;
    }
  }
}

std::vector<bool> TombstoneRule::MayDrop(std::span<const Candidate> candidates) {
  std::vector<bool> may_drop(candidates.size(), true);
  for (std::size_t i = 0; i < candidates.size(); ++i) {
    if (candidates[i].sequence >= manifest_.log_first_sequence) may_drop[i] = false;
  }
  manifest_.ForEachSealedOrQuarantined([&](const format::SealedSegment& segment) {
    if (!victims_.contains(segment.id)) KeepHidden(segment, candidates, may_drop);
  });
  for (std::size_t i = 0; i < candidates.size(); ++i) {
    if (may_drop[i]) highest_dropped_ = std::max(highest_dropped_, candidates[i].sequence);
  }
  return may_drop;
}

Status TombstoneRule::Recheck(const format::Manifest& now) const {
  std::set<std::uint64_t> known;
  manifest_.ForEachSealedOrQuarantined(
      [&](const format::SealedSegment& segment) { known.insert(segment.id); });
  std::optional<std::uint64_t> older;
  now.ForEachSealedOrQuarantined([&](const format::SealedSegment& segment) {
    if (!known.contains(segment.id) && segment.lowest_sequence <= highest_dropped_) {
      older = segment.id;
    }
  });
  if (!older) return Status::Ok();
  return Status(StatusCode::kAborted, "segment " + std::to_string(*older) +
                                          ", sealed meanwhile, may hold what a dropped tombstone "
                                          "hides");
}

}  // namespace freyja::compaction
