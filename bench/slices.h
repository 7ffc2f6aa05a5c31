// Compaction on against off within one run: the time of a run in slices, what was measured in
// each, and how the two are compared.
//
// Every fourth slice runs with compaction paused; the load doesn't change. Each paused slice is
// compared with a neighbour, the one before it and the one after it in turn, so that what else the
// machine does hits both sides of a pair alike. It is the same store with the same files in the
// same cache, which a second store beside it wouldn't be. What becomes dead in a paused slice is
// compacted in the next ones: with compaction on, it works up to a third more than it would have
// to if there were no pauses, so the comparison errs on the side against the scheduler.
#pragma once

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <map>
#include <mutex>
#include <optional>
#include <vector>

#include "histogram.h"
#include "paced_load.h"

namespace freyja::bench {

struct Timeline {
  static constexpr std::size_t kCycle = 4;
  static constexpr std::size_t kPausedInCycle = 2;

  SteadyClock::time_point start;
  SteadyClock::duration slice{};

  static bool IsPaused(std::size_t slice) { return slice % kCycle == kPausedInCycle; }
  // The slice that a paused one is compared with.
  static std::size_t PartnerOf(std::size_t paused) {
    return paused / kCycle % 2 == 0 ? paused - 1 : paused + 1;
  }
  // A job notices a pause between two pieces of work: the first twentieth is no one's.
  SteadyClock::duration settling() const { return slice / 20; }

  SteadyClock::time_point BeginOf(std::size_t index) const {
    return start + slice * static_cast<std::int64_t>(index);
  }
  // Not before start.
  std::size_t IndexAt(SteadyClock::time_point time) const {
    return static_cast<std::size_t>((time - start) / slice);
  }
  // Empty while that slice settles.
  std::optional<std::size_t> SettledAt(SteadyClock::time_point time) const {
    const std::size_t index = IndexAt(time);
    if (time - BeginOf(index) < settling()) return std::nullopt;
    return index;
  }
};

// Times of operations in nanoseconds.
struct Latencies {
  Histogram response;  // from when it was due
  Histogram call;      // of the call alone

  void Merge(const Latencies& other) {
    response.Merge(other.response);
    call.Merge(other.call);
  }
};

// What one thread measured in one slice.
struct SliceSample {
  Latencies all;
  Latencies beside_job;  // of the operations that began while a job was at work
};

// The median with the interval that holds the true one in 95 of 100 runs, by the sign test: it
// assumes nothing about how the values are distributed. At least six values have one.
struct MedianInterval {
  double median = 0;
  std::optional<std::array<double, 2>> interval;
};
// Of at least one value.
MedianInterval MedianIntervalOf(std::vector<double> values);

// Takes the samples of all threads that do one kind of operation. Thread-safe.
class SliceCollector {
 public:
  explicit SliceCollector(std::size_t threads) : threads_(threads) {}

  // Each thread gives each slice once.
  void Add(std::size_t slice, const SliceSample& sample);

  // Sums over all slices.
  Latencies on() const { return Locked(on_); }
  Latencies off() const { return Locked(off_); }
  Latencies beside_job() const { return Locked(beside_job_); }

  // On over off for every pair that all threads have given both sides of.
  struct Ratios {
    std::vector<double> response_p999;
    std::vector<double> call_p999;
  };
  Ratios PairRatios() const;

 private:
  struct Pending {
    std::size_t samples = 0;
    Latencies sum;
  };
  struct Complete {
    std::uint64_t response_p999 = 0;
    std::uint64_t call_p999 = 0;
  };

  Latencies Locked(const Latencies& latencies) const {
    const std::lock_guard lock(mutex_);
    return latencies;
  }

  const std::size_t threads_;
  mutable std::mutex mutex_;
  // Guarded by mutex_.
  std::map<std::size_t, Pending> pending_;
  std::map<std::size_t, Complete> complete_;
  Latencies on_;
  Latencies off_;
  Latencies beside_job_;
};

}  // namespace freyja::bench
