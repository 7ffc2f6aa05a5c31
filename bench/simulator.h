// Replays updates on a model of the store, with the store's own planner, and counts bytes.
//
// The model has records of one size in segments, the newest record of each key, and steps of
// compaction where the ceiling on space demands them; nothing is read or written. What it
// leaves out: hints, headers, manifests, partly filled log segments, snapshots and expiry.
#pragma once

#include <cstdint>
#include <expected>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "compaction/planner.h"
#include "traces.h"

namespace freyja::bench {

enum class Placement : std::uint8_t {
  kTogether,     // survivors of a step go to one output after the other
  kByRecordAge,  // each to the output of its own age class; victims of any class
};

struct SimulationOptions {
  std::uint64_t segment_records = 4096;
  std::uint64_t record_bytes = 136;
  std::uint64_t tombstone_bytes = 40;
  double ceiling = 1.5;        // bytes held over bytes live; steps run before it is passed
  unsigned step_segments = 4;  // full segments read in one step, at most
  compaction::Selection selection = compaction::Selection::kAgeClasses;
  Placement placement = Placement::kTogether;
};

struct SimulationCounters {
  std::uint64_t user_bytes = 0;
  std::uint64_t compaction_bytes = 0;
  std::uint64_t steps = 0;
  std::uint64_t combined = 0;      // segments taken only because they are small
  double highest_space = 0;        // held over live, after steps
  double highest_space_peak = 0;   // while a step holds its victims and its outputs
  std::uint64_t over_ceiling = 0;  // times that no step helped
  double WriteAmplification() const {
    return static_cast<double>(user_bytes + compaction_bytes) / static_cast<double>(user_bytes);
  }
};

class Simulator {
 public:
  Simulator(const SimulationOptions& options, std::uint32_t keys);

  void Put(std::uint32_t key);
  void Delete(std::uint32_t key);  // of a key that is not there: writes nothing
  void Apply(std::span<const Update> updates);
  // Seals the active segment, then one step. False: there was nothing to do.
  bool SealAndStep();
  void ResetCounters() { counters_ = {}; }

  const SimulationCounters& counters() const { return counters_; }
  std::uint64_t held_bytes() const { return held_bytes_; }
  std::uint64_t live_bytes() const { return live_bytes_; }
  std::uint64_t segments() const { return sealed_.size(); }
  bool Contains(std::uint32_t key) const;

 private:
  struct Record {
    std::uint64_t sequence = 0;
    std::uint32_t key = 0;
    bool is_tombstone = false;
  };
  struct Segment {
    std::uint64_t id = 0;
    std::vector<Record> records;
    std::uint64_t bytes = 0;
    std::uint64_t live_records = 0;
    std::uint64_t needed_tombstones = 0;  // that hide a record held elsewhere
    std::uint64_t lowest_sequence = UINT64_MAX;
    std::uint64_t highest_sequence = 0;
    bool is_victim = false;
  };
  struct Key {
    std::uint32_t segment = UINT32_MAX;  // slot of the newest record; none held: UINT32_MAX
    std::uint32_t index = 0;
    std::uint32_t held_records = 0;
    bool is_deleted = false;
  };

  std::uint64_t segment_bytes() const { return options_.segment_records * options_.record_bytes; }
  std::uint64_t BytesOf(const Record& record) const {
    return record.is_tombstone ? options_.tombstone_bytes : options_.record_bytes;
  }
  std::uint32_t NewSegment();
  void Append(std::uint32_t slot, const Record& record);
  void ForgetNewest(const Key& key);
  void Write(const Record& record);
  void Seal();
  void KeepBelowCeiling();
  bool Step();
  std::vector<std::uint32_t> TakeVictims(std::span<const std::uint64_t> ids);
  void Release(std::uint32_t slot);
  void Copy(const Record& record, std::vector<std::uint32_t>& outputs);

  const SimulationOptions options_;
  std::vector<Key> keys_;
  std::vector<Segment> segments_;  // by slot
  std::vector<std::uint32_t> free_slots_;
  std::vector<std::uint32_t> sealed_;
  std::uint32_t active_ = 0;
  std::uint64_t last_id_ = 0;
  std::uint64_t last_sequence_ = 0;
  std::uint64_t held_bytes_ = 0;
  std::uint64_t live_bytes_ = 0;
  std::uint64_t live_records_ = 0;
  SimulationCounters counters_;
};

struct SimulationResult {
  SimulationCounters counters;
  std::uint64_t segments = 0;
};
// Puts every key once (not for a trace from a file), applies `warm_up` updates, then counts
// over `updates` more.
SimulationResult Simulate(const SimulationOptions& options, Trace& trace, std::uint64_t warm_up,
                          std::uint64_t updates);

// Write amplification if every victim holds the average share of dead bytes r = 1 - 1 / space:
// reclaiming one byte copies (1 - r) / r, so a byte of the user's costs 1 / r in all.
double OneOverR(double space);
// The least for keys that are updated at random with known, constant rates and kept apart by
// them (see compaction/ranking.h); no store knows the rates. Nothing if there are none.
std::optional<double> SeparatedByRate(std::span<const RateGroup> rates, double space);

}  // namespace freyja::bench
