// When a store compacts by itself, and how much that may cost.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <vector>

namespace freyja {

// A window of the day, in minutes since midnight UTC. `begin` is in it, `end` is not; one that
// ends before it begins goes through midnight. A day has 1440.
struct DayWindow {
  std::uint16_t begin_minute = 0;
  std::uint16_t end_minute = 1440;
};

// What may be changed while the store is open (HotSwapCompactor::SetLimits).
struct CompactionLimits {
  // Bytes that all compactions together read and write a second, at least 1 MiB. Not set: no
  // limit.
  std::optional<std::uint64_t> bytes_per_second = {};

  // The 99th percentile of puts, gets and deletes that compaction may not push above this: while
  // it does, the rate is lowered, and raised again when there is slack, up to bytes_per_second.
  // Measured on one in 64 operations. 0: latencies are not looked at.
  std::chrono::microseconds latency_target{0};

  // Bytes on disk that the store may take, as a multiple of its live bytes (at least 1.1, of a
  // store of at least four segments) or absolute. Compaction begins when there is room left
  // for eight segments and a second's writes (not before 85 % of the way there, nor after 99.5 %).
  // With half of that left (90 to 99.75 %) it runs at full speed, whatever the limits above; above
  // the ceiling writers are slowed down as well, each write by at most max_write_delay. What is
  // in quarantine for an undo counts, and goes when the ceiling is near. 0: no ceiling.
  double space_ceiling = 0;
  std::uint64_t bytes_ceiling = 0;
  std::chrono::microseconds max_write_delay{1000};
};

// The defaults reclaim space once three tenths of all record bytes are dead or, with a space
// ceiling, shortly before it is reached: the more may be dead, the less has to be copied.
struct SchedulerOptions {
  bool enabled = true;

  // Triggers; each is enough. None fires below one segment's worth of dead bytes, except
  // free_disk_floor and a ceiling that is close, which take any gain, and expired_records.
  // Of all record bytes, above 0; 1: off. Not set: 0.3, or off as long as there is a space ceiling
  // that the disk has room for and there are no windows.
  std::optional<double> dead_share = {};
  std::uint64_t dead_bytes = 0;       // 0: off
  std::uint64_t free_disk_floor = 0;  // bytes free on the file system; 0: off
  bool expired_records = true;        // segments all of whose expiring records have expired

  CompactionLimits limits = {};

  // Outside the windows only a ceiling or the floor makes it run. None: always.
  std::vector<DayWindow> windows = {};
  // How often it looks if there is no other reason to: a job that has ended or failed, writes
  // below a ceiling. Each look is put off by up to `jitter`, so that many stores on one machine do
  // not look, and work, at the same moment.
  std::chrono::milliseconds interval{1000};
  std::chrono::milliseconds jitter{250};

  // After a failure, or where there was nothing to gain, it waits for backoff_first, and twice as
  // long after each further one up to backoff_cap.
  std::chrono::milliseconds backoff_first{1000};
  std::chrono::milliseconds backoff_cap{std::chrono::minutes(10)};
};

}  // namespace freyja
