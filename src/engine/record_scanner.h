// Reads the records of a data file one after another, verifying each.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

#include "base/buffer.h"
#include "format/record.h"
#include "freyja/status.h"
#include "io/file_system.h"

namespace freyja::engine {

struct ScannedRecord {
  std::uint64_t offset = 0;
  std::size_t bytes = 0;  // padding included
  std::uint32_t checksum = 0;
  format::Record record;  // views into the scanner's buffer, valid until the next call
};

// Holds kBufferBytes at most, or one record if that is longer. Not thread-safe.
class RecordScanner {
 public:
  static constexpr std::size_t kBufferBytes = std::size_t{2} << 20;

  // Scans [start, end); `end` may lie beyond the end of the file.
  RecordScanner(io::File& file, std::uint32_t seed, std::uint64_t start, std::uint64_t end)
      : file_(file), seed_(seed), offset_(start), end_(end) {}

  // The next record; `false` where no valid record starts at offset(), the end included.
  // The only errors are those of reading.
  Result<bool> Next(ScannedRecord& out);
  // The next records, as many as are at hand and fit, so that the views of all of them are valid
  // until the next call. 0 where Next would say `false`.
  Result<std::size_t> NextRun(std::span<ScannedRecord> out);

  // Of the next record.
  std::uint64_t offset() const { return offset_; }
  // After Next returned false: skips to the next record from the next 8-byte boundary on
  // that verifies. To tell a torn tail from damage; `false` if there is none.
  Result<bool> Resynchronise(ScannedRecord& out);
  // After Resynchronise returned false: the end of the last 8-byte word that is not zero behind
  // where it began; 0 if all are.
  std::uint64_t nonzero_end() const { return nonzero_end_; }

 private:
  // Makes [offset_, offset_ + bytes) available, as far as the range and the file go.
  Status Fill(std::size_t bytes);
  // Moves to the next 8-byte word that is not zero, the current one included; the end of the
  // range if there is none.
  Status SkipZeros();
  // Leaves the offset behind the range.
  Status NoteNonzero(std::uint64_t begin, std::uint64_t end);
  std::span<const std::byte> Available() const;
  // Whether Next has nothing to read from the file.
  bool IsNextAvailable() const;

  io::File& file_;
  const std::uint32_t seed_;
  std::uint64_t offset_;
  std::uint64_t end_;
  base::PassingBuffer buffer_;
  std::uint64_t buffer_offset_ = 0;  // of the buffer's first byte in the file
  std::size_t buffered_ = 0;
  std::uint64_t nonzero_end_ = 0;
};

}  // namespace freyja::engine
