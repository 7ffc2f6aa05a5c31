// What a store says about itself: statistics, segments, verification.
#include <algorithm>

#include "base/status_macros.h"
#include "engine/segment_file.h"
#include "engine/segment_summary.h"
#include "engine/store.h"
#include "format/bloom.h"
#include "format/segment_header.h"

namespace freyja::engine {

namespace {

void DescribeSealed(const format::SealedSegment& sealed, SegmentInfo& info) {
  info.file_bytes = sealed.data_bytes;
  info.record_bytes = sealed.data_bytes - format::kSegmentHeaderBytes;
  info.records = sealed.record_count;
  info.tombstones = sealed.tombstone_count;
  info.lowest_sequence = sealed.lowest_sequence;
  info.highest_sequence = sealed.highest_sequence;
}

// Whether its records count. Those in quarantine don't, whatever readers still hold of them.
bool IsListed(const ManifestStore& manifests, const Segment& segment) {
  bool listed = false;
  manifests.Inspect([&](const format::Manifest& manifest) {
    listed = std::ranges::count(manifest.sealed, segment.id(), &format::SealedSegment::id) != 0 ||
             std::ranges::count(manifest.log, segment.id(), &format::LogSegment::id) != 0;
  });
  return listed;
}

}  // namespace

SegmentInfo Store::Describe(const Segment& segment) const {
  SegmentInfo info;
  info.id = segment.id();
  info.file = segment.name();
  info.state = segment.state();
  if (info.state == SegmentState::kSealed || info.state == SegmentState::kRetired) {
    DescribeSealed(segment.sealed(), info);
  } else {
    info.file_bytes = segment.log_end.load();
    info.records = segment.log_records.load();
    info.tombstones = segment.log_tombstones.load();
    info.lowest_sequence = segment.log_first_sequence.load();
    info.highest_sequence = segment.log_last_sequence.load();
    info.record_bytes =
        info.file_bytes - std::min<std::uint64_t>(info.file_bytes, format::kSegmentHeaderBytes);
  }
  info.live_records = segment.live_records();
  info.live_bytes = segment.live_bytes();
  // Counters move while they are read; a difference below zero is none.
  info.dead_bytes = info.record_bytes - std::min(info.record_bytes, info.live_bytes);
  info.pins = segment.pins();
  if (info.state == SegmentState::kRetired) {
    info.retired_for = std::chrono::duration_cast<std::chrono::milliseconds>(
        std::chrono::steady_clock::now() - segment.retired_at());
  }
  return info;
}

std::vector<SegmentInfo> Store::GetSegments() const {
  std::vector<SegmentInfo> infos;
  segments_.ForEach([&](const Segment& segment) { infos.push_back(Describe(segment)); });
  AddQuarantined(infos);
  // One that an undo brought back may still be held by readers from before it was retired.
  std::ranges::sort(infos, {}, [](const SegmentInfo& info) {
    return std::pair(info.id, info.state == SegmentState::kRetired);
  });
  const auto again = std::ranges::unique(infos, [](const SegmentInfo& a, const SegmentInfo& b) {
    return a.id == b.id && b.state == SegmentState::kRetired;
  });
  infos.erase(again.begin(), again.end());
  return infos;
}

void Store::AddQuarantined(std::vector<SegmentInfo>& infos) const {
  for (const format::QuarantinedJob& job : quarantine_->Jobs()) {
    for (const format::SealedSegment& sealed : job.segments) {
      auto info = std::ranges::find(infos, sealed.id, &SegmentInfo::id);
      if (info == infos.end()) {
        infos.push_back({.id = sealed.id, .file = format::DataFileName(sealed.id)});
        info = infos.end() - 1;
        DescribeSealed(sealed, *info);
        info->dead_bytes = info->record_bytes;
      }
      info->state = SegmentState::kQuarantined;
    }
  }
}

Stats Store::GetStats() const {
  Stats stats;
  for (const SegmentInfo& info : GetSegments()) {
    const bool retired = info.state == SegmentState::kRetired;
    const bool quarantined = info.state == SegmentState::kQuarantined;
    const bool sealed = retired || quarantined || info.state == SegmentState::kSealed;
    stats.disk_bytes += info.file_bytes;
    if (sealed) {
      format::HintHeader hint;
      hint.record_count = info.records;
      hint.filter_bytes = format::BloomFilterBytes(info.records);
      stats.disk_bytes += format::LayoutOf(hint).file_bytes;
    }
    if (quarantined) {
      ++stats.quarantined_segments;
      stats.quarantined_bytes += info.file_bytes;
    }
    if (retired) ++stats.retired_segments;
    if (retired || quarantined) continue;
    ++stats.segments;
    stats.live_bytes += info.live_bytes;
    stats.dead_bytes += info.dead_bytes;
  }
  segments_.ForEach([&](const Segment& segment) {
    const SegmentState state = segment.state();
    if (state == SegmentState::kActive || state == SegmentState::kPrepared) {
      stats.preallocated_bytes += segment.limit() - segment.log_end.load();
    }
  });
  if (reserve_->whole()) stats.preallocated_bytes += reserve_->bytes();
  stats.keys = index_->size();
  stats.index_bytes = index_->memory_bytes();
  stats.last_sequence = log_->published();
  stats.durable_sequence = log_->durable();
  stats.manifest_generation = manifest_->generation();
  stats.puts = writer_->puts();
  stats.deletes = writer_->deletes();
  stats.user_bytes_written = writer_->user_bytes();
  stats.log_bytes_written = log_->appended_bytes();
  stats.syncs = log_->syncs();
  stats.rolls = log_->rolls();
  stats.compactions_completed = totals_.completed.load();
  stats.compactions_failed = totals_.failed.load();
  stats.compaction_bytes_read = totals_.bytes_read.load();
  stats.compaction_bytes_written = totals_.bytes_written.load();
  stats.compaction_bytes_reclaimed = totals_.bytes_reclaimed.load();
  stats.compaction_failures_in_a_row = totals_.failures_in_a_row.load();
  const LockHolds holds = totals_.publish_holds();
  stats.publish_us_longest = (holds.longest_ns + 999) / 1000;
  stats.publish_p9999 = holds.counts.Quantile(0.9999);
  stats.open_snapshots = publisher_->open_snapshots();
  stats.recovered_tail_bytes_discarded = tail_bytes_discarded_;
  stats.recovered_tail_records_copied = tail_records_copied_;
  stats.read_only = !CheckWritable().ok();
  stats.background_error = health_.error();
  return stats;
}

Status Store::VerifySegment(const Segment& segment) const {
  std::vector<format::HintEntry> entries;
  const auto collect = [&](const ScannedRecord& scanned) {
    entries.push_back(MakeHintEntry(scanned, hash_seed_));
    return Status::Ok();
  };
  // A file of its own: the check must see what a later open would see.
  Directory& directory = const_cast<Directory&>(directory_);
  FREYJA_ASSIGN_OR_RETURN(
      const auto file,
      OpenDataFile(directory, segment.identity(), manifest_->generation(), /*writable=*/false));
  if (segment.state() == SegmentState::kSealed) {
    FREYJA_RETURN_IF_ERROR(ScanSealed(*file, segment.identity(), segment.sealed(), collect));
    const auto hint = ReadHintEntries(directory, HintHeaderOf(uuid_, segment.sealed()));
    const std::string hint_name = format::HintFileName(segment.id());
    // A missing hint is rebuilt at the next open; a wrong one must not be there.
    if (!hint && hint.error().code() == StatusCode::kNotFound) return Status::Ok();
    if (!hint) return hint.error();
    if (*hint != entries) {
      return Status(StatusCode::kCorruption,
                    hint_name + ": offset " + std::to_string(format::kHintHeaderBytes) +
                        ": the entries are not those of " + segment.name());
    }
    FREYJA_ASSIGN_OR_RETURN(const auto filter,
                            ReadHintFilter(directory, HintHeaderOf(uuid_, segment.sealed())));
    if (!std::ranges::all_of(
            entries, [&](const auto& entry) { return format::MayContain(filter, entry.hash); })) {
      const auto layout = format::LayoutOf(HintHeaderOf(uuid_, segment.sealed()));
      return Status(StatusCode::kCorruption, hint_name + ": offset " +
                                                 std::to_string(layout.filter_offset) +
                                                 ": the filter is damaged");
    }
    return Status::Ok();
  }
  const std::uint64_t end = segment.log_end.load();
  RecordScanner scanner(*file, segment.seed(), format::kSegmentHeaderBytes, end);
  ScannedRecord scanned;
  while (scanner.offset() < end) {
    FREYJA_ASSIGN_OR_RETURN(const bool found, scanner.Next(scanned));
    if (!found) {
      return Status(StatusCode::kCorruption, segment.name() + ": offset " +
                                                 std::to_string(scanner.offset()) +
                                                 ": the record does not verify");
    }
  }
  return Status::Ok();
}

Status Store::VerifyChecksums() const {
  FREYJA_RETURN_IF_ERROR(CheckOpen());
  FREYJA_ASSIGN_OR_RETURN(const auto on_disk,
                          ManifestStore::Read(const_cast<Directory&>(directory_)));
  if (on_disk.store != uuid_) {
    return Status(StatusCode::kCorruption, "MANIFEST: that of another store");
  }
  for (const PinnedSegment& segment : PinSegments()) {
    // One that is being prepared, or written by a job, does not count yet.
    if (!IsListed(*manifest_, *segment)) continue;
    Status status = VerifySegment(*segment);
    // Replaced meanwhile: its files no longer count.
    if (!status.ok() && IsListed(*manifest_, *segment)) return status;
  }
  FREYJA_RETURN_IF_ERROR(VerifyQuarantined());
  // Where the open has not removed it.
  return options_.read_only ? index_image_error_ : Status::Ok();
}

// What is given up while it is being checked no longer counts.
Status Store::VerifyQuarantined() const {
  Directory& directory = const_cast<Directory&>(directory_);
  for (const format::QuarantinedJob& job : quarantine_->Jobs()) {
    for (const format::SealedSegment& sealed : job.segments) {
      const format::SegmentIdentity identity{
          .store = uuid_, .id = sealed.id, .nonce = sealed.nonce};
      const auto check = [&]() -> Status {
        FREYJA_ASSIGN_OR_RETURN(const auto file,
                                OpenDataFile(directory, identity, manifest_->generation(), false));
        return ScanSealed(*file, identity, sealed,
                          [](const ScannedRecord&) { return Status::Ok(); });
      };
      if (Status status = check(); !status.ok() && std::ranges::count(quarantine_->Jobs(), job)) {
        return status;
      }
    }
  }
  return Status::Ok();
}

}  // namespace freyja::engine
