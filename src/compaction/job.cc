#include "compaction/job.h"

#include <algorithm>
#include <array>
#include <future>
#include <system_error>

#include "base/status_macros.h"
#include "compaction/throttle.h"
#include "engine/segment_file.h"
#include "format/segment_header.h"

namespace freyja::compaction {

using engine::EpochGuard;
using engine::Location;
using engine::ScannedRecord;
using engine::Segment;
using std::chrono::steady_clock;

namespace {

// Hiders are decided in chunks, so that a segment full of tombstones needs no more memory.
constexpr std::size_t kHiderChunk = std::size_t{1} << 16;
constexpr auto kProgressInterval = std::chrono::milliseconds(100);

std::set<std::uint64_t> AsSet(const std::vector<std::uint64_t>& ids) {
  return {ids.begin(), ids.end()};
}

bool LacksRoom(const Plan& plan) {
  return std::ranges::count(plan.passed_over, PassOver::kNoRoom, &PassedOver::reason) != 0;
}

}  // namespace

Step OnlyStep(const HotSwapConfig& config) {
  return {.scope = {.min_space_saving = config.min_space_saving,
                    .max_input_bytes = config.max_input_bytes,
                    .only = {config.segments.begin(), config.segments.end()},
                    .combine_small = config.combine_small}};
}

HotSwapJob::HotSwapJob(engine::Store& store, const ExpiryClock& expiry, EventDispatcher& events,
                       JobState& state, Step step)
    : HotSwap(store, events, state, step.job_start),
      expiry_(expiry),
      step_(std::move(step)),
      last_progress_(steady_clock::now()) {}

Result<bool> HotSwapJob::Build() {
  FREYJA_RETURN_IF_ERROR(MakePlan());
  if (plan_.victims.empty()) return false;
  Emit(CompactionEventType::kStarted, reason_);
  FREYJA_RETURN_IF_ERROR(Copy());
  state_.SetPhase("verifying");
  FREYJA_RETURN_IF_ERROR(StartSealing());
  FREYJA_RETURN_IF_ERROR(Cover());
  FREYJA_RETURN_IF_ERROR(PlaceOutputs());
  FREYJA_RETURN_IF_ERROR(Prepare());
  return true;
}

// --- Plan -----------------------------------------------------------------------------

// Outputs that a crash left in the temporary directory; jobs run one at a time.
Status HotSwapJob::RemoveStrayOutputs() {
  const auto& temp_dir = state_.config().temp_dir;
  if (temp_dir.empty()) return Status::Ok();
  io::FileSystem& fs = store_.directory().file_system();
  FREYJA_ASSIGN_OR_RETURN(const auto names, fs.List(temp_dir));
  for (const std::string& name : names) {
    if (format::ParseFileName(name).kind != format::FileKind::kData) continue;
    const auto file = fs.Open(temp_dir / name, io::OpenMode::kRead);
    if (!file) continue;
    std::array<std::byte, format::kSegmentHeaderBytes> bytes{};
    const auto read = (*file)->ReadAt(0, bytes);
    if (!read) continue;
    const auto header = format::DecodeSegmentHeader(std::span(bytes).first(*read));
    if (header && header->identity.store == store_.uuid()) {
      store_.directory().RemoveBestEffort(temp_dir / name);
    }
  }
  return Status::Ok();
}

Status HotSwapJob::MakePlan() {
  state_.SetPhase("planning");
  const HotSwapConfig& config = state_.config();
  if (step_.is_first && config.seal_active) FREYJA_RETURN_IF_ERROR(store_.SealActive());
  FREYJA_RETURN_IF_ERROR(RemoveStrayOutputs());
  planned_at_ = store_.log().appended();
  FREYJA_ASSIGN_OR_RETURN(Survey survey, SurveyWithRoom());
  plan_ = std::move(survey.plan);
  reason_ = config.reason.empty() ? plan_.reason : config.reason + "; " + plan_.reason;
  if (plan_.victims.empty()) {
    return step_.is_first && LacksRoom(plan_) ? Status(StatusCode::kNoSpace, reason_)
                                              : Status::Ok();
  }
  if (plan_.disk_bytes + kManifestRoom > survey.free_bytes) loan_.emplace(store_.reserve());

  for (engine::PinnedSegment& segment : store_.PinSegments()) {
    if (std::ranges::binary_search(plan_.victims, segment->id()))
      victims_.push_back(std::move(segment));
  }
  std::ranges::sort(victims_, {}, [](const auto& segment) { return segment->id(); });
  rule_ = std::make_unique<TombstoneRule>(store_.directory(), store_.manifest().Current(),
                                          AsSet(plan_.victims));
  for (const engine::PinnedSegment& victim : victims_) {
    input_files_.push_back(victim->name());
    bytes_before_ += victim->sealed().data_bytes;
  }
  if (step_.is_first) state_.SetTotal(step_.is_last ? plan_.input_bytes : TotalOfAllSteps());
  return Status::Ok();
}

// What is only kept for an undo goes before outputs that would not fit, and before the reserve.
Result<Survey> HotSwapJob::SurveyWithRoom() {
  PlanScope scope = step_.scope;
  scope.expired_by = &expiry_;
  for (;;) {
    FREYJA_ASSIGN_OR_RETURN(Survey survey, SurveyStore(store_, scope));
    const bool fits = survey.plan.disk_bytes + kManifestRoom <= survey.free_bytes;
    if (fits && !LacksRoom(survey.plan)) return survey;
    FREYJA_ASSIGN_OR_RETURN(const bool gave, store_.quarantine().GiveUpOldest());
    if (!gave) return survey;
  }
}

// For the progress only: the segments that this step leaves for the next ones.
std::uint64_t HotSwapJob::TotalOfAllSteps() const {
  PlanScope scope = step_.scope;
  scope.max_input_bytes = state_.config().max_input_bytes;
  const auto all = SurveyStore(store_, scope);
  return all ? std::max(all->plan.input_bytes, plan_.input_bytes) : plan_.input_bytes;
}

// --- Copy -----------------------------------------------------------------------------

Status HotSwapJob::Copy() {
  state_.SetPhase("copying");
  std::uint64_t resident = 0;
  for (const engine::PinnedSegment& victim : victims_) {
    resident += victim->mapping().ResidentBytes();
  }
  was_cached_ = resident >= bytes_before_ / 2;
  for (const engine::PinnedSegment& victim : victims_) FREYJA_RETURN_IF_ERROR(CopyVictim(*victim));
  return ResolveHiders();
}

Status HotSwapJob::CopyVictim(Segment& victim) {
  Status copied;
  const Status scanned = engine::ScanSealedInRuns(
      victim.file(), victim.identity(), victim.sealed(),
      [&](std::span<const ScannedRecord> run) { return copied = CopyRun(victim, run); });
  if (!scanned.ok() && copied.ok()) victim.set_damaged();
  return scanned;
}

Status HotSwapJob::PaceCopy() {
  return Pace(counters_.bytes_read + counters_.bytes_copied + bytes_verified_);
}

Status HotSwapJob::CopyRun(const Segment& victim, std::span<const ScannedRecord> run) {
  std::array<format::KeyHash, engine::kScanRun> hashes;
  for (std::size_t i = 0; i < run.size(); ++i) {
    hashes[i] = format::HashKey(run[i].record.key, store_.hash_seed());
  }
  {
    // So that the misses of the index overlap.
    const EpochGuard guard(store_.epochs());
    for (std::size_t i = 0; i < run.size(); ++i) store_.index().Prefetch(hashes[i].low);
  }
  for (std::size_t i = 0; i < run.size(); ++i) {
    FREYJA_RETURN_IF_ERROR(CopyRecord(victim, run[i], hashes[i]));
  }
  return Status::Ok();
}

Status HotSwapJob::CopyRecord(const Segment& victim, const ScannedRecord& scanned,
                              const format::KeyHash& hash) {
  if (counters_.records_read % 64 == 0) {
    FREYJA_RETURN_IF_ERROR(CheckStop());
    FREYJA_RETURN_IF_ERROR(PaceCopy());
    EmitProgress();
  }
  const format::Record& record = scanned.record;
  const Location here(victim.slot(), scanned.offset, scanned.bytes);
  ++counters_.records_read;
  counters_.bytes_read += scanned.bytes;
  state_.AddDone(scanned.bytes);

  bool live = false;
  if (!record.is_tombstone) {
    const EpochGuard guard(store_.epochs());
    live = !store_.index().Find(hash.low, [&](Location l) { return l == here; }).is_none();
  }
  FREYJA_SCHEDULE_POINT("swap.copy");
  const bool expired = live && expiry_.IsExpired(record.expires_at_ms);
  if (live && !expired) return CopyLive(record, hash.low, here);
  // A compaction that was undone may have taken it out of the index when it expired.
  const bool forgotten = victim.sealed().restored && record.expires_at_ms != 0;
  const bool hides =
      expired || ((record.is_tombstone || forgotten) && !IsSuperseded(record, hash.low));
  if (hides) {
    hiders_.push_back({.candidate = {.hash = hash, .sequence = record.sequence}, .location = here});
    if (expired) {
      removals_.push_back({.hash = hash.low, .location = here});
      ++counters_.records_expired;
    }
    return hiders_.size() >= kHiderChunk ? ResolveHiders() : Status::Ok();
  }
  ++counters_.records_dropped;
  counters_.bytes_dropped += scanned.bytes;
  return Status::Ok();
}

// Whether a newer put of the record's key is published: then that one hides what is older.
bool HotSwapJob::IsSuperseded(const format::Record& record, std::uint64_t hash) const {
  const EpochGuard guard(store_.epochs());
  const auto found = store_.reader().Find(record.key, hash);
  return found && *found && (*found)->record.sequence > record.sequence;
}

Result<HotSwapJob::Output*> HotSwapJob::OutputFor(std::size_t bytes) {
  if (!outputs_.empty()) {
    Output& last = outputs_.back();
    if (last.writer->bytes() + bytes <= store_.segment_bytes()) return &last;
    FREYJA_RETURN_IF_ERROR(StartSealing());
  }
  FREYJA_ASSIGN_OR_RETURN(const std::uint64_t id, store_.ids().Next());
  FREYJA_ASSIGN_OR_RETURN(
      auto writer,
      engine::SealedWriter::Create(
          store_.directory(),
          {.identity = {.store = store_.uuid(), .id = id, .nonce = store_.random().Next64()},
           .manifest_generation = store_.manifest().generation(),
           .hash_seed = store_.hash_seed(),
           .temp_dir = state_.config().temp_dir}));
  outputs_.push_back({.writer = std::move(writer), .sealing = {}, .segment = nullptr, .moves = {}});
  output_files_.push_back(format::DataFileName(id));
  output_ids_.push_back(id);
  return &outputs_.back();
}

Status HotSwapJob::CopyLive(const format::Record& record, std::uint64_t hash, Location old) {
  const std::size_t bytes = format::EncodedRecordBytes(record);
  FREYJA_ASSIGN_OR_RETURN(Output* const output, OutputFor(bytes));
  const std::uint64_t before = output->writer->bytes();
  FREYJA_ASSIGN_OR_RETURN(const std::uint64_t offset, output->writer->Append(record));
  const std::uint64_t copied = output->writer->bytes() - before;
  output->moves.push_back(
      {.hash = hash, .old_location = old, .new_location = Location(0, offset, copied)});
  ++counters_.records_copied;
  counters_.bytes_copied += copied;
  return Status::Ok();
}

// It stays where it is without a guard as well: the job holds the victims. An output may have to
// wait for another's sealing, which nobody who frees memory should have to wait for.
Result<engine::FoundRecord> HotSwapJob::ReadHider(const Hider& hider) const {
  const EpochGuard guard(store_.epochs());
  return store_.reader().Read(hider.location);
}

Status HotSwapJob::ResolveHiders() {
  std::vector<TombstoneRule::Candidate> candidates;
  candidates.reserve(hiders_.size());
  for (const Hider& hider : hiders_) candidates.push_back(hider.candidate);
  const std::vector<bool> may_drop = rule_->MayDrop(candidates);
  for (std::size_t i = 0; i < hiders_.size(); ++i) {
    FREYJA_RETURN_IF_ERROR(CheckStop());
    FREYJA_ASSIGN_OR_RETURN(const engine::FoundRecord found, ReadHider(hiders_[i]));
    if (may_drop[i]) {
      const EpochGuard guard(store_.epochs());
      ++counters_.records_dropped;
      counters_.bytes_dropped += store_.reader().LengthOf(hiders_[i].location);
      continue;
    }
    format::Record tombstone;
    tombstone.sequence = found.record.sequence;
    tombstone.key = found.record.key;
    tombstone.is_tombstone = true;
    const std::size_t bytes = format::EncodedRecordBytes(tombstone);
    FREYJA_ASSIGN_OR_RETURN(Output* const output, OutputFor(bytes));
    FREYJA_ASSIGN_OR_RETURN([[maybe_unused]] const std::uint64_t offset,
                            output->writer->Append(tombstone));
    ++counters_.records_copied;
    ++counters_.tombstones_kept;
    counters_.bytes_copied += bytes;
  }
  hiders_.clear();
  return Status::Ok();
}

void HotSwapJob::EmitProgress() {
  const auto now = steady_clock::now();
  if (now - last_progress_ < kProgressInterval) return;
  last_progress_ = now;
  Emit(CompactionEventType::kProgress);
}

// --- Seal -----------------------------------------------------------------------------

// The newest output is complete. One at a time is sealed beside the job, so that a device that
// can't keep up slows the copying down.
Status HotSwapJob::StartSealing() {
  FREYJA_RETURN_IF_ERROR(AwaitSealing());
  if (outputs_.empty()) return Status::Ok();
  Output& output = outputs_.back();
  const auto seal = [this, writer = output.writer.get()]() -> Status {
    FREYJA_RETURN_IF_ERROR(writer->Seal());
    FREYJA_RETURN_IF_ERROR(CheckStop());
    FREYJA_RETURN_IF_ERROR(state_.throttle().Pay(0, [this] { return CheckStop(); }));  // a pause
    return writer->Verify();
  };
  bool beside = store_.worker_threads() > 1 && state_.throttle().rate() == 0;
  try {
    if (beside) output.sealing = std::async(std::launch::async, seal);
  } catch (const std::system_error&) {
    beside = false;  // no thread to be had: slower, not wrong
  }
  if (beside) return Status::Ok();
  output.sealing = std::async(std::launch::deferred, seal);
  return AwaitSealing();
}

Status HotSwapJob::AwaitSealing() {
  const auto output =
      std::ranges::find_if(outputs_, [](const Output& each) { return each.sealing.valid(); });
  if (output == outputs_.end()) return Status::Ok();
  FREYJA_RETURN_IF_ERROR(output->sealing.get());
  const std::uint64_t bytes = output->writer->sealed().data_bytes;
  bytes_after_ += bytes;
  bytes_verified_ += bytes;
  return PaceCopy();
}

// --- Cover ----------------------------------------------------------------------------

// F is taken after the last decision to drop anything, and not before a group of writes that
// was being published then is through: whatever a decision saw in the index is covered.
Status HotSwapJob::Cover() {
  state_.SetPhase("covering");
  FREYJA_SCHEDULE_POINT("swap.cover");
  covered_ = store_.publisher().SettledSequence();
  return store_.log().SyncThrough(covered_);
}

// --- Place ----------------------------------------------------------------------------

Status HotSwapJob::PlaceOutputs() {
  FREYJA_RETURN_IF_ERROR(AwaitSealing());
  for (Output& output : outputs_) {
    FREYJA_RETURN_IF_ERROR(output.writer->MoveIntoPlace());
    // Data that nobody reads must not push out of the page cache what somebody does.
    if (!was_cached_) output.writer->DropCache();
  }
  return outputs_.empty() ? Status::Ok() : store_.directory().Sync();
}

// --- Prepare --------------------------------------------------------------------------

Status HotSwapJob::Prepare() {
  for (Output& output : outputs_) {
    FREYJA_ASSIGN_OR_RETURN(auto segment, output.writer->Map());
    FREYJA_RETURN_IF_ERROR(Register(output, std::move(segment)));
  }
  return Status::Ok();
}

// --- Commit ---------------------------------------------------------------------------

Status HotSwapJob::Edit(format::Manifest& manifest) {
  FREYJA_RETURN_IF_ERROR(rule_->Recheck(manifest));
  FREYJA_RETURN_IF_ERROR(ReplaceVictims(manifest));
  if (step_.quarantine) Quarantine(manifest);
  manifest.watermark = std::max(manifest.watermark, covered_);
  return Status::Ok();
}

void HotSwapJob::Quarantine(format::Manifest& manifest) {
  format::QuarantinedJob admitted{.id = state_.id(), .outputs = output_ids_};
  for (const engine::PinnedSegment& victim : victims_) {
    admitted.segments.push_back(victim->sealed());
  }
  evicted_.clear();
  keeps_victims_ =
      store_.quarantine().Admit(std::move(admitted), step_.is_first, manifest, evicted_);
}

void HotSwapJob::AfterCommit() { store_.quarantine().RemoveFiles(evicted_); }

}  // namespace freyja::compaction
