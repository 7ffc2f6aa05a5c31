#include "compaction/swap.h"

#include <algorithm>
#include <exception>
#include <new>

#include "base/status_macros.h"
#include "compaction/throttle.h"

namespace freyja::compaction {

using engine::Index;
using engine::Location;
using engine::ManifestStore;
using engine::Segment;
using std::chrono::duration_cast;
using std::chrono::microseconds;
using std::chrono::steady_clock;

Result<CompactionReport> HotSwap::Run() {
  Status status = CheckStop();
  if (status.ok()) status = state_.throttle().Pay(0, [&] { return CheckStop(); });  // a pause
  try {
    if (status.ok()) {
      const Result<bool> built = Build();
      if (built && !*built) return Report();
      status = built ? CheckStop() : built.error();  // the last chance to turn back
    }
    if (status.ok()) store_.reaper().Reserve(victims_.size());
  } catch (const std::exception&) {
    status = Status(StatusCode::kOutOfMemory, "no memory");  // short: it needs none itself
  }
  if (!status.ok()) return End(std::move(status));

  state_.SetPhase("committing");
  const ManifestStore::CommitResult commit = Commit();
  if (!commit.ok()) {
    committed_ = commit.outcome == ManifestStore::Outcome::kUnknown;  // keep both sets
    return End(commit.status);
  }
  committed_ = true;
  Emit(CompactionEventType::kCommitted);
  Publish();
  Emit(CompactionEventType::kPublished);
  try {
    AfterCommit();
    status = Retire();
  } catch (const std::bad_alloc&) {
    // Their files stay until the next open. They must not be taken for victims again.
    for (const engine::PinnedSegment& victim : victims_) victim->set_state(SegmentState::kRetired);
    status = Status(StatusCode::kOutOfMemory, "no memory");
  }
  return End(std::move(status));
}

Status HotSwap::CheckStop() const {
  if (state_.cancelled()) return Status(StatusCode::kCancelled, "the job was cancelled");
  const auto limit = state_.config().compaction_timeout;
  // Not compared in nanoseconds, in which a long limit overflows.
  const auto elapsed =
      std::chrono::duration_cast<std::chrono::milliseconds>(steady_clock::now() - job_start_);
  if (limit.count() > 0 && elapsed >= limit) {
    return Status(StatusCode::kTimedOut,
                  "the job ran longer than its limit of " + std::to_string(limit.count()) + " ms");
  }
  return store_.CheckWritable();
}

// What has been read and written since the last call is paid for in bursts.
Status HotSwap::Pace(std::uint64_t bytes_moved) {
  if (bytes_moved - bytes_paid_ < Throttle::kBurstBytes) return Status::Ok();
  const std::uint64_t bytes = bytes_moved - std::exchange(bytes_paid_, bytes_moved);
  return state_.throttle().Pay(bytes, [&] { return CheckStop(); });
}

// --- Prepare --------------------------------------------------------------------------

Status HotSwap::Register(Output& output, std::unique_ptr<Segment> segment) {
  FREYJA_ASSIGN_OR_RETURN(output.segment, store_.segments().Register(std::move(segment)));
  const auto slot = output.segment->slot();
  for (Index::Move& move : output.moves) move.new_location = move.new_location.WithSlot(slot);
  return Status::Ok();
}

// --- Commit ---------------------------------------------------------------------------

ManifestStore::CommitResult HotSwap::Commit() {
  const auto edit = [&](format::Manifest& manifest) { return Edit(manifest); };
  return store_.manifest().Commit(edit, store_.reserve());
}

Status HotSwap::ReplaceVictims(format::Manifest& manifest) const {
  for (const engine::PinnedSegment& victim : victims_) {
    // A put that could not read a key there may have left two slots for it, and the older one
    // would move to where it can be read.
    if (victim->mapping().faulted()) {
      return Status(StatusCode::kIoError, victim->name() + ": reading it failed; reopen the store");
    }
    const auto listed = std::ranges::find(manifest.sealed, victim->sealed());
    if (listed == manifest.sealed.end()) {
      return Status(StatusCode::kAborted, victim->name() + " is no longer a sealed segment");
    }
    manifest.sealed.erase(listed);
  }
  for (const Output& output : outputs_) manifest.sealed.push_back(output.segment->sealed());
  return Status::Ok();
}

// --- Publish --------------------------------------------------------------------------

void HotSwap::Publish() {
  state_.SetPhase("publishing");
  FREYJA_SCHEDULE_POINT("swap.publish");
  const auto begin = steady_clock::now();
  auto& segments = store_.segments();
  const auto& reader = store_.reader();
  const auto leave = [&](Location location) {
    segments.At(location).RemoveLive(reader.LengthOf(location));
  };
  store_.totals().swap_counter.fetch_add(1);
  for (Output& output : outputs_) {
    store_.index().ReplaceMany(
        output.moves,
        [&](const Index::Move& move) {
          leave(move.old_location);
          output.segment->AddLive(reader.LengthOf(move.new_location));
        },
        [](const Index::Move&) {},  // overwritten or deleted meanwhile: the copy is dead
        &holds_);
  }
  for (const Removal& removal : removals_) {
    store_.index().EraseExact(
        removal.hash, removal.location, [&] { leave(removal.location); }, &holds_);
  }
  store_.totals().swap_counter.fetch_add(1);
  publish_duration_ = duration_cast<microseconds>(steady_clock::now() - begin);
}

// --- Retire ---------------------------------------------------------------------------

Status HotSwap::Retire() {
  state_.SetPhase("retiring");
  FREYJA_SCHEDULE_POINT("swap.retire");
  for (const engine::PinnedSegment& victim : victims_) {
    if (victim->live_records() == 0) continue;
    return store_.health().PoisonWith(StatusCode::kAborted, [&] {
      return victim->name() + ": " + std::to_string(victim->live_records()) +
             " records are still in use after the swap; the file is kept";
    });
  }
  std::vector<Segment*> retired;
  retired.reserve(victims_.size());
  for (const engine::PinnedSegment& victim : victims_) retired.push_back(&*victim);
  CompactionEvent event;
  event.type = CompactionEventType::kRetired;
  event.job_id = state_.id();
  store_.reaper().Retire(retired, keeps_victims_, [event, &events = events_](std::uint64_t id) {
    CompactionEvent one = event;
    one.input_files = {format::DataFileName(id)};
    events.Emit(one);
  });
  victims_.clear();  // unpins
  store_.maintenance().Wake();
  return Status::Ok();
}

// --- Ending ---------------------------------------------------------------------------

HotSwap::~HotSwap() {
  if (!committed_) RollBack();
}

// Waits for who has the writer. An error of theirs is told even if the job was stopped before it
// could see it.
void HotSwap::SettleSealing(Output& output) noexcept {
  if (!output.sealing.valid()) return;
  try {
    const Status sealed = output.sealing.get();
    if (!sealed.ok() && !WasStopped(sealed)) store_.health().Report(sealed);
  } catch (const std::exception&) {
    return;  // no memory
  }
}

// Goes through whatever there is no memory for: a file that stays is removed by the next open.
void HotSwap::RollBack() noexcept {
  for (Output& output : outputs_) {
    SettleSealing(output);
    // No location in it was ever published.
    if (output.segment != nullptr) store_.segments().Discard(output.segment);
    try {
      if (output.writer) output.writer->Abandon();
    } catch (const std::bad_alloc&) {
      continue;
    }
  }
  outputs_.clear();
  victims_.clear();
}

Result<CompactionReport> HotSwap::End(Status status) {
  engine::CompactionTotals& totals = store_.totals();
  if (status.ok()) {
    totals.completed.fetch_add(1);
    totals.failures_in_a_row.store(0);
    totals.bytes_read.fetch_add(counters_.bytes_read);
    totals.bytes_written.fetch_add(counters_.bytes_copied);
    totals.busy_us.fetch_add(static_cast<std::uint64_t>(
        duration_cast<microseconds>(steady_clock::now() - start_).count()));
    totals.bytes_reclaimed.fetch_add(bytes_before_ - std::min(bytes_before_, bytes_after_));
    totals.AddPublishHolds(holds_);
    Emit(completed_, reason_);
    return Report();
  }
  totals.failed.fetch_add(1);
  const bool rolled_back = !committed_;
  if (rolled_back) RollBack();
  const bool stopped = WasStopped(status);
  if (!stopped) totals.failures_in_a_row.fetch_add(1);
  try {
    if (!stopped) store_.health().Report(status);
    const std::string reason = status.ToString();
    Emit(stopped ? CompactionEventType::kCancelled : CompactionEventType::kFailed, reason);
    if (rolled_back) Emit(CompactionEventType::kRolledBack, reason);
  } catch (const std::bad_alloc&) {
    return std::unexpected(Status(status.code(), "no memory"));
  }
  return std::unexpected(std::move(status));
}

// Short of memory the event is lost, never the step that it reports.
void HotSwap::Emit(CompactionEventType type, std::string reason) try {
  CompactionEvent event;
  event.type = type;
  event.job_id = state_.id();
  event.reason = std::move(reason);
  event.input_files = input_files_;
  event.output_files = output_files_;
  event.counters = counters_;
  event.space_saved = committed_ ? static_cast<std::int64_t>(bytes_before_ - bytes_after_) : 0;
  event.duration = duration_cast<microseconds>(steady_clock::now() - start_);
  events_.Emit(event);
} catch (const std::bad_alloc&) {
  return;
}

CompactionReport HotSwap::Report() const {
  CompactionReport report;
  report.job_id = state_.id();
  report.ran = committed_;
  report.steps = committed_ ? 1 : 0;
  report.reason = reason_;
  report.input_files = input_files_;
  report.output_files = output_files_;
  report.counters = counters_;
  report.bytes_before = bytes_before_;
  report.bytes_after = bytes_after_;
  report.space_saved = static_cast<std::int64_t>(bytes_before_ - bytes_after_);
  report.duration = duration_cast<microseconds>(steady_clock::now() - start_);
  report.publish_duration = publish_duration_;
  report.longest_publish_pause = duration_cast<microseconds>(
      std::chrono::nanoseconds(holds_.longest_ns) + microseconds(1) - std::chrono::nanoseconds(1));
  return report;
}

}  // namespace freyja::compaction
