#include "compaction/survey.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "base/status_macros.h"
#include "compaction/tombstone_rule.h"
#include "engine/segment_file.h"
#include "engine/segment_summary.h"
#include "format/record.h"
#include "format/segment_header.h"

namespace freyja::compaction {

using engine::Segment;

namespace {

SegmentFacts FactsOfSealed(const Segment& segment) {
  const format::SealedSegment& sealed = segment.sealed();
  return {.id = sealed.id,
          .record_bytes = sealed.data_bytes - format::kSegmentHeaderBytes,
          .live_bytes = segment.live_bytes(),
          .live_records = segment.live_records(),
          .tombstone_bytes = sealed.tombstone_bytes,
          .lowest_sequence = sealed.lowest_sequence,
          .highest_sequence = sealed.highest_sequence,
          .record_count = sealed.record_count};
}

SegmentFacts FactsOfLog(const Segment& segment) {
  const std::uint64_t end = segment.log_end.load();
  return {.id = segment.id(),
          .record_bytes = end - std::min<std::uint64_t>(end, format::kSegmentHeaderBytes),
          .live_bytes = segment.live_bytes(),
          .live_records = segment.live_records(),
          .lowest_sequence = segment.log_first_sequence.load(),
          .highest_sequence = segment.log_last_sequence.load(),
          .record_count = segment.log_records.load()};
}

bool InScope(const SegmentFacts& segment, const PlanScope& scope) {
  return (scope.only.empty() || scope.only.contains(segment.id)) &&
         !scope.never.contains(segment.id) && segment.highest_sequence <= scope.highest_sequence;
}

// Every segment is among the facts, because tombstones ask all of them.
std::vector<SegmentFacts> GatherFacts(engine::Store& store, const PlanScope& scope) {
  std::vector<SegmentFacts> facts;
  store.segments().ForEach([&](const Segment& segment) {
    const SegmentState state = segment.state();
    if (state == SegmentState::kRetired) return;
    if (state == SegmentState::kSealed) {
      facts.push_back(FactsOfSealed(segment));
    } else if (scope.with_log && segment.log_records.load() != 0) {
      facts.push_back(FactsOfLog(segment));
    } else {
      return;
    }
    if (state == SegmentState::kSealed && !scope.only.empty() && scope.expired_by != nullptr &&
        scope.expired_by->IsExpired(segment.sealed().highest_expiry_ms)) {
      facts.back().live_bytes = 0;
    }
    // Where the mapping failed, keys can't be told apart any more, and a put may have left two
    // slots for one: what is older there must not become readable again.
    facts.back().is_available =
        !segment.damaged() && !segment.mapping().faulted() && InScope(facts.back(), scope);
  });
  return facts;
}

// The tombstones of a sealed segment, as the rule wants them, and their lengths in bytes.
struct Tombstones {
  std::vector<TombstoneRule::Candidate> candidates;
  std::vector<std::uint64_t> bytes;
};
std::optional<Tombstones> TombstonesOf(engine::Store& store, const format::Manifest& manifest,
                                       std::uint64_t id) {
  const auto sealed = std::ranges::find(manifest.sealed, id, &format::SealedSegment::id);
  if (sealed == manifest.sealed.end()) return std::nullopt;
  const auto entries =
      engine::ReadHintEntries(store.directory(), engine::HintHeaderOf(store.uuid(), *sealed));
  if (!entries) return std::nullopt;
  Tombstones tombstones;
  for (const format::HintEntry& entry : *entries) {
    if (!entry.is_tombstone) continue;
    tombstones.candidates.push_back({.hash = entry.hash, .sequence = entry.sequence});
    tombstones.bytes.push_back(std::uint64_t{entry.length_units} * format::kRecordAlignment);
  }
  return tombstones;
}

// As if the segment were one more victim of the plan.
TombstoneRule RuleWith(engine::Store& store, const format::Manifest& manifest, const Plan& plan,
                       std::uint64_t id) {
  std::set<std::uint64_t> victims(plan.victims.begin(), plan.victims.end());
  victims.insert(id);
  return {store.directory(), manifest, std::move(victims)};
}

// The plan takes every tombstone of a segment with older neighbours for needed. Where that
// alone keeps a segment out, the rule itself is asked.
void DiscountDroppableTombstones(engine::Store& store, double min_space_saving, const Plan& plan,
                                 std::vector<SegmentFacts>& facts) {
  const format::Manifest manifest = store.manifest().Current();
  for (SegmentFacts& segment : facts) {
    if (!segment.is_available) continue;
    const bool chosen = std::ranges::binary_search(plan.victims, segment.id);
    const double share =
        static_cast<double>(segment.tombstone_bytes) / static_cast<double>(segment.record_bytes);
    if (chosen || segment.tombstone_bytes == 0 || share < min_space_saving / 2) continue;
    const auto tombstones = TombstonesOf(store, manifest, segment.id);
    if (!tombstones) continue;
    const std::vector<bool> may_drop =
        RuleWith(store, manifest, plan, segment.id).MayDrop(tombstones->candidates);
    for (std::size_t i = 0; i < may_drop.size(); ++i) {
      if (!may_drop[i]) continue;
      segment.tombstone_bytes -= std::min(segment.tombstone_bytes, tombstones->bytes[i]);
    }
  }
}

}  // namespace

std::optional<std::uint64_t> KeeperOfTombstones(engine::Store& store, const Plan& plan,
                                                std::uint64_t id) {
  const format::Manifest manifest = store.manifest().Current();
  const auto tombstones = TombstonesOf(store, manifest, id);
  if (!tombstones) return std::nullopt;
  TombstoneRule rule = RuleWith(store, manifest, plan, id);
  rule.MayDrop(tombstones->candidates);
  return rule.keeper();
}

Result<Survey> SurveyStore(engine::Store& store, const PlanScope& scope) {
  Survey survey;
  FREYJA_ASSIGN_OR_RETURN(survey.free_bytes,
                          store.directory().file_system().FreeSpace(store.directory().path()));
  const std::uint64_t held_back = store.reserve().whole() ? store.reserve().bytes() : 0;
  const std::uint64_t room = survey.free_bytes + held_back;
  const PlanLimits limits{.min_space_saving = scope.min_space_saving,
                          .max_input_bytes = scope.max_input_bytes,
                          .max_output_bytes = room - std::min(room, kManifestRoom),
                          .now_sequence = store.log().appended(),
                          .segment_bytes = scope.combine_small ? store.segment_bytes() : 0};
  survey.facts = GatherFacts(store, scope);
  Plan certain = MakePlan(survey.facts, limits);
  DiscountDroppableTombstones(store, scope.min_space_saving, certain, survey.facts);
  survey.plan = MakePlan(survey.facts, limits);
  // What was discounted may be dropped only if all of these are compacted, too. Else a
  // segment of tombstones could take their place, gain nothing, and do so in every job.
  if (!std::ranges::includes(survey.plan.victims, certain.victims))
    survey.plan = std::move(certain);
  return survey;
}

}  // namespace freyja::compaction
