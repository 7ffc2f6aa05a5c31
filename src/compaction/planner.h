// Which segments to compact. Pure: decides from facts, touches nothing.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace freyja::compaction {

struct SegmentFacts {
  std::uint64_t id = 0;
  std::uint64_t record_bytes = 0;
  std::uint64_t live_bytes = 0;
  std::uint64_t live_records = 0;
  std::uint64_t tombstone_bytes = 0;  // of tombstones that may still be needed
  std::uint64_t lowest_sequence = 0;
  std::uint64_t highest_sequence = 0;
};

struct PlanLimits {
  double min_space_saving = 0.25;
  std::uint64_t max_input_bytes = 0;   // 0: no bound
  std::uint64_t max_output_bytes = 0;  // what fits on the disk
};

struct Plan {
  std::vector<std::uint64_t> victims;  // ascending; empty: nothing is worth it
  std::uint64_t input_bytes = 0;
  std::uint64_t output_bytes = 0;  // of records, at most
  std::uint64_t disk_bytes = 0;    // that the outputs take, hints included, at most
  std::string reason;
  std::uint64_t gain() const { return input_bytes - output_bytes; }
};

// Takes sealed segments in the order of their dead share, each of at least
// min_space_saving, as far as the limits allow; one that doesn't fit is skipped, the others
// go on. Tombstones count as gain only where no other segment can hold what they hide:
// a needed tombstone isn't freed by copying it. The gain of a plan is never zero.
Plan MakePlan(std::span<const SegmentFacts> sealed, const PlanLimits& limits);

}  // namespace freyja::compaction
