#include "engine/log_replay.h"

#include <algorithm>
#include <string>

#include "base/status_macros.h"
#include "engine/segment_summary.h"
#include "format/segment_header.h"

namespace freyja::engine {

namespace {

class Replayer {
 public:
  Replayer(Directory& directory, const format::Manifest& manifest)
      : directory_(directory), manifest_(manifest), expected_(manifest.log_first_sequence) {
    replay_.last_sequence = expected_ - 1;
    replay_.watermark = manifest.watermark;
  }

  Result<LogReplay> Run() {
    for (const format::LogSegment& listed : manifest_.log) FREYJA_RETURN_IF_ERROR(Scan(listed));
    CutOpenBatch();
    const std::uint64_t proven = manifest_.clean
                                     ? std::max(replay_.watermark, manifest_.clean_last_sequence)
                                     : replay_.watermark;
    if (replay_.last_sequence < proven) return std::unexpected(Corruption(proven));
    // Whatever verifies behind the end of a clean log, next or not, was written later.
    if (manifest_.clean && (stopped_ || replay_.last_sequence > manifest_.clean_last_sequence)) {
      return std::unexpected(Status(StatusCode::kCorruption,
                                    "MANIFEST: says the store was closed after record " +
                                        std::to_string(manifest_.clean_last_sequence) +
                                        ", but the log goes on: an older MANIFEST was put back"));
    }
    for (const Tail& tail : tails_) {
      ReplayedSegment& segment = replay_.segments[tail.segment];
      segment.discarded_bytes = tail.nonzero_end - std::min(tail.nonzero_end, segment.end);
      replay_.discarded_bytes += segment.discarded_bytes;
    }
    return std::move(replay_);
  }

 private:
  struct Tail {
    std::size_t segment = 0;
    std::uint64_t nonzero_end = 0;
  };

  Status Scan(const format::LogSegment& listed) {
    const format::SegmentIdentity identity{
        .store = manifest_.store, .id = listed.id, .nonce = listed.nonce};
    FREYJA_ASSIGN_OR_RETURN(const auto file,
                            OpenDataFile(directory_, identity, manifest_.generation,
                                         /*writable=*/false));
    FREYJA_ASSIGN_OR_RETURN(const std::uint64_t size, file->Size());
    replay_.segments.push_back(
        {.listed = listed, .file_bytes = size, .end = format::kSegmentHeaderBytes});
    summary_ = {};
    RecordScanner scanner(*file, identity.ChecksumSeed(), format::kSegmentHeaderBytes, size);
    ScannedRecord scanned;
    for (;;) {
      FREYJA_ASSIGN_OR_RETURN(bool found, scanner.Next(scanned));
      if (!found) {
        FREYJA_ASSIGN_OR_RETURN(found, scanner.Resynchronise(scanned));
        if (!found) break;
        stopped_ = true;  // records lie behind something that is none
      }
      Take(scanned);
    }
    // A batch lies in one segment: it can't go on in the next.
    if (open_batch_) stopped_ = true;
    tails_.push_back({replay_.segments.size() - 1, std::max(scanner.nonzero_end(), last_end_)});
    last_end_ = 0;
    return Status::Ok();
  }

  void Take(const ScannedRecord& scanned) {
    const format::Record& record = scanned.record;
    last_end_ = scanned.offset + scanned.bytes;
    if (record.watermark) replay_.watermark = std::max(replay_.watermark, *record.watermark);
    if (record.sequence != expected_) stopped_ = true;
    if (open_batch_ && record.begins_batch) stopped_ = true;
    if (stopped_) return;
    ReplayedSegment& segment = replay_.segments.back();
    if (record.begins_batch) {
      open_batch_ = Batch{expected_, scanned.offset};
    }
    if (segment.last_sequence == 0) segment.first_sequence = expected_;
    segment.last_sequence = expected_;
    segment.end = last_end_;
    replay_.last_sequence = expected_++;
    summary_.Add(scanned);
    segment.tombstone_count = summary_.summary().tombstone_count;
    segment.records_crc = summary_.summary().records_crc;
    if (record.ends_batch) open_batch_.reset();
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

  struct Batch {
    std::uint64_t first_sequence = 0;
    std::uint64_t offset = 0;
  };

  Directory& directory_;
  const format::Manifest& manifest_;
  LogReplay replay_;
  std::uint64_t expected_;
  bool stopped_ = false;
  std::optional<Batch> open_batch_;
  std::vector<Tail> tails_;
  std::uint64_t last_end_ = 0;  // of the last verifying record of the current segment
  SummaryBuilder summary_;      // of its valid ones
};

}  // namespace

Result<LogReplay> ReplayLog(Directory& directory, const format::Manifest& manifest) {
  return Replayer(directory, manifest).Run();
}

}  // namespace freyja::engine
