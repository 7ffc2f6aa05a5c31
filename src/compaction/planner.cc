#include "compaction/planner.h"

#include <algorithm>

namespace freyja::compaction {

namespace {

// A hint's entry and its share of the filter, rounded up.
constexpr std::uint64_t kHintBytesPerRecord = 34;
constexpr std::uint64_t kSmallestTombstone = 24;

struct Candidate {
  SegmentFacts facts;
  std::uint64_t output_bytes = 0;
  std::uint64_t disk_bytes = 0;
  double saving = 0;
};

// What must be copied if this segment alone were compacted.
Candidate Assess(const SegmentFacts& facts, std::uint64_t lowest_elsewhere) {
  const bool hides_nothing = lowest_elsewhere > facts.highest_sequence;
  const std::uint64_t tombstones = hides_nothing ? 0 : facts.tombstone_bytes;
  Candidate candidate{.facts = facts};
  candidate.output_bytes = std::min(facts.live_bytes + tombstones, facts.record_bytes);
  candidate.disk_bytes =
      candidate.output_bytes +
      kHintBytesPerRecord * (facts.live_records + tombstones / kSmallestTombstone);
  candidate.saving =
      1.0 - static_cast<double>(candidate.output_bytes) / static_cast<double>(facts.record_bytes);
  return candidate;
}

std::vector<Candidate> RankCandidates(std::span<const SegmentFacts> sealed) {
  // The two lowest, so that each segment has the lowest of all others at hand.
  std::uint64_t lowest = UINT64_MAX;
  std::uint64_t second_lowest = UINT64_MAX;
  for (const SegmentFacts& facts : sealed) {
    second_lowest = std::min(second_lowest, std::max(lowest, facts.lowest_sequence));
    lowest = std::min(lowest, facts.lowest_sequence);
  }
  std::vector<Candidate> candidates;
  for (const SegmentFacts& facts : sealed) {
    if (facts.record_bytes == 0) continue;
    candidates.push_back(Assess(facts, facts.lowest_sequence == lowest ? second_lowest : lowest));
  }
  std::ranges::sort(candidates, [](const Candidate& a, const Candidate& b) {
    return a.saving != b.saving ? a.saving > b.saving : a.facts.id < b.facts.id;
  });
  return candidates;
}

}  // namespace

Plan MakePlan(std::span<const SegmentFacts> sealed, const PlanLimits& limits) {
  Plan plan;
  std::size_t no_gain = 0;
  std::size_t no_room = 0;
  for (const Candidate& candidate : RankCandidates(sealed)) {
    if (candidate.output_bytes >= candidate.facts.record_bytes ||
        candidate.saving < limits.min_space_saving) {
      ++no_gain;
      continue;
    }
    const bool too_much_input =
        limits.max_input_bytes != 0 && !plan.victims.empty() &&
        plan.input_bytes + candidate.facts.record_bytes > limits.max_input_bytes;
    if (too_much_input || plan.disk_bytes + candidate.disk_bytes > limits.max_output_bytes) {
      ++no_room;
      continue;
    }
    plan.victims.push_back(candidate.facts.id);
    plan.input_bytes += candidate.facts.record_bytes;
    plan.output_bytes += candidate.output_bytes;
    plan.disk_bytes += candidate.disk_bytes;
  }
  std::ranges::sort(plan.victims);
  if (plan.victims.empty()) {
    plan.reason = "nothing to gain: of " + std::to_string(sealed.size()) + " sealed segments " +
                  std::to_string(no_gain) + " save less than the minimum and " +
                  std::to_string(no_room) + " would not fit on the disk";
  } else {
    plan.reason = std::to_string(plan.victims.size()) + " of " + std::to_string(sealed.size()) +
                  " sealed segments save at least the minimum";
    if (no_room != 0)
      plan.reason += "; " + std::to_string(no_room) + " more exceed this job's limits";
  }
  return plan;
}

}  // namespace freyja::compaction
