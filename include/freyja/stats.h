// Statistics of a store and of its segments.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "freyja/status.h"

namespace freyja {

enum class SegmentState : std::uint8_t {
  kPrepared,     // listed in the manifest, holds no record yet
  kActive,       // appended to
  kFull,         // appended to no more, not sealed yet
  kSealed,       // never changes again
  kRetired,      // replaced by a committed compaction, still held by a reader
  kQuarantined,  // replaced by a committed compaction, kept so that it can be undone
};
std::string_view SegmentStateName(SegmentState state);

struct SegmentInfo {
  std::uint64_t id = 0;
  std::string file;  // name within the store's directory (or the full path)
  SegmentState state = SegmentState::kActive;
  std::uint64_t file_bytes = 0;    // up to the end of its last record
  std::uint64_t record_bytes = 0;  // of all records, tombstones included
  std::uint64_t records = 0;
  std::uint64_t tombstones = 0;
  std::uint64_t live_records = 0;  // that the index points to
  std::uint64_t live_bytes = 0;
  std::uint64_t dead_bytes = 0;  // record_bytes - live_bytes
  std::uint64_t lowest_sequence = 0;
  std::uint64_t highest_sequence = 0;
  std::uint64_t pins = 0;                    // pinned reads that hold the segment
  std::chrono::milliseconds retired_for{0};  // since it was replaced; 0 in other states
};

// Of the operations of one kind, one in kLatencySampleInterval of each thread is measured.
inline constexpr std::uint64_t kLatencySampleInterval = 64;
struct LatencySummary {
  std::uint64_t samples = 0;
  std::chrono::nanoseconds mean{0};
  // Upper bounds, above the exact percentile by less than half of it; 0 without samples.
  std::chrono::nanoseconds p50{0};
  std::chrono::nanoseconds p99{0};
  std::chrono::nanoseconds p999{0};
};

// Since the store was opened. Reads: Get and GetPinned; writes: Put, Delete and Write, with the
// delays of a space ceiling.
struct LatencyStats {
  LatencySummary reads;
  LatencySummary writes;
  // While jobs ran, which the other two leave out.
  LatencySummary reads_compacting;
  LatencySummary writes_compacting;
};

// What the scheduler is doing, and what it has cost since the store was opened.
struct SchedulerStats {
  bool running = false;  // switched on, and the store can be written to
  bool paused = false;
  std::string decision;                      // the latest: why it compacts, or why not
  std::chrono::milliseconds backoff{0};      // until it tries again
  std::uint64_t bytes_per_second = 0;        // what jobs may read and write now; 0: no limit
  std::chrono::microseconds throttled{0};    // that jobs have waited for the rate, or in a pause
  std::chrono::microseconds write_delay{0};  // of every write now, because of the space ceiling
  std::uint64_t delayed_writes = 0;
  std::chrono::microseconds write_delay_total{0};
};

// Counters start at zero when the store is opened; sizes are of now.
struct Stats {
  std::uint64_t keys = 0;
  std::uint64_t live_bytes = 0;  // of records the index points to
  std::uint64_t dead_bytes = 0;  // of all other records
  // Of all data and hint files, retired and quarantined ones included, each up to its end.
  std::uint64_t disk_bytes = 0;
  // Allocated ahead and not used yet: the rest of the active segment, the prepared one, the
  // reserve.
  std::uint64_t preallocated_bytes = 0;
  std::uint64_t segments = 0;
  std::uint64_t retired_segments = 0;      // replaced, still held by readers
  std::uint64_t quarantined_segments = 0;  // replaced, kept for an undo
  std::uint64_t quarantined_bytes = 0;     // of their data files; part of disk_bytes
  std::uint64_t index_bytes = 0;

  std::uint64_t last_sequence = 0;     // of the newest published record
  std::uint64_t durable_sequence = 0;  // the watermark
  std::uint64_t manifest_generation = 0;

  std::uint64_t puts = 0;
  std::uint64_t deletes = 0;
  std::uint64_t user_bytes_written = 0;  // keys and values passed to Put and Write
  std::uint64_t log_bytes_written = 0;   // records appended
  std::uint64_t syncs = 0;
  std::uint64_t rolls = 0;

  std::uint64_t compactions_completed = 0;
  std::uint64_t compactions_failed = 0;  // cancelled and timed out ones included
  std::uint64_t compaction_bytes_read = 0;
  std::uint64_t compaction_bytes_written = 0;
  std::uint64_t compaction_bytes_reclaimed = 0;
  std::uint64_t compaction_failures_in_a_row = 0;
  // How long a page lock was held to publish, once for each record moved or removed: the longest,
  // in which the kernel may have run something else meanwhile, and an upper bound of all but one in
  // 10,000, above the exact percentile by less than half of it.
  std::uint64_t publish_us_longest = 0;
  std::chrono::nanoseconds publish_p9999{0};

  // Open snapshots hold retired segments; 0 if there is none.
  std::uint64_t open_snapshots = 0;
  // What recovery had to do at the last open.
  std::uint64_t recovered_tail_bytes_discarded = 0;
  std::uint64_t recovered_tail_records_copied = 0;

  SchedulerStats scheduler;
  LatencyStats latency;

  bool read_only = false;
  // The latest background failure; the reason, if the store turned read-only.
  Status background_error;

  double space_amplification() const {
    return live_bytes == 0 ? 0.0
                           : static_cast<double>(disk_bytes) / static_cast<double>(live_bytes);
  }
  double write_amplification() const {
    return log_bytes_written == 0
               ? 0.0
               : static_cast<double>(log_bytes_written + compaction_bytes_written) /
                     static_cast<double>(log_bytes_written);
  }
};

}  // namespace freyja
