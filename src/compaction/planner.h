// Which segments to compact. Pure: decides from facts, touches nothing.
//
// A step is a plan whose input is bounded. It takes the segments that are worth most
// (ranking.h), with kAgeClasses all of one age class: records of a segment have about one
// age, so survivors of different ages stay apart with no state of their own.
//
// Why repeating plans ends if nothing else changes: a plan either gains bytes, or it
// replaces several small segments by fewer and copies no more bytes than it read. So the
// pair (record bytes held, number of segments) falls in dictionary order each time.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "compaction/ranking.h"

namespace freyja::compaction {

struct PlanLimits {
  double min_space_saving = 0.25;      // dead share that a segment needs to be worth a copy
  std::uint64_t max_input_bytes = 0;   // 0: no bound, and no restriction to one age class
  std::uint64_t max_output_bytes = 0;  // what fits on the disk
  Selection selection = Selection::kAgeClasses;
  std::uint64_t now_sequence = 0;   // the last number given; 0: the highest sealed one
  std::uint64_t segment_bytes = 0;  // of records in a full segment; 0: don't combine small ones
  bool mix_ages = false;            // one step may take victims of several age classes
};

// Why a segment is no victim of a plan.
enum class PassOver : std::uint8_t {
  kNoRecords,         // empty, or nothing in it can be copied
  kUnavailable,       // the caller said so
  kNoGain,            // nothing in it is dead
  kTombstonesNeeded,  // it would gain enough if its tombstones hid nothing
  kBelowThreshold,    // its dead share is less than min_space_saving
  kNoRoom,            // its rest doesn't fit on the disk beside the others'
  kBeyondLimit,       // worth it, in a later step: this one's input is full
  kOtherAge,          // worth it, in a later step: this one is of another age class
};
// A phrase for people: "below the threshold".
std::string_view PassOverName(PassOver reason);

struct PassedOver {
  std::uint64_t id = 0;
  PassOver reason = PassOver::kNoGain;
  friend bool operator==(const PassedOver&, const PassedOver&) = default;
};

struct Plan {
  std::vector<std::uint64_t> victims;  // ascending; empty: nothing is worth it
  std::uint64_t input_bytes = 0;
  std::uint64_t output_bytes = 0;       // of records, at most
  std::uint64_t disk_bytes = 0;         // that the outputs take, hints included, at most
  std::size_t combined = 0;             // victims taken only because they are small
  std::vector<PassedOver> passed_over;  // every other segment, ascending
  std::string reason;
  std::uint64_t gain() const { return input_bytes - output_bytes; }
};

// Takes sealed segments in the order of their worth, each with at least min_space_saving and
// a gain, as far as the limits allow; one that doesn't fit is skipped, the others go on. A
// single segment may exceed max_input_bytes. Tombstones count as gain only where no other
// segment can hold what they hide: a needed tombstone isn't freed by copying it.
//
// Segments of less than a quarter of segment_bytes are combined, whatever is dead in them:
// they fill up the last output of a plan of their age class, or, where nothing else is to be
// done, at least four of a class become one. The gain of a plan is never zero unless all of
// its victims are such.
Plan MakePlan(std::span<const SegmentFacts> sealed, const PlanLimits& limits);

}  // namespace freyja::compaction
