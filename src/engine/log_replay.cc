#include "engine/log_replay.h"

#include <algorithm>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/status_macros.h"
#include "engine/parallel.h"
#include "engine/record_scanner.h"
#include "engine/segment_summary.h"
#include "format/segment_header.h"

namespace freyja::engine {

namespace {

struct Batch {
  std::uint64_t first_sequence = 0;
  std::uint64_t offset = 0;
};

// What one segment says by itself.
struct ScannedSegment {
  // Its records from the first of the file on, as long as their numbers follow one another. Whether
  // they go on where the segment before ended is not known yet.
  ReplayedSegment replayed;
  std::optional<Batch> open_batch;  // the last of these records are of one that is not closed
  bool ends_log = false;            // no later segment can go on behind them
  std::uint64_t watermark = 0;      // the highest that a verifying record carries
  std::uint64_t nonzero_end = 0;
};

struct OpenSegment {
  format::SegmentIdentity identity;
  std::unique_ptr<io::File> file;
  std::uint64_t bytes = 0;
};

class SegmentScan {
 public:
  Result<ScannedSegment> Run(const format::LogSegment& listed, const OpenSegment& segment) {
    scanned_.replayed = {
        .listed = listed, .file_bytes = segment.bytes, .end = format::kSegmentHeaderBytes};
    RecordScanner scanner(*segment.file, segment.identity.ChecksumSeed(),
                          format::kSegmentHeaderBytes, segment.bytes);
    ScannedRecord record;
    for (;;) {
      FREYJA_ASSIGN_OR_RETURN(bool found, scanner.Next(record));
      if (!found) {
        FREYJA_ASSIGN_OR_RETURN(found, scanner.Resynchronise(record));
        if (!found) break;
        scanned_.ends_log = true;  // records lie behind something that is none
      }
      Take(record);
    }
    // A batch lies in one segment: it can't go on in the next.
    if (scanned_.open_batch) scanned_.ends_log = true;
    scanned_.nonzero_end = std::max(scanner.nonzero_end(), last_end_);
    scanned_.replayed.tombstone_count = summary_.summary().tombstone_count;
    scanned_.replayed.records_crc = summary_.summary().records_crc;
    return scanned_;
  }

 private:
  void Take(const ScannedRecord& scanned) {
    const format::Record& record = scanned.record;
    ReplayedSegment& replayed = scanned_.replayed;
    last_end_ = scanned.offset + scanned.bytes;
    if (record.watermark) scanned_.watermark = std::max(scanned_.watermark, *record.watermark);
    const bool first = replayed.last_sequence == 0;
    if (!first && record.sequence != replayed.last_sequence + 1) scanned_.ends_log = true;
    if (scanned_.open_batch && record.begins_batch) scanned_.ends_log = true;
    if (scanned_.ends_log) return;
    if (record.begins_batch) scanned_.open_batch = Batch{record.sequence, scanned.offset};
    if (first) replayed.first_sequence = record.sequence;
    replayed.last_sequence = record.sequence;
    replayed.end = last_end_;
    summary_.Add(scanned);
    if (record.ends_batch) scanned_.open_batch.reset();
  }

  ScannedSegment scanned_;
  std::uint64_t last_end_ = 0;  // of the last verifying record
  SummaryBuilder summary_;      // of replayed
};

class Replayer {
 public:
  Replayer(Directory& directory, const format::Manifest& manifest)
      : directory_(directory), manifest_(manifest) {
    replay_.last_sequence = manifest.log_first_sequence - 1;
    replay_.watermark = manifest.watermark;
  }

  Result<LogReplay> Run(unsigned threads) {
    FREYJA_ASSIGN_OR_RETURN(const std::vector<OpenSegment> open, OpenAll());
    std::uint64_t longest = 0;
    for (const OpenSegment& segment : open) longest = std::max(longest, segment.bytes);
    std::vector<ScannedSegment> scanned(open.size());
    const auto scan = [&](std::size_t i) -> Status {
      FREYJA_ASSIGN_OR_RETURN(scanned[i], SegmentScan().Run(manifest_.log[i], open[i]));
      return Status::Ok();
    };
    FREYJA_RETURN_IF_ERROR(RunParallel(open.size(), ThreadsToRead(longest, threads), scan));
    for (const ScannedSegment& segment : scanned) Append(segment);
    CutOpenBatch();
    const std::uint64_t proven = manifest_.clean
                                     ? std::max(replay_.watermark, manifest_.clean_last_sequence)
                                     : replay_.watermark;
    if (replay_.last_sequence < proven) return std::unexpected(Corruption(proven));
    // Whatever verifies behind the end of a clean log, next or not, was written later.
    if (manifest_.clean && (ended_ || replay_.last_sequence > manifest_.clean_last_sequence)) {
      return std::unexpected(Status(StatusCode::kCorruption,
                                    "MANIFEST: says the store was closed after record " +
                                        std::to_string(manifest_.clean_last_sequence) +
                                        ", but the log goes on: an older MANIFEST was put back"));
    }
    for (std::size_t i = 0; i < scanned.size(); ++i) {
      ReplayedSegment& segment = replay_.segments[i];
      segment.discarded_bytes =
          scanned[i].nonzero_end - std::min(scanned[i].nonzero_end, segment.end);
      replay_.discarded_bytes += segment.discarded_bytes;
    }
    return std::move(replay_);
  }

 private:
  Result<std::vector<OpenSegment>> OpenAll() {
    std::vector<OpenSegment> open;
    for (const format::LogSegment& listed : manifest_.log) {
      OpenSegment segment;
      segment.identity = {.store = manifest_.store, .id = listed.id, .nonce = listed.nonce};
      FREYJA_ASSIGN_OR_RETURN(segment.file, OpenDataFile(directory_, segment.identity,
                                                         manifest_.generation, /*writable=*/false));
      FREYJA_ASSIGN_OR_RETURN(segment.bytes, segment.file->Size());
      open.push_back(std::move(segment));
    }
    return open;
  }

  void Append(const ScannedSegment& scanned) {
    const ReplayedSegment& replayed = scanned.replayed;
    const bool has_records = replayed.last_sequence != 0;
    if (has_records && replayed.first_sequence != replay_.last_sequence + 1) ended_ = true;
    replay_.watermark = std::max(replay_.watermark, scanned.watermark);
    if (ended_) {
      replay_.segments.push_back({.listed = replayed.listed,
                                  .file_bytes = replayed.file_bytes,
                                  .end = format::kSegmentHeaderBytes});
      return;
    }
    replay_.segments.push_back(replayed);
    if (has_records) replay_.last_sequence = replayed.last_sequence;
    open_batch_ = scanned.open_batch;
    ended_ = scanned.ends_log;
  }

  void CutOpenBatch() {
    if (!open_batch_) return;
    // It is in the last segment that has valid records.
    const auto segment = std::ranges::find_if(
        replay_.segments, [&](const auto& s) { return s.last_sequence == replay_.last_sequence; });
    replay_.last_sequence = open_batch_->first_sequence - 1;
    segment->end = open_batch_->offset;
    segment->last_sequence =
        segment->first_sequence == open_batch_->first_sequence ? 0 : replay_.last_sequence;
  }

  // Where the first record that should be there is not.
  Status Corruption(std::uint64_t proven) const {
    std::string where = "MANIFEST: the log";
    for (const ReplayedSegment& segment : replay_.segments) {
      if (segment.last_sequence == 0 && segment.listed.id != replay_.segments.front().listed.id)
        continue;
      where = format::DataFileName(segment.listed.id) + ": offset " + std::to_string(segment.end);
      if (segment.last_sequence == replay_.last_sequence) break;
    }
    return Status(StatusCode::kCorruption,
                  where + ": record " + std::to_string(replay_.last_sequence + 1) +
                      " is missing or damaged, but everything through record " +
                      std::to_string(proven) +
                      " had been made durable; run 'freyja check' on the directory");
  }

  Directory& directory_;
  const format::Manifest& manifest_;
  LogReplay replay_;
  std::optional<Batch> open_batch_;  // at its end
  bool ended_ = false;               // nothing behind it is valid
};

}  // namespace

unsigned ThreadsToRead(std::uint64_t longest_file_bytes, unsigned threads) {
  constexpr std::uint64_t kMostBytes = std::uint64_t{512} << 20;  // 8 segments of the default size
  const std::uint64_t at_once = kMostBytes / std::max<std::uint64_t>(longest_file_bytes, 1);
  return static_cast<unsigned>(std::clamp<std::uint64_t>(at_once, 1, threads));
}

Result<LogReplay> ReplayLog(Directory& directory, const format::Manifest& manifest,
                            unsigned threads) {
  return Replayer(directory, manifest).Run(threads);
}

}  // namespace freyja::engine
