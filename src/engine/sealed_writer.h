// Writes one segment that is sealed from birth: the output of a compaction, or the copy
// that recovery makes of a log's undurable end.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>

#include "base/buffer.h"
#include "engine/directory.h"
#include "engine/hint_writer.h"
#include "engine/segment.h"
#include "engine/segment_summary.h"
#include "format/manifest.h"
#include "format/record.h"

namespace freyja::engine {

// Order of calls: Append…, Seal (or SealData and SealHint), Verify, MoveIntoPlace, Map. Until a
// manifest lists the segment its files mean nothing; Abandon (or the next open) removes them.
//
// Memory: a piece of kPieceBytes or one record, if that is longer, and what HintWriter needs.
// Not thread-safe.
class SealedWriter {
 public:
  static constexpr std::size_t kPieceBytes = std::size_t{2} << 20;

  struct Target {
    format::SegmentIdentity identity;
    std::uint64_t manifest_generation = 0;
    std::uint64_t hash_seed = 0;
    std::filesystem::path temp_dir = {};  // empty: in the store's directory
    bool with_hint = true;
  };

  static Result<std::unique_ptr<SealedWriter>> Create(Directory& directory, Target target);

  // Where the record went. Batch flags and watermark are left out: they belong to the log.
  // Numbers and expiry are kept.
  Result<std::uint64_t> Append(format::Record record);
  std::uint64_t bytes() const { return offset_; }
  std::uint64_t id() const { return target_.identity.id; }

  // Writes what is buffered, the hint as well, and syncs both files.
  Status Seal();
  // The same in two steps, for whoever can do without a hint (then the records are scanned).
  // SealHint does nothing without Target::with_hint.
  Status SealData();
  Status SealHint();
  const format::SealedSegment& sealed() const { return sealed_; }
  // Reads the file again, past the page cache where the file system allows it, and compares
  // it with what was meant: count, bounds and checksums.
  Status Verify();
  // Renames from the temporary directory. The caller syncs the directory afterwards.
  Status MoveIntoPlace();
  // The page cache need not keep the data file.
  void DropCache() { file_->DropCache(); }
  // After MoveIntoPlace.
  Result<std::unique_ptr<Segment>> Map();
  // Removes the files, as far as that can be done.
  void Abandon();

 private:
  SealedWriter(Directory& directory, Target target, std::filesystem::path path,
               std::unique_ptr<io::File> file);
  Status Flush();

  Directory& directory_;
  const Target target_;
  const std::uint32_t seed_;
  std::filesystem::path path_;  // of the data file, where it is now
  std::unique_ptr<io::File> file_;
  base::PassingBuffer piece_;  // not yet written
  std::size_t piece_bytes_ = 0;
  std::uint64_t offset_;  // of the next record in the file
  SummaryBuilder summary_;
  std::optional<HintWriter> hint_;
  format::SealedSegment sealed_;
};

}  // namespace freyja::engine
