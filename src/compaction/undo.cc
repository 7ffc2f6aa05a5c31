#include "compaction/undo.h"

#include <algorithm>
#include <chrono>
#include <memory>

#include "base/status_macros.h"
#include "engine/segment_file.h"

namespace freyja::compaction {

using engine::Location;
using engine::ScannedRecord;

std::string WhyNotUndoable(const format::QuarantinedJob& job, const format::Manifest& manifest) {
  for (const std::uint64_t id : job.outputs) {
    if (std::ranges::count(manifest.sealed, id, &format::SealedSegment::id) != 0) continue;
    return "segment " + std::to_string(id) + ", which it wrote, was compacted since";
  }
  return {};
}

Result<format::QuarantinedJob> FindUndoable(const format::Manifest& manifest,
                                            std::uint64_t job_id) {
  const std::string name = "job " + std::to_string(job_id);
  const auto job = std::ranges::find(manifest.quarantine, job_id, &format::QuarantinedJob::id);
  if (job == manifest.quarantine.end()) {
    return std::unexpected(
        Status(StatusCode::kNotFound, "nothing of " + name + " is in quarantine"));
  }
  if (const std::string why_not = WhyNotUndoable(*job, manifest); !why_not.empty()) {
    return std::unexpected(
        Status(StatusCode::kAborted, name + " can't be undone any more: " + why_not));
  }
  return *job;
}

std::string UndoReason(std::uint64_t job_id) { return "undoes job " + std::to_string(job_id); }

std::vector<QuarantinedJob> DescribeQuarantine(const format::Manifest& manifest) {
  std::vector<QuarantinedJob> described;
  for (const format::QuarantinedJob& job : manifest.quarantine) {
    QuarantinedJob entry;
    entry.id = job.id;
    entry.keep_until_ms = job.keep_until_ms;
    entry.why_not = WhyNotUndoable(job, manifest);
    for (const format::SealedSegment& segment : job.segments) {
      entry.input_files.push_back(format::DataFileName(segment.id));
      entry.bytes += segment.data_bytes;
    }
    for (const std::uint64_t id : job.outputs) {
      entry.output_files.push_back(format::DataFileName(id));
    }
    described.push_back(std::move(entry));
  }
  return described;
}

UndoJob::UndoJob(engine::Store& store, EventDispatcher& events, JobState& state)
    : HotSwap(store, events, state, std::chrono::steady_clock::now()) {
  completed_ = CompactionEventType::kUndone;
  reason_ = UndoReason(state.undoes());
}

Result<bool> UndoJob::Build() {
  FREYJA_RETURN_IF_ERROR(FindJob());
  Emit(CompactionEventType::kStarted, reason_);
  FREYJA_RETURN_IF_ERROR(LoadOutputs());
  state_.SetPhase("verifying");
  for (const format::SealedSegment& sealed : job_.segments) {
    FREYJA_RETURN_IF_ERROR(RestoreSegment(sealed));
  }
  if (!wanted_.empty()) {
    return std::unexpected(
        Status(StatusCode::kCorruption, "record " + std::to_string(wanted_.begin()->first.second) +
                                            " is in no segment that the job had replaced"));
  }
  return true;
}

Status UndoJob::FindJob() {
  FREYJA_ASSIGN_OR_RETURN(job_, FindUndoable(store_.manifest().Current(), state_.undoes()));
  for (engine::PinnedSegment& segment : store_.PinSegments()) {
    if (std::ranges::count(job_.outputs, segment->id()) == 0) continue;
    input_files_.push_back(segment->name());
    bytes_before_ += segment->sealed().data_bytes;
    victims_.push_back(std::move(segment));
  }
  for (const format::SealedSegment& sealed : job_.segments) {
    output_files_.push_back(format::DataFileName(sealed.id));
    bytes_after_ += sealed.data_bytes;
  }
  state_.SetTotal(bytes_before_ + bytes_after_);
  return Status::Ok();
}

// What the index points to is found again by key hash and number.
Status UndoJob::LoadOutputs() {
  state_.SetPhase("reading");
  for (const engine::PinnedSegment& victim : victims_) {
    const auto want = [&](const ScannedRecord& scanned) { return Want(*victim, scanned); };
    FREYJA_RETURN_IF_ERROR(
        engine::ScanSealed(victim->file(), victim->identity(), victim->sealed(), want));
  }
  return Status::Ok();
}

Status UndoJob::Want(const engine::Segment& output, const ScannedRecord& scanned) {
  FREYJA_RETURN_IF_ERROR(CheckStop());
  counters_.bytes_read += scanned.bytes;
  state_.AddDone(scanned.bytes);
  if (!scanned.record.is_tombstone) {
    const Key key(format::HashKey(scanned.record.key, store_.hash_seed()), scanned.record.sequence);
    wanted_.emplace(key, Location(output.slot(), scanned.offset, scanned.bytes));
  }
  return Pace(counters_.bytes_read);
}

Status UndoJob::RestoreSegment(const format::SealedSegment& sealed) {
  const format::SegmentIdentity identity{
      .store = store_.uuid(), .id = sealed.id, .nonce = sealed.nonce};
  FREYJA_ASSIGN_OR_RETURN(
      auto file, engine::OpenDataFile(store_.directory(), identity, store_.manifest().generation(),
                                      /*writable=*/false));
  format::SealedSegment restored = sealed;
  restored.restored = true;
  FREYJA_ASSIGN_OR_RETURN(auto segment,
                          engine::MapSealedSegment(std::move(file), identity, restored));
  Output output;
  FREYJA_RETURN_IF_ERROR(engine::ScanSealed(
      segment->file(), identity, sealed,
      [&](const ScannedRecord& scanned) { return Match(scanned, output.moves); }));
  outputs_.push_back(std::move(output));
  return Register(outputs_.back(), std::move(segment));
}

Status UndoJob::Match(const ScannedRecord& scanned, std::vector<engine::Index::Move>& moves) {
  FREYJA_RETURN_IF_ERROR(CheckStop());
  ++counters_.records_read;
  counters_.bytes_read += scanned.bytes;
  state_.AddDone(scanned.bytes);
  if (!scanned.record.is_tombstone) {
    const format::KeyHash hash = format::HashKey(scanned.record.key, store_.hash_seed());
    const auto wanted = wanted_.find({hash, scanned.record.sequence});
    if (wanted != wanted_.end()) {
      moves.push_back({.hash = hash.low,
                       .old_location = wanted->second,
                       .new_location = Location(0, scanned.offset, scanned.bytes)});
      wanted_.erase(wanted);
    }
  }
  return Pace(counters_.bytes_read);
}

Status UndoJob::Edit(format::Manifest& manifest) {
  const auto job = std::ranges::find(manifest.quarantine, job_);
  if (job == manifest.quarantine.end()) {
    return Status(StatusCode::kAborted, "the job's segments were given up meanwhile");
  }
  manifest.quarantine.erase(job);
  return ReplaceVictims(manifest);
}

}  // namespace freyja::compaction
