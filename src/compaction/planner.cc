#include "compaction/planner.h"

#include <algorithm>
#include <array>
#include <optional>
#include <utility>

namespace freyja::compaction {

namespace {

// A hint's entry and its share of the filter, rounded up.
constexpr std::uint64_t kHintBytesPerRecord = 34;
constexpr std::uint64_t kSmallestTombstone = 24;
// A segment is small below this part of a full one. Steps leave a last output that is partly
// filled; only the smallest of those are worth being copied once more.
constexpr std::uint64_t kSmallPart = 4;
// Fewer aren't combined by themselves, so that a trickle of tiny segments isn't copied for
// each that comes: every copy of a record makes its segment about four times as large.
constexpr std::size_t kFewestToCombine = 4;

struct Candidate {
  const SegmentFacts* facts = nullptr;
  std::uint64_t output_bytes = 0;
  std::uint64_t disk_bytes = 0;
  unsigned age_class = 0;  // 0 throughout where classes aren't kept apart
  double worth = 0;
  // Empty: nothing speaks against it, or it was chosen.
  std::optional<PassOver> reason = {};
  bool is_victim = false;
};

class Planner {
 public:
  Planner(std::span<const SegmentFacts> sealed, const PlanLimits& limits)
      : sealed_(sealed), limits_(limits), ages_(sealed, limits.now_sequence) {}

  Plan Make() {
    Survey();
    TakeWorthwhile();
    if (limits_.segment_bytes != 0) {
      if (plan_.victims.empty()) {
        CombineSmall();
      } else {
        FillLastOutput();
      }
    }
    Finish();
    return std::move(plan_);
  }

 private:
  void Survey();
  Candidate Assess(const SegmentFacts& facts, std::uint64_t lowest_elsewhere) const;
  std::optional<PassOver> Objection(const Candidate& candidate) const;
  void TakeWorthwhile();
  std::vector<Candidate*> SmallOnes();
  void FillLastOutput();
  void CombineSmall();
  bool ExceedsInput(const Candidate& candidate) const;
  bool HasRoom(const Candidate& candidate) const;
  void Take(Candidate& candidate);
  void Finish();

  const std::span<const SegmentFacts> sealed_;
  const PlanLimits& limits_;
  const StoreAges ages_;
  std::vector<Candidate> candidates_;  // in the order of their worth
  unsigned age_class_ = 0;             // of the victims
  Plan plan_;
};

void Planner::Survey() {
  // The two lowest, so that each segment has the lowest of all others at hand.
  std::uint64_t lowest = UINT64_MAX;
  std::uint64_t second_lowest = UINT64_MAX;
  for (const SegmentFacts& facts : sealed_) {
    second_lowest = std::min(second_lowest, std::max(lowest, facts.lowest_sequence));
    lowest = std::min(lowest, facts.lowest_sequence);
  }
  candidates_.reserve(sealed_.size());
  for (const SegmentFacts& facts : sealed_) {
    candidates_.push_back(Assess(facts, facts.lowest_sequence == lowest ? second_lowest : lowest));
  }
  std::ranges::sort(candidates_, [](const Candidate& a, const Candidate& b) {
    return a.worth != b.worth ? a.worth > b.worth : a.facts->id < b.facts->id;
  });
}

// What must be copied if this segment alone were compacted, and what it is worth.
Candidate Planner::Assess(const SegmentFacts& facts, std::uint64_t lowest_elsewhere) const {
  Candidate candidate{.facts = &facts};
  const bool hides_nothing = lowest_elsewhere > facts.highest_sequence;
  const std::uint64_t tombstones = hides_nothing ? 0 : facts.tombstone_bytes;
  candidate.output_bytes = std::min(facts.live_bytes + tombstones, facts.record_bytes);
  candidate.disk_bytes =
      candidate.output_bytes +
      kHintBytesPerRecord * (facts.live_records + tombstones / kSmallestTombstone);
  if (limits_.selection == Selection::kAgeClasses && !limits_.mix_ages)
    candidate.age_class = ages_.ClassOf(facts);
  candidate.reason = Objection(candidate);
  if (!candidate.reason) {
    const double live_share =
        static_cast<double>(candidate.output_bytes) / static_cast<double>(facts.record_bytes);
    candidate.worth = WorthOf(facts, live_share, ages_, limits_.selection);
  }
  return candidate;
}

std::optional<PassOver> Planner::Objection(const Candidate& candidate) const {
  const SegmentFacts& facts = *candidate.facts;
  if (facts.record_bytes == 0) return PassOver::kNoRecords;
  if (!facts.is_available) return PassOver::kUnavailable;
  if (facts.live_bytes >= facts.record_bytes) return PassOver::kNoGain;
  const auto is_enough = [&](std::uint64_t output_bytes) {
    const double live_share =
        static_cast<double>(output_bytes) / static_cast<double>(facts.record_bytes);
    return output_bytes < facts.record_bytes && 1.0 - live_share >= limits_.min_space_saving;
  };
  if (is_enough(candidate.output_bytes)) return std::nullopt;
  return is_enough(facts.live_bytes) ? PassOver::kTombstonesNeeded : PassOver::kBelowThreshold;
}

bool Planner::ExceedsInput(const Candidate& candidate) const {
  return limits_.max_input_bytes != 0 && !plan_.victims.empty() &&
         plan_.input_bytes + candidate.facts->record_bytes > limits_.max_input_bytes;
}

bool Planner::HasRoom(const Candidate& candidate) const {
  return plan_.disk_bytes + candidate.disk_bytes <= limits_.max_output_bytes;
}

void Planner::Take(Candidate& candidate) {
  candidate.reason.reset();
  candidate.is_victim = true;
  age_class_ = candidate.age_class;
  plan_.victims.push_back(candidate.facts->id);
  plan_.input_bytes += candidate.facts->record_bytes;
  plan_.output_bytes += candidate.output_bytes;
  plan_.disk_bytes += candidate.disk_bytes;
}

void Planner::TakeWorthwhile() {
  for (Candidate& candidate : candidates_) {
    if (candidate.reason) continue;
    if (limits_.max_input_bytes != 0 && !plan_.victims.empty() &&
        candidate.age_class != age_class_) {
      candidate.reason = PassOver::kOtherAge;
    } else if (ExceedsInput(candidate)) {
      candidate.reason = PassOver::kBeyondLimit;
    } else if (!HasRoom(candidate)) {
      candidate.reason = PassOver::kNoRoom;
    } else {
      Take(candidate);
    }
  }
}

// That could be combined with others, smallest rest first.
std::vector<Candidate*> Planner::SmallOnes() {
  std::vector<Candidate*> small;
  for (Candidate& candidate : candidates_) {
    const SegmentFacts& facts = *candidate.facts;
    if (candidate.is_victim || !facts.is_available || facts.record_bytes == 0) continue;
    if (facts.record_bytes < limits_.segment_bytes / kSmallPart) small.push_back(&candidate);
  }
  std::ranges::sort(small, [](const Candidate* a, const Candidate* b) {
    return a->output_bytes != b->output_bytes ? a->output_bytes < b->output_bytes
                                              : a->facts->id < b->facts->id;
  });
  return small;
}

void Planner::FillLastOutput() {
  const std::uint64_t last = plan_.output_bytes % limits_.segment_bytes;
  if (last == 0) return;
  const std::uint64_t full = plan_.output_bytes - last + limits_.segment_bytes;
  for (Candidate* const candidate : SmallOnes()) {
    if (candidate->age_class != age_class_) continue;
    if (plan_.output_bytes + candidate->output_bytes > full) break;
    if (ExceedsInput(*candidate) || !HasRoom(*candidate)) continue;
    Take(*candidate);
    ++plan_.combined;
  }
}

void Planner::CombineSmall() {
  const std::vector<Candidate*> small = SmallOnes();
  for (unsigned age_class = 0; age_class < kAgeClassCount; ++age_class) {
    std::vector<Candidate*> group;
    std::uint64_t input = 0;
    std::uint64_t output = 0;
    std::uint64_t disk = 0;
    for (Candidate* const candidate : small) {
      if (candidate->age_class != age_class) continue;
      const std::uint64_t record_bytes = candidate->facts->record_bytes;
      const bool fits =
          output + candidate->output_bytes <= limits_.segment_bytes &&
          disk + candidate->disk_bytes <= limits_.max_output_bytes &&
          (limits_.max_input_bytes == 0 || input + record_bytes <= limits_.max_input_bytes);
      if (!fits) continue;
      group.push_back(candidate);
      input += record_bytes;
      output += candidate->output_bytes;
      disk += candidate->disk_bytes;
    }
    // What fits in one full segment takes one, or, headers and all, two.
    if (group.size() < kFewestToCombine) continue;
    for (Candidate* const candidate : group) Take(*candidate);
    plan_.combined = group.size();
    return;
  }
}

void Planner::Finish() {
  std::size_t exceeding = 0;
  for (const Candidate& candidate : candidates_) {
    if (!candidate.reason) continue;
    plan_.passed_over.push_back({candidate.facts->id, *candidate.reason});
    if (*candidate.reason >= PassOver::kNoRoom) ++exceeding;
  }
  std::ranges::sort(plan_.victims);
  std::ranges::sort(plan_.passed_over, {}, &PassedOver::id);
  const std::string of_all = " of " + std::to_string(sealed_.size()) + " sealed segments ";
  const std::size_t worthwhile = plan_.victims.size() - plan_.combined;
  if (plan_.victims.empty()) {
    plan_.reason = "nothing to gain:" + of_all +
                   std::to_string(plan_.passed_over.size() - exceeding) +
                   " save less than the minimum and " + std::to_string(exceeding) +
                   " would not fit on the disk";
  } else if (worthwhile == 0) {
    plan_.reason = std::to_string(plan_.combined) + of_all + "are small and become one";
  } else {
    plan_.reason = std::to_string(worthwhile) + of_all + "save at least the minimum";
    if (plan_.combined != 0)
      plan_.reason += "; " + std::to_string(plan_.combined) + " small ones go with them";
    if (exceeding != 0)
      plan_.reason += "; " + std::to_string(exceeding) + " more exceed this job's limits";
  }
}

}  // namespace

std::string_view PassOverName(PassOver reason) {
  constexpr std::array<std::string_view, 8> kNames = {
      "holds no records that can be copied",
      "unavailable",
      "nothing in it is dead",
      "its tombstones are still needed",
      "below the threshold",
      "no room for its rest on the disk",
      "left to a later step",
      "left to a later step, with others of its age",
  };
  return kNames.at(static_cast<std::size_t>(reason));
}

Plan MakePlan(std::span<const SegmentFacts> sealed, const PlanLimits& limits) {
  return Planner(sealed, limits).Make();
}

}  // namespace freyja::compaction
