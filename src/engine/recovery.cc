#include "engine/recovery.h"

#include <algorithm>
#include <array>
#include <set>
#include <utility>

#include "base/status_macros.h"
#include "engine/hint_writer.h"
#include "engine/parallel.h"
#include "engine/segment_file.h"
#include "engine/segment_summary.h"
#include "format/segment_header.h"

namespace freyja::engine {

namespace {

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
      FREYJA_ASSIGN_OR_RETURN(const auto file,
                              OpenDataFile(parts_.directory, IdentityOf(manifest, sealed),
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
  const auto identity = IdentityOf(manifest, sealed);
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
      FREYJA_ASSIGN_OR_RETURN([[maybe_unused]] const Segment* const registered,
                              Register(std::move(segment)));
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
