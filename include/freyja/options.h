// Options of a store and of single operations, and the limits of the format.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>

#include "freyja/scheduler_options.h"

namespace freyja {

// Limits. A call outside them fails with kInvalidArgument and changes nothing.
inline constexpr std::size_t kMinKeyBytes = 1;
inline constexpr std::size_t kMaxKeyBytes = 64 * 1024;
// Upper bound of a value in any store; one record must also fit in a segment,
// so the limit of a given store is KVStore::max_value_bytes().
inline constexpr std::size_t kMaxValueBytes = std::size_t{512} << 20;
inline constexpr std::uint64_t kMinSegmentBytes = std::uint64_t{16} << 10;
inline constexpr std::uint64_t kMaxSegmentBytes = std::uint64_t{1} << 30;

// When a write becomes durable, that is, survives power loss.
// Whatever the policy, a write that returned survives the death of the
// process (kill -9): its bytes are in the kernel's page cache.
enum class Sync : std::uint8_t {
  kDefault,   // WriteOptions only: what Options::sync says
  kNone,      // when the kernel writes it back, at a roll, at Sync() or at Close()
  kInterval,  // at most Options::sync_interval after the write returned
  kAlways,    // before the write returns; concurrent writers share one sync
};

// For how long the segments that a compaction replaced are kept, so that it can be undone
// (HotSwapCompactor::Undo). Off unless one of the two is set; with both, whichever comes first
// ends it. On a full disk, and near a space ceiling, they go at once.
struct QuarantineOptions {
  std::chrono::seconds keep_for{0};  // by the wall clock; 0: no limit by time
  std::uint64_t max_bytes = 0;       // of data files, of all jobs together; 0: no limit by size
  bool enabled() const { return keep_for.count() != 0 || max_bytes != 0; }
};

struct Options {
  // Make a new store if the directory does not exist or is empty. A directory
  // that holds data files but no manifest is corruption, never a new store.
  bool create_if_missing = false;
  bool error_if_exists = false;
  // Nothing in the directory is changed. Several processes may hold a store
  // read-only at once; none while one has it open for writing.
  bool read_only = false;

  Sync sync = Sync::kInterval;
  std::chrono::milliseconds sync_interval{1000};

  // Size of a segment file, kMinSegmentBytes to kMaxSegmentBytes, rounded up to
  // 4 KiB. Preallocated for the active segment and the one prepared behind it.
  // Bounds the size of a record and of a batch. On a disk of less than 16 times
  // this, segments are made smaller, except for a record that needs more.
  std::uint64_t segment_bytes = std::uint64_t{64} << 20;

  // Disk space held back so that deletes, compaction and opening still work when
  // the disk is full; at least 256 KiB. 0: one and a half segments. Less than one
  // segment may not suffice to compact on a full disk.
  std::uint64_t reserve_bytes = 0;

  // Threads on which an open reads hints, an index image, and what a crash left of the log. Each
  // may hold a whole record, but together no more than 512 MiB of the log or one segment of it.
  // With more than one, a compaction whose rate nothing limits syncs and verifies on a second
  // thread what it has copied, while it goes on copying. 0: one per core, at most 8.
  unsigned worker_threads = 0;

  // Close writes the index to the file INDEX (about 22 bytes a key), unless the disk is nearly
  // full; the next open reads it instead of all hints and then deletes it.
  bool index_image = true;

  QuarantineOptions quarantine = {};

  // Remember what compactions did (HotSwapCompactor::History) in the file HISTORY, of at most
  // 256 KiB.
  bool compaction_history = true;

  // Lets other processes of the same user, and root, look at the store and steer its compactions
  // while this one has it open (freyja/control.h, `freyja compact`, `freyja top`; never its
  // records): puts the Unix socket CONTROL, mode 0600, into the directory and starts two threads.
  // Close removes it. If it can't be made, Open fails: kInvalidArgument with read_only,
  // kAlreadyExists where CONTROL is something else, kUnsupported or kReadOnly where the file
  // system has no sockets.
  bool control_socket = false;

  // When the store compacts by itself. Checked at Open, against the disk as well.
  SchedulerOptions scheduler = {};
};

struct WriteOptions {
  Sync sync = Sync::kDefault;
  // Milliseconds since the Unix epoch at which the record stops being visible
  // by the wall clock; 0: never. Ignored by Delete.
  std::uint64_t expires_at_ms = 0;
};

}  // namespace freyja
