// The recovery of the log: gone on with, sealed, or read where it is.
#include <algorithm>
#include <atomic>
#include <iterator>
#include <utility>

#include "base/status_macros.h"
#include "engine/hint_writer.h"
#include "engine/parallel.h"
#include "engine/recovery.h"
#include "engine/sealed_writer.h"
#include "engine/segment_file.h"
#include "engine/segment_summary.h"
#include "format/segment_header.h"

namespace freyja::engine {

namespace {

Status NoLongerVerifies(const ReplayedSegment& replayed, const RecordScanner& scanner) {
  return Status(StatusCode::kIoError, format::DataFileName(replayed.listed.id) + ": offset " +
                                          std::to_string(scanner.offset()) +
                                          ": a record that verified before does not any more");
}

}  // namespace

Result<std::unique_ptr<io::File>> Recovery::OpenLogFile(const format::Manifest& manifest,
                                                        const ReplayedSegment& replayed,
                                                        bool writable) {
  return OpenDataFile(parts_.directory, IdentityOf(manifest, replayed.listed), manifest.generation,
                      writable);
}

Result<Recovery::InPlace> Recovery::LoadLogSegment(const format::Manifest& manifest,
                                                   const ReplayedSegment& replayed,
                                                   std::uint64_t last_sequence, bool writable) {
  const auto identity = IdentityOf(manifest, replayed.listed);
  FREYJA_ASSIGN_OR_RETURN(auto file, OpenLogFile(manifest, replayed, !parts_.read_only));
  InPlace loaded;
  SummaryBuilder summary;
  RecordScanner scanner(*file, identity.ChecksumSeed(), format::kSegmentHeaderBytes, replayed.end);
  ScannedRecord scanned;
  for (;;) {
    FREYJA_ASSIGN_OR_RETURN(const bool found, scanner.Next(scanned));
    if (!found && scanner.offset() < replayed.end) {
      return std::unexpected(NoLongerVerifies(replayed, scanner));
    }
    if (!found || scanned.record.sequence > last_sequence) break;
    summary.Add(scanned);
    loaded.entries.push_back(MakeHintEntry(scanned, manifest.hash_seed));
  }
  loaded.summary = summary.Finish(identity);
  FREYJA_RETURN_IF_ERROR(MapInPlace(std::move(file), identity, replayed, writable, loaded));
  return loaded;
}

Result<Recovery::InPlace> Recovery::LoadWholeLogSegment(const format::Manifest& manifest,
                                                        const ReplayedSegment& replayed,
                                                        bool writable) {
  if (!image_) return LoadLogSegment(manifest, replayed, recovered_.last_sequence, writable);
  // Nobody asks for the entries, and the replay has just read the records.
  const auto identity = IdentityOf(manifest, replayed.listed);
  FREYJA_ASSIGN_OR_RETURN(auto file, OpenLogFile(manifest, replayed, !parts_.read_only));
  InPlace loaded;
  loaded.summary.data_bytes = replayed.end;
  if (replayed.last_sequence != 0) {
    loaded.summary.record_count = replayed.last_sequence - replayed.first_sequence + 1;
    loaded.summary.tombstone_count = replayed.tombstone_count;
    loaded.summary.lowest_sequence = replayed.first_sequence;
    loaded.summary.highest_sequence = replayed.last_sequence;
  }
  FREYJA_RETURN_IF_ERROR(MapInPlace(std::move(file), identity, replayed, writable, loaded));
  return loaded;
}

Status Recovery::MapInPlace(std::unique_ptr<io::File> file, const format::SegmentIdentity& identity,
                            const ReplayedSegment& replayed, bool writable, InPlace& loaded) {
  const format::SealedSegment& summary = loaded.summary;
  const std::uint64_t end =
      std::max<std::uint64_t>(summary.data_bytes, format::kSegmentHeaderBytes);
  FREYJA_ASSIGN_OR_RETURN(auto mapping, file->Map(writable ? replayed.file_bytes : end, false));
  std::shared_ptr<io::Mapping> log_mapping;
  if (writable) {
    FREYJA_ASSIGN_OR_RETURN(log_mapping, file->Map(replayed.file_bytes, true));
  }
  loaded.segment = std::make_unique<Segment>(identity, std::move(file), std::move(mapping),
                                             std::move(log_mapping));
  loaded.segment->log_end.store(end);
  loaded.segment->log_records.store(summary.record_count);
  loaded.segment->log_tombstones.store(summary.tombstone_count);
  loaded.segment->log_first_sequence.store(summary.lowest_sequence);
  loaded.segment->log_last_sequence.store(summary.highest_sequence);
  loaded.segment->set_state(SegmentState::kFull);
  return Status::Ok();
}

Result<Segment*> Recovery::RegisterInPlace(InPlace loaded) {
  FREYJA_ASSIGN_OR_RETURN(Segment* const segment, Register(std::move(loaded.segment)));
  if (!image_) loaded_.front().Add(*segment, loaded.entries);
  return segment;
}

// Takes the log's blocks again, which the close gave back; false if not all are to be had.
// Then what there was goes back: ext4 leaves it with the file, and sealing needs room, too.
Result<bool> Recovery::AllocateLog(const format::Manifest& manifest, const LogReplay& replay) {
  std::vector<std::unique_ptr<io::File>> files;
  for (const ReplayedSegment& replayed : replay.segments) {
    FREYJA_ASSIGN_OR_RETURN(auto file, OpenLogFile(manifest, replayed, /*writable=*/true));
    files.push_back(std::move(file));
  }
  bool all = true;
  for (std::size_t i = 0; i < files.size() && all; ++i) {
    all = files[i]->Allocate(replay.segments[i].file_bytes).ok();
  }
  for (std::size_t i = 0; i < files.size() && !all; ++i) {
    const Status released = files[i]->ReleaseTail(replay.segments[i].end);
    static_cast<void>(released);
  }
  return all;
}

// After a clean close: the segment appended to last, and one prepared behind it, go on. If
// they can't (no room to allocate them again), the log is sealed instead.
Status Recovery::ContinueLog(const format::Manifest& manifest, const LogReplay& replay) {
  if (replay.segments.empty() || replay.segments.size() > 2) return Status::Ok();
  if (replay.segments.size() == 2 && replay.segments[1].last_sequence != 0) return Status::Ok();
  FREYJA_ASSIGN_OR_RETURN(const bool allocated, AllocateLog(manifest, replay));
  if (!allocated) return Status::Ok();
  for (const ReplayedSegment& replayed : replay.segments) {
    FREYJA_ASSIGN_OR_RETURN(InPlace loaded,
                            LoadWholeLogSegment(manifest, replayed, /*writable=*/true));
    FREYJA_ASSIGN_OR_RETURN(Segment* const segment, RegisterInPlace(std::move(loaded)));
    recovered_.log.push_back(segment);
  }
  recovered_.durable_sequence = replay.last_sequence;
  return Status::Ok();
}

Status Recovery::CopyRest(const format::Manifest& manifest, const ReplayedSegment& replayed,
                          std::uint64_t after_sequence, Copies& copies) {
  FREYJA_ASSIGN_OR_RETURN(const auto file, OpenLogFile(manifest, replayed, /*writable=*/false));
  RecordScanner scanner(*file, IdentityOf(manifest, replayed.listed).ChecksumSeed(),
                        format::kSegmentHeaderBytes, replayed.end);
  ScannedRecord scanned;
  while (scanner.offset() < replayed.end) {
    FREYJA_ASSIGN_OR_RETURN(const bool found, scanner.Next(scanned));
    if (!found) return NoLongerVerifies(replayed, scanner);
    if (scanned.record.sequence <= after_sequence) continue;
    if (copies.empty() || copies.back()->bytes() + scanned.bytes > parts_.segment_bytes) {
      FREYJA_ASSIGN_OR_RETURN(const std::uint64_t id, parts_.ids.Next());
      FREYJA_ASSIGN_OR_RETURN(
          auto copy, SealedWriter::Create(parts_.directory,
                                          {.identity = {manifest.store, id, parts_.random.Next64()},
                                           .manifest_generation = parts_.manifest.generation(),
                                           .hash_seed = manifest.hash_seed,
                                           .temp_dir = {},
                                           .with_hint = MayWriteHints()}));
      copies.push_back(std::move(copy));
    }
    FREYJA_ASSIGN_OR_RETURN([[maybe_unused]] const std::uint64_t offset,
                            copies.back()->Append(scanned.record));
  }
  return Status::Ok();
}

unsigned Recovery::ThreadsToReadLog(const LogReplay& replay) const {
  std::uint64_t longest = 0;
  for (const ReplayedSegment& replayed : replay.segments) {
    longest = std::max(longest, replayed.end);
  }
  return ThreadsToRead(longest, parts_.threads);
}

Status Recovery::CopyLog(const format::Manifest& manifest, const LogReplay& replay,
                         std::uint64_t after_sequence, Copies& copies) {
  std::vector<Copies> of_segment(replay.segments.size());
  const auto copy = [&](std::size_t i) -> Status {
    if (replay.segments[i].last_sequence <= after_sequence) return Status::Ok();
    FREYJA_RETURN_IF_ERROR(CopyRest(manifest, replay.segments[i], after_sequence, of_segment[i]));
    for (auto& writer : of_segment[i]) {
      FREYJA_RETURN_IF_ERROR(writer->SealData());
      FREYJA_RETURN_IF_ERROR(writer->Verify());
    }
    return Status::Ok();
  };
  // Who has nothing to copy any more loads sealed segments.
  const unsigned threads = ThreadsToReadLog(replay);
  const unsigned loaders = threads == 1 ? 0 : threads;
  const Status copied =
      RunParallel(of_segment.size() + loaders, threads, [&](std::size_t i) -> Status {
        return i < of_segment.size() ? copy(i) : LoadSomeSealed(manifest, i - of_segment.size());
      });
  for (Copies& some : of_segment) std::ranges::move(some, std::back_inserter(copies));
  FREYJA_RETURN_IF_ERROR(copied);
  FREYJA_RETURN_IF_ERROR(LoadSealed(manifest));
  if (MayWriteHints()) {
    const auto seal_hint = [&](std::size_t i) -> Status {
      const Status hint = copies[i]->SealHint();
      static_cast<void>(hint);  // the records are scanned instead
      return Status::Ok();
    };
    FREYJA_RETURN_IF_ERROR(RunParallel(copies.size(), parts_.threads, seal_hint));
  }
  return parts_.directory.Sync();
}

// On a full disk that is the room which copies and the commit need. Only zeros go: what is not
// zero behind the last record is left as it is until the commit says that it is not needed.
void Recovery::GiveBackTails(const format::Manifest& manifest, const LogReplay& replay) {
  for (const ReplayedSegment& replayed : replay.segments) {
    if (replayed.discarded_bytes != 0) continue;
    const auto file = OpenLogFile(manifest, replayed, /*writable=*/true);
    if (!file) continue;
    const Status released = (*file)->ReleaseTail(replayed.end);
    static_cast<void>(released);
  }
}

Status Recovery::SealLog(const format::Manifest& manifest, const LogReplay& replay) {
  const std::uint64_t in_place_through =
      manifest.clean ? replay.last_sequence : std::min(replay.watermark, replay.last_sequence);
  Copies copies;
  const auto abandon = [&] {
    for (auto& copy : copies) copy->Abandon();
    copies.clear();
  };
  const Status copied = parts_.reserve.RunWith([&]() -> Status {
    abandon();
    if (!parts_.reserve.whole()) {
      // What is listed has to prove whole first.
      FREYJA_RETURN_IF_ERROR(LoadSealed(manifest));
      DeleteUnlisted();  // what a crash during an earlier attempt left
      GiveBackTails(manifest, replay);
    }
    return CopyLog(manifest, replay, in_place_through, copies);
  });
  if (!copied.ok()) {
    abandon();
    return copied;
  }

  std::vector<InPlace> kept;
  if (Status loaded = LoadKept(manifest, replay, in_place_through, kept); !loaded.ok()) {
    abandon();
    return loaded;
  }

  std::uint64_t last = 0;
  const auto commit = parts_.manifest.Commit(
      [&](format::Manifest& next) {
        for (const InPlace& segment : kept) next.sealed.push_back(segment.summary);
        for (const auto& copy : copies) next.sealed.push_back(copy->sealed());
        last = manifest.clean ? replay.last_sequence : next.reserved_sequence;
        next.log.clear();
        next.log_first_sequence = last + 1;
        next.watermark = std::max(next.watermark, last);
        return Status::Ok();
      },
      parts_.reserve);
  if (!commit.ok()) {
    // After an unknown outcome the copies may be listed.
    if (commit.outcome == ManifestStore::Outcome::kRefused) abandon();
    return commit.status;
  }
  recovered_.last_sequence = last;
  recovered_.durable_sequence = last;
  for (const auto& copy : copies) recovered_.tail_records_copied += copy->sealed().record_count;
  return RegisterSealedLog(manifest, std::move(kept), copies);
}

// The durable beginnings of the log's segments, and hints for them.
Status Recovery::LoadKept(const format::Manifest& manifest, const LogReplay& replay,
                          std::uint64_t last_sequence, std::vector<InPlace>& kept) {
  std::vector<const ReplayedSegment*> listed;
  for (const ReplayedSegment& replayed : replay.segments) {
    if (replayed.last_sequence == 0 || replayed.first_sequence > last_sequence) continue;
    listed.push_back(&replayed);
  }
  kept.resize(listed.size());
  return RunParallel(listed.size(), ThreadsToReadLog(replay), [&](std::size_t i) -> Status {
    FREYJA_ASSIGN_OR_RETURN(
        kept[i], LoadLogSegment(manifest, *listed[i], last_sequence, /*writable=*/false));
    if (!MayWriteHints()) return Status::Ok();
    const Status hint =
        WriteHint(parts_.directory, HintHeaderOf(manifest.store, kept[i].summary), kept[i].entries);
    static_cast<void>(hint);  // the next open scans
    return Status::Ok();
  });
}

Status Recovery::RegisterSealedLog(const format::Manifest& manifest, std::vector<InPlace> kept,
                                   const Copies& copies) {
  std::vector<Segment*> segments;  // one after another: an image goes by their order
  for (InPlace& in_place : kept) {
    in_place.segment->set_sealed(in_place.summary);
    in_place.segment->set_state(SegmentState::kSealed);
    const Status released = in_place.segment->file().ReleaseTail(in_place.summary.data_bytes);
    static_cast<void>(released);
    FREYJA_ASSIGN_OR_RETURN(Segment* const segment, Register(std::move(in_place.segment)));
    segments.push_back(segment);
  }
  for (const auto& copy : copies) {
    FREYJA_ASSIGN_OR_RETURN(auto mapped, copy->Map());
    FREYJA_ASSIGN_OR_RETURN(Segment* const segment, Register(std::move(mapped)));
    segments.push_back(segment);
  }
  if (image_) return Status::Ok();
  std::atomic<std::size_t> next{0};
  return RunParallel(parts_.threads, parts_.threads, [&](std::size_t thread) -> Status {
    base::HugeBuffer buffer;
    for (std::size_t i = next.fetch_add(1); i < segments.size(); i = next.fetch_add(1)) {
      if (i < kept.size()) {
        loaded_[thread].Add(*segments[i], kept[i].entries);
        kept[i].entries = std::vector<format::HintEntry>();  // not {}, which keeps the memory
      } else {
        FREYJA_RETURN_IF_ERROR(LoadEntries(manifest, *segments[i], thread, buffer));
      }
    }
    return Status::Ok();
  });
}

Status Recovery::ReadLogInPlace(const format::Manifest& manifest, const LogReplay& replay) {
  for (const ReplayedSegment& replayed : replay.segments) {
    if (replayed.last_sequence == 0) continue;
    FREYJA_ASSIGN_OR_RETURN(InPlace loaded,
                            LoadWholeLogSegment(manifest, replayed, /*writable=*/false));
    FREYJA_ASSIGN_OR_RETURN([[maybe_unused]] const Segment* const segment,
                            RegisterInPlace(std::move(loaded)));
  }
  recovered_.log.clear();
  return Status::Ok();
}

}  // namespace freyja::engine
