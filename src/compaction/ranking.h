// How much a sealed segment is worth compacting, and which segments belong together. Pure:
// everything follows from numbers of segments and sequences, never from a clock.
//
// The worth of a victim is its gain per byte copied against the rate at which waiting would
// raise that gain. If records of a segment die at the rate d, its live share falls as
// u = exp(-d t). A group of such segments, each compacted when it has fallen to u, needs
// -ln(u) / (1 - u) bytes of space and 1 / (1 - u) bytes of writing per live byte and byte
// written by the user. Of many groups that share one disk the sum of writing is least where
// a byte of space saves each of them the same writing, which is where
//     ((1 - u) / u + ln(u)) / d
// is the same for all; the segment in which it is highest is overdue most. Fully dead
// segments come first, and among equals it prefers the older, as the cost-benefit rule of
// Rosenblum & Ousterhout does ("The Design and Implementation of a Log-Structured File
// System", TOCS 1992). Groups by expected lifetime: see SepBIT (FAST'22), of which the age of
// survivors is one half.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

namespace freyja::compaction {

struct SegmentFacts {
  std::uint64_t id = 0;
  std::uint64_t record_bytes = 0;  // 0: nothing that can be copied
  std::uint64_t live_bytes = 0;
  std::uint64_t live_records = 0;
  std::uint64_t tombstone_bytes = 0;  // of tombstones that may still be needed
  std::uint64_t lowest_sequence = 0;
  std::uint64_t highest_sequence = 0;
  std::uint64_t record_count = 0;  // dead ones included; 0: unknown
  bool is_available = true;        // false: pinned for good, failed just now, in another job
};

enum class Selection : std::uint8_t {
  kGreedy,       // the highest dead share
  kCostBenefit,  // dead share times age over cost, Rosenblum & Ousterhout
  kAgeClasses,   // the most overdue (see above), all victims of a step of one age class
};
// "greedy", "cost-benefit", "age-classes"
std::string_view SelectionName(Selection selection);
std::optional<Selection> SelectionFromName(std::string_view name);

inline constexpr unsigned kAgeClassCount = 6;

// The class of what was last written `age` numbers ago: 0 below a sixteenth of the store's
// `live_records`, each further class reaches four times as far, the last has no end.
unsigned AgeClassOf(std::uint64_t age, std::uint64_t live_records);

// What ranking needs to know of the store as a whole.
class StoreAges {
 public:
  // `now_sequence`: the last number given; 0: the highest of the segments'.
  StoreAges(std::span<const SegmentFacts> sealed, std::uint64_t now_sequence);

  // Numbers given since the segment's last record was written by a user.
  std::uint64_t AgeOf(const SegmentFacts& facts) const;
  unsigned ClassOf(const SegmentFacts& facts) const { return AgeClassOf(AgeOf(facts), live_); }
  // Numbers given since the segment itself was written, about. The outputs of compaction
  // hold old numbers, but ids are given in the order of time: segments straight from the
  // log, which hold dense numbers, tell how many numbers pass from one id to the next.
  std::uint64_t SinceWritten(const SegmentFacts& facts) const;

 private:
  std::uint64_t now_ = 0;
  std::uint64_t live_ = 0;
  std::uint64_t highest_id_ = 0;
  double sequences_per_id_ = 0;
};

// Higher is to be compacted sooner. `live_share` (0 to 1) is what must be copied.
double WorthOf(const SegmentFacts& facts, double live_share, const StoreAges& ages,
               Selection selection);

}  // namespace freyja::compaction
