// One timed run of one measure, and what a store must hold after several.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "freyja/status.h"
#include "histogram.h"
#include "measures.h"
#include "peer.h"

namespace freyja::bench {

struct RunParameters {
  std::uint64_t keys = 0;
  std::size_t value_bytes = 0;
  std::uint64_t seed = 0;
  double seconds = 0;          // a run other than a fill ends after that; 0: no bound
  unsigned latency_every = 0;  // time single calls in one block of so many; 0: none
  const std::atomic<bool>* stop = nullptr;
  // What kZipfGet reads, at least `keys` of them; made by the run, untimed, if there are none.
  const std::vector<std::uint32_t>* zipf = nullptr;
};

struct WorkloadRun {
  std::uint64_t operations = 0;
  double seconds = 0;              // from the common start to the end of the last thread
  double thread_cpu_seconds = 0;   // of the calling threads
  double process_cpu_seconds = 0;  // background threads are in it
  bool cut_short = false;          // by RunParameters::seconds
  Histogram latency;               // in ticks, of the calls that were timed singly
  std::vector<std::uint64_t> thread_operations;

  double PerSecond() const { return static_cast<double>(operations) / seconds; }
};

// What was done to a store, from which its contents follow.
class History {
 public:
  struct Entry {
    Measure measure;
    std::uint64_t version = 0;    // of the values it wrote
    std::uint64_t first_key = 0;  // of those that kSync put
    std::vector<std::uint64_t> thread_operations;
  };

  // Of the values in the store.
  std::uint64_t newest_version() const { return newest_version_; }
  // The first key that was never put.
  std::uint64_t next_key() const { return next_key_; }
  void Add(const Measure& measure, const RunParameters& parameters, const WorkloadRun& run);
  const std::vector<Entry>& entries() const { return entries_; }

 private:
  std::uint64_t newest_version_ = 0;
  std::uint64_t next_key_ = 0;
  std::vector<Entry> entries_;
};

// Draws of keys below `keys` by Zipf's law with exponent 0.99, as many as there are keys.
std::vector<std::uint32_t> ZipfDraws(std::uint64_t keys, std::uint64_t seed);

// Runs `measure` once: as many operations as there are keys, over all its threads; kSync as many
// in each, and it ends by time; kSustained by nothing else, if there is a bound. Every answer is
// checked: a value must be whole, and of a version that its key had or was getting. Adds to
// `history`, of which `peer` is the result. kCancelled: *stop was set; kCorruption: the store gave
// a wrong answer.
[[nodiscard]] Result<WorkloadRun> RunMeasure(Peer& peer, const Measure& measure,
                                             const RunParameters& parameters, History& history);

// Untimed. Reads a sample of the keys, and all that kSync put, and checks that each has the
// very version that `history` gave it, or none after a delete.
[[nodiscard]] Status CheckContents(Peer& peer, const RunParameters& parameters,
                                   const History& history);
// Deletes some keys and misses them. The last thing done to a store.
[[nodiscard]] Status CheckDeletes(Peer& peer, const RunParameters& parameters);

}  // namespace freyja::bench
