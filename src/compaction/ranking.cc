#include "compaction/ranking.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <limits>
#include <utility>

namespace freyja::compaction {

namespace {

constexpr std::uint64_t kYoungestShare = 16;

constexpr std::array<std::pair<Selection, std::string_view>, 3> kSelections = {
    {{Selection::kGreedy, "greedy"},
     {Selection::kCostBenefit, "cost-benefit"},
     {Selection::kAgeClasses, "age-classes"}}};

// Whether its numbers have no gaps: then it comes straight from the log.
bool IsDense(const SegmentFacts& facts) {
  return facts.record_count != 0 && facts.highest_sequence >= facts.lowest_sequence &&
         facts.highest_sequence - facts.lowest_sequence == facts.record_count - 1;
}

}  // namespace

std::string_view SelectionName(Selection selection) {
  return std::ranges::find(kSelections, selection, &std::pair<Selection, std::string_view>::first)
      ->second;
}

std::optional<Selection> SelectionFromName(std::string_view name) {
  for (const auto& [selection, its_name] : kSelections) {
    if (its_name == name) return selection;
  }
  return std::nullopt;
}

unsigned AgeClassOf(std::uint64_t age, std::uint64_t live_records) {
  const std::uint64_t unit = std::max<std::uint64_t>(live_records / kYoungestShare, 1);
  const auto width = static_cast<unsigned>(std::bit_width(age / unit));
  return std::min((width + 1) / 2, kAgeClassCount - 1);
}

StoreAges::StoreAges(std::span<const SegmentFacts> sealed, std::uint64_t now_sequence)
    : now_(now_sequence) {
  const SegmentFacts* oldest = nullptr;
  const SegmentFacts* newest = nullptr;
  for (const SegmentFacts& facts : sealed) {
    now_ = std::max(now_, facts.highest_sequence);
    live_ += facts.live_records;
    highest_id_ = std::max(highest_id_, facts.id);
    if (!IsDense(facts)) continue;
    if (oldest == nullptr || facts.id < oldest->id) oldest = &facts;
    if (newest == nullptr || facts.id > newest->id) newest = &facts;
  }
  if (oldest != newest && newest->highest_sequence > oldest->lowest_sequence) {
    sequences_per_id_ =
        static_cast<double>(newest->highest_sequence - oldest->lowest_sequence + 1) /
        static_cast<double>(newest->id - oldest->id + 1);
  } else if (highest_id_ != 0) {
    sequences_per_id_ = static_cast<double>(now_) / static_cast<double>(highest_id_);
  }
}

std::uint64_t StoreAges::AgeOf(const SegmentFacts& facts) const {
  return now_ - std::min(now_, facts.highest_sequence) + 1;
}

std::uint64_t StoreAges::SinceWritten(const SegmentFacts& facts) const {
  const double estimate = static_cast<double>(highest_id_ - facts.id) * sequences_per_id_;
  const std::uint64_t age = AgeOf(facts);
  // It was written after its last record and before now.
  if (estimate >= static_cast<double>(age)) return age;
  return static_cast<std::uint64_t>(estimate) + 1;
}

double WorthOf(const SegmentFacts& facts, double live_share, const StoreAges& ages,
               Selection selection) {
  const double dead_share = 1.0 - live_share;
  if (selection == Selection::kGreedy || dead_share <= 0) return dead_share;
  if (selection == Selection::kCostBenefit) {
    return dead_share * static_cast<double>(ages.AgeOf(facts)) / (1.0 + live_share);
  }
  if (live_share <= 0) return std::numeric_limits<double>::infinity();
  const double log_live = std::log1p(-dead_share);
  const double death_rate = -log_live / static_cast<double>(ages.SinceWritten(facts));
  return (dead_share / live_share + log_live) / death_rate;
}

}  // namespace freyja::compaction
