// Reads the log as a crash may have left it, and finds where it ends.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "engine/directory.h"
#include "engine/segment_file.h"
#include "format/manifest.h"
#include "freyja/status.h"

namespace freyja::engine {

// One segment of the log after the replay.
struct ReplayedSegment {
  format::LogSegment listed;
  std::uint64_t file_bytes = 0;
  // Its valid records: [first_sequence, last_sequence]; none if last is 0.
  std::uint64_t first_sequence = 0;
  std::uint64_t last_sequence = 0;
  std::uint64_t end = 0;              // offset behind the last valid record
  std::uint64_t discarded_bytes = 0;  // not zero and behind that
  // Of the valid records, unless a batch was cut.
  std::uint64_t tombstone_count = 0;
  std::uint32_t records_crc = 0;
  friend bool operator==(const ReplayedSegment&, const ReplayedSegment&) = default;
};

// The steps of the replay:
//  1. Records are taken in log order as long as each verifies and its number is the next
//     one. The first that fails either is a hole; nothing behind it is ever taken.
//  2. A batch whose closing record is not reached is cut at its first record.
//  3. What lies behind a hole is read for one purpose only: a verifying record may carry a
//     watermark, and so prove that the hole lies in what was durable.
//  4. Through the highest watermark, of the manifest and of any verifying record, a hole is
//     corruption. Above it, it is a torn tail, whatever bytes follow.
struct LogReplay {
  std::vector<ReplayedSegment> segments;  // in log order, all that the manifest lists
  std::uint64_t last_sequence = 0;        // of the last valid record
  std::uint64_t watermark = 0;
  std::uint64_t discarded_bytes = 0;  // not zero and behind the last valid record
  friend bool operator==(const LogReplay&, const LogReplay&) = default;
};

// On how many of `threads` log segments are read at once: whoever reads holds a whole record, which
// may be as long as its file.
unsigned ThreadsToRead(std::uint64_t longest_file_bytes, unsigned threads);

// Reads segments on up to `threads` threads, see above. kCorruption names the file and the offset
// of the hole.
Result<LogReplay> ReplayLog(Directory& directory, const format::Manifest& manifest,
                            unsigned threads);

}  // namespace freyja::engine
