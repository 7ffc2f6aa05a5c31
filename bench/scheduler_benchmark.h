// Sustained overwrites at a steady rate, with readers, on a store that compacts by itself: what
// its scheduler does to space, writing and latency, and whether every answer is right.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "freyja/options.h"
#include "freyja/status.h"
#include "slices.h"
#include "versioned_values.h"

namespace freyja::bench {

struct SchedulerPlan {
  std::uint32_t keys = 1'200'000;
  std::size_t value_bytes = 100;           // at least kFewestVersionedBytes
  std::string distribution = "zipf:0.99";  // of MakeTrace, one without deletes
  std::uint64_t segment_bytes = std::uint64_t{1} << 20;
  double ceiling = 1.5;                   // CompactionLimits::space_ceiling
  std::optional<double> dead_share = {};  // SchedulerOptions::dead_share
  Sync sync = Options{}.sync;
  double seconds = 60;  // that are measured
  double warm_up = 3;   // overwrites of each key, as fast as they go, before that
  double writes_per_second = 10'000;
  double reads_per_second = 10'000;  // of all readers together
  unsigned readers = 2;
  double slice_seconds = 0;  // 0: SliceSeconds chooses
  std::uint64_t seed = 1;
  std::filesystem::path directory;  // where the store's temporary directory is made
};

// Two seconds, but at least two slices of each kind in the run, and so short that a paused one
// makes at most a hundredth of the live bytes dead, within a tenth of a second to two.
double SliceSeconds(const SchedulerPlan& plan);
// Upper estimate of the disk space a run needs.
std::uint64_t EstimatedDiskBytes(const SchedulerPlan& plan);

struct Answers {
  std::uint64_t checked = 0;
  std::uint64_t missed = 0;
  std::uint64_t stale = 0;
  std::uint64_t corrupt = 0;           // answers that a checksum refused included
  std::uint64_t overlapping_swap = 0;  // of those checked
  std::string first_wrong;             // the first wrong answer in words

  void Count(Verdict verdict, std::uint64_t key, std::string_view detail);
  void Merge(const Answers& other);
  std::uint64_t wrong() const { return missed + stale + corrupt; }
};

// Space amplification, sampled every 100 ms.
struct SpaceFigures {
  std::uint64_t samples = 0;
  double highest = 0;  // files per live byte, as the ceiling counts
  double mean = 0;
  double highest_records = 0;  // record bytes alone, retired ones left out
  double mean_records = 0;
  double seconds_above_ceiling = 0;
};

// Over the measured seconds. Records: log and compaction, over the log.
struct WriteFigures {
  double records = 0;
  // Empty if it was interrupted.
  std::optional<double> first_half;
  std::optional<double> second_half;
  // All that this process had the kernel write to disk, over the log: hints, manifests, syncs of
  // partly filled blocks and zeros that prepare a segment are in it. Empty where the kernel
  // doesn't say; a file system in memory gives 0.
  std::optional<double> device;
};

struct OperationFigures {
  std::uint64_t operations = 0;
  double per_second_on = 0;  // ended in a slice with compaction on
  double per_second_off = 0;
  Latencies on;
  Latencies off;
  Latencies beside_job;  // that part of `on` which began while a job was at work
  SliceCollector::Ratios ratios;
};

struct SchedulerResult {
  bool interrupted = false;
  double seconds = 0;
  double slice_seconds = 0;
  OperationFigures reads;
  OperationFigures writes;
  Answers answers;
  Answers reopened;  // every key once, after closing and opening again
  SpaceFigures space;
  WriteFigures write_amplification;
  double job_share = 0;  // of operations with compaction on: a job was at work
  std::uint64_t swaps = 0;
  std::uint64_t failed_jobs = 0;
  std::uint64_t delayed_writes = 0;      // because of the ceiling
  std::uint64_t longest_publish_us = 0;  // hold of a page lock
  std::chrono::nanoseconds publish_p9999{0};
  std::uint64_t segments = 0;
  double cpu_share = 0;  // of all cores
  Status background_error;

  bool AnswersAreRight() const { return answers.wrong() + reopened.wrong() == 0; }
};

// What is going on, for people.
using ProgressListener = std::function<void(const std::string&)>;

// Fills a store, overwrites it for the warm-up, lets the scheduler catch up, then measures for
// plan.seconds or until `stop` is set; what was measured by then is the result. kCancelled: stopped
// before the measurement began. Errors of the store, and of a distribution that does not exist
// (kInvalidArgument).
[[nodiscard]] Result<SchedulerResult> RunSchedulerBenchmark(const SchedulerPlan& plan,
                                                            const std::atomic<bool>& stop,
                                                            const ProgressListener& on_progress);

}  // namespace freyja::bench
