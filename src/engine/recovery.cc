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
  FREYJA_RETURN_IF_ERROR(MapSealed(found));
  bool read_only = parts_.read_only;
  // After a crash it goes on beside the copying of the log, in which not all threads may have a
  // part. Not on a full disk: see below.
  if (read_only || found.clean || !parts_.reserve.whole()) {
    FREYJA_RETURN_IF_ERROR(LoadSealed(found));
  }
  recovered_.last_sequence = replay.last_sequence;
  recovered_.durable_sequence = replay.watermark;
  recovered_.tail_bytes_discarded = replay.discarded_bytes;

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
  FREYJA_RETURN_IF_ERROR(LoadSealed(found));
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

Status Recovery::LoadEntries(const format::Manifest& manifest, Segment& segment, std::size_t thread,
                             base::HugeBuffer& buffer) {
  const format::SealedSegment& sealed = segment.sealed();
  const format::HintHeader hint = HintHeaderOf(manifest.store, sealed);
  if (const auto entries = ReadHintEntries(parts_.directory, hint, buffer)) {
    loaded_[thread].Add(segment, *entries);
    return Status::Ok();
  }
  std::vector<format::HintEntry> entries;
  // The file is that long; how many records the manifest says is not known to be true yet.
  entries.reserve(std::min(sealed.record_count, sealed.data_bytes / format::kMinRecordBytes));
  FREYJA_RETURN_IF_ERROR(
      ScanSealed(segment.file(), segment.identity(), sealed, [&](const ScannedRecord& scanned) {
        entries.push_back(MakeHintEntry(scanned, manifest.hash_seed));
        return Status::Ok();
      }));
  // Without one the next open scans again.
  if (!MayWriteHints() || !WriteHint(parts_.directory, hint, entries).ok()) lacks_hint_ = true;
  loaded_[thread].Add(segment, entries);
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

Status Recovery::MapSealed(const format::Manifest& manifest) {
  std::vector<std::unique_ptr<Segment>> mapped(manifest.sealed.size());
  FREYJA_RETURN_IF_ERROR(RunParallel(mapped.size(), parts_.threads, [&](std::size_t i) -> Status {
    FREYJA_ASSIGN_OR_RETURN(mapped[i], MapListed(manifest, manifest.sealed[i]));
    return Status::Ok();
  }));
  // One after another: an image goes by their order.
  for (auto& segment : mapped) {
    FREYJA_ASSIGN_OR_RETURN(Segment* const registered, Register(std::move(segment)));
    sealed_.push_back({.segment = registered, .is_loaded = image_.has_value()});
  }
  return Status::Ok();
}

Status Recovery::LoadSealed(const format::Manifest& manifest) {
  next_sealed_.store(0);
  return RunParallel(parts_.threads, parts_.threads,
                     [&](std::size_t thread) { return LoadSomeSealed(manifest, thread); });
}

Status Recovery::LoadSomeSealed(const format::Manifest& manifest, std::size_t thread) {
  base::HugeBuffer buffer;
  for (;;) {
    const std::size_t i = next_sealed_.fetch_add(1);
    if (i >= sealed_.size()) return Status::Ok();
    if (sealed_[i].is_loaded) continue;
    FREYJA_RETURN_IF_ERROR(LoadEntries(manifest, *sealed_[i].segment, thread, buffer));
    sealed_[i].is_loaded = true;
  }
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
