#include "engine/recovery.h"

#include <algorithm>
#include <array>
#include <iterator>
#include <set>
#include <utility>

#include "base/mutex.h"
#include "base/status_macros.h"
#include "engine/hint_writer.h"
#include "engine/parallel.h"
#include "engine/sealed_writer.h"
#include "engine/segment_file.h"
#include "format/segment_header.h"

namespace freyja::engine {

namespace {

format::SegmentIdentity IdentityOf(const format::Manifest& manifest, std::uint64_t id,
                                   std::uint64_t nonce) {
  return {.store = manifest.store, .id = id, .nonce = nonce};
}

std::set<std::uint64_t> ListedIds(const format::Manifest& manifest) {
  std::set<std::uint64_t> ids;
  for (const auto& segment : manifest.log) ids.insert(segment.id);
  manifest.ForEachSealedOrQuarantined([&](const auto& segment) { ids.insert(segment.id); });
  return ids;
}

// At most: a manifest may say too much.
std::uint64_t CountRecords(const format::Manifest& manifest, const LogReplay& replay) {
  std::uint64_t records = 0;
  for (const format::SealedSegment& sealed : manifest.sealed) {
    records += std::min(sealed.record_count, sealed.data_bytes / format::kMinRecordBytes);
  }
  for (const ReplayedSegment& replayed : replay.segments) {
    if (replayed.last_sequence == 0) continue;
    records += replayed.last_sequence - replayed.first_sequence + 1;
  }
  return records;
}

template <class T>
Status StatusOf(Result<T> result) {
  return result ? Status::Ok() : std::move(result).error();
}

// The space behind a sealed segment's end, if a crash came before it was given back.
void ReleaseUnusedTail(Segment& segment) {
  constexpr std::uint64_t kWorthwhile = 64 << 10;
  const auto used = segment.file().DiskUsage();
  if (!used || *used < segment.sealed().data_bytes + kWorthwhile) return;
  const Status released = segment.file().ReleaseTail(segment.sealed().data_bytes);
  static_cast<void>(released);
}

}  // namespace

Result<Recovered> Recovery::Run() {
  const format::Manifest found = parts_.manifest.Current();
  FREYJA_RETURN_IF_ERROR(CheckUnlisted(found));
  if (!parts_.read_only) FREYJA_RETURN_IF_ERROR(MakeManifestDurable());
  FREYJA_ASSIGN_OR_RETURN(const LogReplay replay,
                          ReplayLog(parts_.directory, found, parts_.threads));
  if (found.clean) {
    auto image = ReadIndexImage(parts_.directory, found, replay, parts_.threads);
    if (image) {
      image_ = *std::move(image);
    } else if (image.error().code() != StatusCode::kNotFound) {
      recovered_.index_image_error = std::move(image).error();
    }
  }
  if (!image_) {
    const std::uint64_t records = CountRecords(found, replay);
    for (unsigned i = 0; i < parts_.threads; ++i) loaded_.emplace_back(records);
  }
  FREYJA_RETURN_IF_ERROR(LoadSealed(found));
  recovered_.last_sequence = replay.last_sequence;
  recovered_.durable_sequence = replay.watermark;
  recovered_.tail_bytes_discarded = replay.discarded_bytes;

  bool read_only = parts_.read_only;
  // No later open may take it, whether it served or not; and on a full disk its room is wanted.
  if (!read_only) parts_.directory.RemoveBestEffort(parts_.directory.IndexImagePath());
  if (!read_only && !parts_.reserve.whole()) {
    // The disk is full, and what a crash left behind may be what fills it. The manifest that
    // doesn't list it is durable, and has proved to be whole.
    DeleteUnlisted();
    const Status ignored = parts_.reserve.Establish();
    static_cast<void>(ignored);
  }
  if (!read_only) {
    Status status = ClearCleanMark();
    if (status.ok() && found.clean) status = ContinueLog(found, replay);
    if (status.ok() && (!found.clean || recovered_.log.empty())) status = SealLog(found, replay);
    if (!status.ok()) {
      if (status.code() != StatusCode::kNoSpace) return std::unexpected(status);
      recovered_.read_only_reason = status;
      read_only = true;
    }
  }
  if (read_only) FREYJA_RETURN_IF_ERROR(ReadLogInPlace(found, replay));
  FREYJA_RETURN_IF_ERROR(FillIndex());
  recovered_.mended = !image_ && !lacks_hint_;
  if (!read_only) DeleteUnlisted();
  return std::move(recovered_);
}

// --- Before anything is changed -------------------------------------------------------

Status Recovery::CheckUnlisted(const format::Manifest& manifest) {
  FREYJA_ASSIGN_OR_RETURN(const auto names,
                          parts_.directory.file_system().List(parts_.directory.path()));
  const std::set<std::uint64_t> listed = ListedIds(manifest);
  for (const std::string& name : names) {
    const format::ParsedFileName parsed = format::ParseFileName(name);
    if (parsed.kind != format::FileKind::kData || listed.contains(parsed.segment_id)) continue;
    const Status newer(
        StatusCode::kCorruption,
        name + ": newer than the MANIFEST, which doesn't list it: an older MANIFEST was put back");
    if (parsed.segment_id > manifest.reserved_id) return newer;
    auto file =
        parts_.directory.file_system().Open(parts_.directory.path() / name, io::OpenMode::kRead);
    if (!file) return file.error();
    std::array<std::byte, format::kSegmentHeaderBytes> bytes{};
    FREYJA_ASSIGN_OR_RETURN(const std::size_t read, (*file)->ReadAt(0, bytes));
    if (read < bytes.size()) {
      FREYJA_ASSIGN_OR_RETURN(const std::uint64_t size, (*file)->Size());
      if (size >= bytes.size()) {
        return Status(StatusCode::kIoError, name + ": only a part of its header could be read");
      }
    }
    // One without a valid header was never listed: headers are synced before that.
    const auto header = format::DecodeSegmentHeader(std::span(bytes).first(read));
    if (header && header->identity.store == manifest.store &&
        header->generation > manifest.generation) {
      return newer;
    }
  }
  // What is listed but not loaded must be there all the same.
  for (const format::QuarantinedJob& job : manifest.quarantine) {
    for (const format::SealedSegment& sealed : job.segments) {
      FREYJA_ASSIGN_OR_RETURN(
          const auto file,
          OpenDataFile(parts_.directory, IdentityOf(manifest, sealed.id, sealed.nonce),
                       manifest.generation, /*writable=*/false));
    }
  }
  return Status::Ok();
}

// A manifest that a crash left renamed but not synced becomes the one in force for good.
Status Recovery::MakeManifestDurable() {
  FREYJA_ASSIGN_OR_RETURN(const auto file,
                          parts_.directory.file_system().Open(parts_.directory.ManifestPath(),
                                                              io::OpenMode::kReadWrite));
  FREYJA_RETURN_IF_ERROR(file->Sync());
  return parts_.directory.Sync();
}

Status Recovery::ClearCleanMark() {
  if (!parts_.manifest.Current().clean) return Status::Ok();
  const auto commit = parts_.manifest.Commit(
      [](format::Manifest& manifest) {
        manifest.clean = false;
        manifest.clean_last_sequence = 0;
        return Status::Ok();
      },
      parts_.reserve);
  return commit.status;
}

// --- Sealed segments ------------------------------------------------------------------

Result<Segment*> Recovery::Register(std::unique_ptr<Segment> segment) {
  FREYJA_ASSIGN_OR_RETURN(Segment* const registered, parts_.segments.Register(std::move(segment)));
  if (image_) imaged_.push_back(registered);
  return registered;
}

void Recovery::AddEntries(const Segment& segment, const std::vector<format::HintEntry>& entries,
                          std::size_t thread) {
  if (!image_) loaded_[thread].Add(segment, entries);
}

Status Recovery::LoadEntries(const format::Manifest& manifest, Segment& segment,
                             HintBuffers& buffers) {
  const format::SealedSegment& sealed = segment.sealed();
  const format::HintHeader hint = HintHeaderOf(manifest.store, sealed);
  if (ReadHintEntries(parts_.directory, hint, buffers).ok()) return Status::Ok();
  std::vector<format::HintEntry>& entries = buffers.entries;
  entries.clear();
  // The file is that long; how many records the manifest says is not known to be true yet.
  entries.reserve(std::min(sealed.record_count, sealed.data_bytes / format::kMinRecordBytes));
  FREYJA_RETURN_IF_ERROR(
      ScanSealed(segment.file(), segment.identity(), sealed, [&](const ScannedRecord& scanned) {
        entries.push_back(MakeHintEntry(scanned, manifest.hash_seed));
        return Status::Ok();
      }));
  // Without one the next open scans again.
  if (!MayWriteHints() || !WriteHint(parts_.directory, hint, entries).ok()) lacks_hint_ = true;
  return Status::Ok();
}

Result<std::unique_ptr<Segment>> Recovery::MapListed(const format::Manifest& manifest,
                                                     const format::SealedSegment& sealed) {
  const auto identity = IdentityOf(manifest, sealed.id, sealed.nonce);
  FREYJA_ASSIGN_OR_RETURN(auto file, OpenDataFile(parts_.directory, identity, manifest.generation,
                                                  /*writable=*/!parts_.read_only));
  FREYJA_ASSIGN_OR_RETURN(auto segment, MapSealedSegment(std::move(file), identity, sealed));
  if (!parts_.read_only) ReleaseUnusedTail(*segment);
  return segment;
}

Status Recovery::LoadSealedSegment(const format::Manifest& manifest,
                                   const format::SealedSegment& sealed, std::size_t thread,
                                   HintBuffers& buffers) {
  FREYJA_ASSIGN_OR_RETURN(auto mapped, MapListed(manifest, sealed));
  FREYJA_RETURN_IF_ERROR(LoadEntries(manifest, *mapped, buffers));
  FREYJA_ASSIGN_OR_RETURN(const Segment* const segment, Register(std::move(mapped)));
  AddEntries(*segment, buffers.entries, thread);
  return Status::Ok();
}

Status Recovery::LoadSealed(const format::Manifest& manifest) {
  if (image_) {
    for (const format::SealedSegment& sealed : manifest.sealed) {
      FREYJA_ASSIGN_OR_RETURN(auto segment, MapListed(manifest, sealed));
      FREYJA_RETURN_IF_ERROR(StatusOf(Register(std::move(segment))));
    }
    return Status::Ok();
  }
  return ForEachByThread(manifest.sealed.size(),
                         [&](std::size_t i, std::size_t thread, HintBuffers& buffers) {
                           return LoadSealedSegment(manifest, manifest.sealed[i], thread, buffers);
                         });
}

Status Recovery::ForEachByThread(
    std::size_t count,
    const std::function<Status(std::size_t, std::size_t, HintBuffers&)>& body) const {
  const std::size_t threads = std::min<std::size_t>(parts_.threads, count);
  return RunParallel(threads, parts_.threads, [&](std::size_t thread) -> Status {
    HintBuffers buffers;
    for (std::size_t i = thread; i < count; i += threads) {
      FREYJA_RETURN_IF_ERROR(body(i, thread, buffers));
    }
    return Status::Ok();
  });
}

// --- The log --------------------------------------------------------------------------

namespace {

Status NoLongerVerifies(const ReplayedSegment& replayed, const RecordScanner& scanner) {
  return Status(StatusCode::kIoError, format::DataFileName(replayed.listed.id) + ": offset " +
                                          std::to_string(scanner.offset()) +
                                          ": a record that verified before does not any more");
}

}  // namespace

Result<Recovery::InPlace> Recovery::LoadLogSegment(const format::Manifest& manifest,
                                                   const ReplayedSegment& replayed,
                                                   std::uint64_t last_sequence, bool writable) {
  const auto identity = IdentityOf(manifest, replayed.listed.id, replayed.listed.nonce);
  FREYJA_ASSIGN_OR_RETURN(
      auto file, OpenDataFile(parts_.directory, identity, manifest.generation, !parts_.read_only));
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
  const auto identity = IdentityOf(manifest, replayed.listed.id, replayed.listed.nonce);
  FREYJA_ASSIGN_OR_RETURN(
      auto file, OpenDataFile(parts_.directory, identity, manifest.generation, !parts_.read_only));
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
  AddEntries(*segment, loaded.entries, 0);
  return segment;
}

// Takes the log's blocks again, which the close gave back; false if not all are to be had.
// Then what there was goes back: ext4 leaves it with the file, and sealing needs room, too.
Result<bool> Recovery::AllocateLog(const format::Manifest& manifest, const LogReplay& replay) {
  std::vector<std::unique_ptr<io::File>> files;
  for (const ReplayedSegment& replayed : replay.segments) {
    FREYJA_ASSIGN_OR_RETURN(
        auto file, OpenDataFile(parts_.directory,
                                IdentityOf(manifest, replayed.listed.id, replayed.listed.nonce),
                                manifest.generation, /*writable=*/true));
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
  const auto identity = IdentityOf(manifest, replayed.listed.id, replayed.listed.nonce);
  FREYJA_ASSIGN_OR_RETURN(const auto file, OpenDataFile(parts_.directory, identity,
                                                        manifest.generation, /*writable=*/false));
  RecordScanner scanner(*file, identity.ChecksumSeed(), format::kSegmentHeaderBytes, replayed.end);
  ScannedRecord scanned;
  while (scanner.offset() < replayed.end) {
    FREYJA_ASSIGN_OR_RETURN(const bool found, scanner.Next(scanned));
    if (!found) return NoLongerVerifies(replayed, scanner);
    if (scanned.record.sequence <= after_sequence) continue;
    if (copies.empty() || copies.back()->bytes() + scanned.bytes > parts_.segment_bytes) {
      FREYJA_ASSIGN_OR_RETURN(const std::uint64_t id, parts_.ids.Next());
      FREYJA_ASSIGN_OR_RETURN(
          auto copy,
          SealedWriter::Create(parts_.directory,
                               {.identity = IdentityOf(manifest, id, parts_.random.Next64()),
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
  const Status copied = RunParallel(of_segment.size(), ThreadsToReadLog(replay), copy);
  for (Copies& some : of_segment) std::ranges::move(some, std::back_inserter(copies));
  FREYJA_RETURN_IF_ERROR(copied);
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
    const auto identity = IdentityOf(manifest, replayed.listed.id, replayed.listed.nonce);
    const auto file = OpenDataFile(parts_.directory, identity, manifest.generation,
                                   /*writable=*/true);
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
  const Status copied = parts_.reserve.RunWith([&] {
    abandon();
    if (!parts_.reserve.whole()) {
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
  return ForEachByThread(segments.size(),
                         [&](std::size_t i, std::size_t thread, HintBuffers& buffers) -> Status {
                           if (i < kept.size()) {
                             AddEntries(*segments[i], kept[i].entries, thread);
                             kept[i].entries = {};
                             return Status::Ok();
                           }
                           FREYJA_RETURN_IF_ERROR(LoadEntries(manifest, *segments[i], buffers));
                           AddEntries(*segments[i], buffers.entries, thread);
                           return Status::Ok();
                         });
}

Status Recovery::ReadLogInPlace(const format::Manifest& manifest, const LogReplay& replay) {
  for (const ReplayedSegment& replayed : replay.segments) {
    if (replayed.last_sequence == 0) continue;
    FREYJA_ASSIGN_OR_RETURN(InPlace loaded,
                            LoadWholeLogSegment(manifest, replayed, /*writable=*/false));
    FREYJA_RETURN_IF_ERROR(StatusOf(RegisterInPlace(std::move(loaded))));
  }
  recovered_.log.clear();
  return Status::Ok();
}

// --- The index ------------------------------------------------------------------------

namespace {

std::uint64_t EndOf(const Segment& segment) {
  return segment.state() == SegmentState::kSealed ? segment.sealed().data_bytes
                                                  : segment.log_end.load();
}

}  // namespace

Status Recovery::FillIndex() {
  if (!image_) {
    return BuildIndex(std::move(loaded_), parts_.index, parts_.segments, parts_.threads);
  }
  for (std::size_t number = 0; number < image_->segments.size(); ++number) {
    const format::ImagedSegment& listed = image_->segments[number];
    // They were registered in the image's order, in a table that had none before.
    if (number >= imaged_.size() || imaged_[number]->id() != listed.id ||
        imaged_[number]->slot() != number || EndOf(*imaged_[number]) != listed.data_bytes) {
      return Status(StatusCode::kIoError, format::DataFileName(listed.id) +
                                              ": can't be found by what an index image says");
    }
    imaged_[number]->SetLive(listed.live_records, listed.live_bytes);
  }
  recovered_.index_from_image = true;
  return parts_.index.Adopt(std::move(image_->pages));
}

// --- After the commit -----------------------------------------------------------------

void Recovery::DeleteUnlisted() {
  const auto names = parts_.directory.file_system().List(parts_.directory.path());
  if (!names) return;
  const std::set<std::uint64_t> listed = ListedIds(parts_.manifest.Current());
  for (const std::string& name : *names) {
    const format::ParsedFileName parsed = format::ParseFileName(name);
    const bool ours = parsed.kind != format::FileKind::kForeign;
    const bool temporary = name == format::kManifestTempName || name == format::kHistoryTempName;
    if (temporary || (ours && !listed.contains(parsed.segment_id))) {
      parts_.directory.RemoveBestEffort(parts_.directory.path() / name);
    }
  }
}

}  // namespace freyja::engine
