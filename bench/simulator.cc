#include "simulator.h"

#include <algorithm>
#include <array>
#include <cmath>

namespace freyja::bench {

using compaction::PlanLimits;
using compaction::SegmentFacts;
using compaction::Selection;

Simulator::Simulator(const SimulationOptions& options, std::uint32_t keys)
    : options_(options), keys_(keys) {
  active_ = NewSegment();
}

bool Simulator::Contains(std::uint32_t key) const {
  return keys_[key].segment != UINT32_MAX && !keys_[key].is_deleted;
}

std::uint32_t Simulator::NewSegment() {
  std::uint32_t slot = 0;
  if (free_slots_.empty()) {
    slot = static_cast<std::uint32_t>(segments_.size());
    segments_.emplace_back();
  } else {
    slot = free_slots_.back();
    free_slots_.pop_back();
  }
  segments_[slot].id = ++last_id_;
  return slot;
}

void Simulator::Append(std::uint32_t slot, const Record& record) {
  Segment& segment = segments_[slot];
  Key& key = keys_[record.key];
  key.segment = slot;
  key.index = static_cast<std::uint32_t>(segment.records.size());
  key.is_deleted = record.is_tombstone;
  ++key.held_records;
  segment.records.push_back(record);
  segment.lowest_sequence = std::min(segment.lowest_sequence, record.sequence);
  segment.highest_sequence = std::max(segment.highest_sequence, record.sequence);
  const std::uint64_t bytes = BytesOf(record);
  segment.bytes += bytes;
  held_bytes_ += bytes;
  if (!record.is_tombstone) {
    ++segment.live_records;
  } else if (key.held_records > 1) {
    ++segment.needed_tombstones;
  }
}

// Before a newer record of the key is written: what is newest now is dead.
void Simulator::ForgetNewest(const Key& key) {
  if (key.segment == UINT32_MAX) return;
  Segment& segment = segments_[key.segment];
  if (!key.is_deleted) {
    --segment.live_records;
    --live_records_;
    live_bytes_ -= options_.record_bytes;
  } else if (key.held_records > 1) {
    --segment.needed_tombstones;
  }
}

void Simulator::Write(const Record& record) {
  ForgetNewest(keys_[record.key]);
  Append(active_, record);
  counters_.user_bytes += BytesOf(record);
  if (!record.is_tombstone) {
    ++live_records_;
    live_bytes_ += options_.record_bytes;
  }
  if (segments_[active_].bytes + options_.record_bytes > segment_bytes()) {
    Seal();
    KeepBelowCeiling();
  }
}

void Simulator::Put(std::uint32_t key) { Write({.sequence = ++last_sequence_, .key = key}); }

void Simulator::Delete(std::uint32_t key) {
  if (!Contains(key)) return;
  Write({.sequence = ++last_sequence_, .key = key, .is_tombstone = true});
}

void Simulator::Apply(std::span<const Update> updates) {
  for (const Update& update : updates) {
    if (update.is_delete) {
      Delete(update.key);
    } else {
      Put(update.key);
    }
  }
}

void Simulator::Seal() {
  if (segments_[active_].records.empty()) return;
  sealed_.push_back(active_);
  active_ = NewSegment();
}

// Makes room for the next log segment.
void Simulator::KeepBelowCeiling() {
  const auto is_above = [&] {
    return static_cast<double>(held_bytes_ + segment_bytes()) >
           options_.ceiling * static_cast<double>(live_bytes_);
  };
  const auto space = [&](std::uint64_t held) {
    return static_cast<double>(held) /
           static_cast<double>(std::max(live_bytes_, options_.record_bytes));
  };
  while (is_above()) {
    const std::uint64_t held_before = held_bytes_;
    const std::uint64_t copied_before = counters_.compaction_bytes;
    if (!Step()) {
      ++counters_.over_ceiling;
      break;
    }
    counters_.highest_space_peak =
        std::max(counters_.highest_space_peak,
                 space(held_before + counters_.compaction_bytes - copied_before));
  }
  counters_.highest_space = std::max(counters_.highest_space, space(held_bytes_));
}

bool Simulator::SealAndStep() {
  Seal();
  return Step();
}

bool Simulator::Step() {
  std::vector<SegmentFacts> facts;
  facts.reserve(sealed_.size());
  for (const std::uint32_t slot : sealed_) {
    const Segment& segment = segments_[slot];
    facts.push_back({.id = segment.id,
                     .record_bytes = segment.bytes,
                     .live_bytes = segment.live_records * options_.record_bytes,
                     .live_records = segment.live_records,
                     .tombstone_bytes = segment.needed_tombstones * options_.tombstone_bytes,
                     .lowest_sequence = segment.lowest_sequence,
                     .highest_sequence = segment.highest_sequence,
                     .record_count = segment.records.size()});
  }
  // Placed by their own age, survivors may come from victims of any.
  const bool any_age = options_.placement == Placement::kByRecordAge;
  const compaction::Plan plan =
      compaction::MakePlan(facts, {.min_space_saving = 0,
                                   .max_input_bytes = options_.step_segments * segment_bytes(),
                                   .max_output_bytes = UINT64_MAX,
                                   .selection = options_.selection,
                                   .now_sequence = last_sequence_,
                                   .segment_bytes = segment_bytes(),
                                   .mix_ages = any_age});
  if (plan.victims.empty()) return false;
  ++counters_.steps;
  counters_.combined += plan.combined;
  const std::vector<std::uint32_t> victims = TakeVictims(plan.victims);
  std::vector<std::uint32_t> outputs(compaction::kAgeClassCount, UINT32_MAX);
  for (const std::uint32_t slot : victims) {
    for (std::uint32_t i = 0; i < segments_[slot].records.size(); ++i) {
      const Record record = segments_[slot].records[i];
      Key& key = keys_[record.key];
      if (key.segment != slot || key.index != i) continue;
      if (!record.is_tombstone || key.held_records != 0) {
        Copy(record, outputs);
      } else {
        key = {};
      }
    }
  }
  for (const std::uint32_t slot : victims) Release(slot);
  return true;
}

// Takes the victims from the list and their records from their keys' counts: where that
// leaves a key with nothing but a tombstone, the tombstone isn't needed any more.
std::vector<std::uint32_t> Simulator::TakeVictims(std::span<const std::uint64_t> ids) {
  std::vector<std::uint32_t> victims;
  for (const std::uint32_t slot : sealed_) {
    if (!std::ranges::binary_search(ids, segments_[slot].id)) continue;
    segments_[slot].is_victim = true;
    victims.push_back(slot);
  }
  std::erase_if(sealed_, [&](std::uint32_t slot) { return segments_[slot].is_victim; });
  std::ranges::sort(victims, {}, [&](std::uint32_t slot) { return segments_[slot].id; });
  for (const std::uint32_t slot : victims) {
    for (const Record& record : segments_[slot].records) {
      Key& key = keys_[record.key];
      if (--key.held_records != 1 || !key.is_deleted) continue;
      if (!segments_[key.segment].is_victim) --segments_[key.segment].needed_tombstones;
    }
  }
  return victims;
}

void Simulator::Release(std::uint32_t slot) {
  Segment& segment = segments_[slot];
  held_bytes_ -= segment.bytes;
  std::vector<Record> records = std::move(segment.records);
  records.clear();
  segment = {};
  segment.records = std::move(records);
  free_slots_.push_back(slot);
}

void Simulator::Copy(const Record& record, std::vector<std::uint32_t>& outputs) {
  const unsigned age_class =
      options_.placement == Placement::kTogether
          ? 0
          : compaction::AgeClassOf(last_sequence_ - record.sequence, live_records_);
  std::uint32_t& output = outputs[age_class];
  if (output == UINT32_MAX || segments_[output].bytes + BytesOf(record) > segment_bytes()) {
    output = NewSegment();
    sealed_.push_back(output);
  }
  Append(output, record);
  counters_.compaction_bytes += BytesOf(record);
}

SimulationResult Simulate(const SimulationOptions& options, Trace& trace, std::uint64_t warm_up,
                          std::uint64_t updates) {
  Simulator simulator(options, trace.keys());
  if (trace.period() == 0) {
    for (std::uint32_t key = 0; key < trace.keys(); ++key) simulator.Put(key);
  }
  std::array<Update, 1024> buffer;
  const auto apply = [&](std::uint64_t count) {
    while (count != 0) {
      const std::span<Update> some = std::span(buffer).first(std::min(count, buffer.size()));
      trace.Next(some);
      simulator.Apply(some);
      count -= some.size();
    }
  };
  apply(warm_up);
  simulator.ResetCounters();
  apply(updates);
  return {.counters = simulator.counters(), .segments = simulator.segments()};
}

double OneOverR(double space) { return space / (space - 1); }

namespace {

// The live share u at which (1 - u) / u + ln(u) is `overdue`; it falls from infinity to 0.
double LiveShareAt(double overdue) {
  double low = 0;
  double high = 1;
  for (int i = 0; i < 100; ++i) {
    const double middle = (low + high) / 2;
    ((1 - middle) / middle + std::log(middle) > overdue ? low : high) = middle;
  }
  return std::min(high, 1 - 1e-6);
}

}  // namespace

std::optional<double> SeparatedByRate(std::span<const RateGroup> rates, double space) {
  if (rates.empty()) return std::nullopt;
  const auto space_at = [&](double overdue) {
    double sum = 0;
    for (const RateGroup& group : rates) {
      const double live_share = LiveShareAt(overdue * group.updates / group.keys);
      sum += group.keys * -std::log(live_share) / (1 - live_share);
    }
    return sum;
  };
  double low = 1e-12;
  double high = 1e12;
  for (int i = 0; i < 100; ++i) {
    const double middle = std::sqrt(low * high);
    (space_at(middle) < space ? low : high) = middle;
  }
  double writes = 0;
  for (const RateGroup& group : rates) {
    writes += group.updates / (1 - LiveShareAt(low * group.updates / group.keys));
  }
  return writes;
}

}  // namespace freyja::bench
