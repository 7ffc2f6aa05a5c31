#include "engine/log.h"

#include <algorithm>
#include <exception>
#include <optional>

#include "base/status_macros.h"
#include "engine/hint_writer.h"
#include "engine/segment_file.h"
#include "engine/segment_summary.h"
#include "format/segment_header.h"

namespace freyja::engine {

namespace {

constexpr std::ptrdiff_t kMostFullSegments = 4;
constexpr std::uint64_t kSequenceBlock = std::uint64_t{1} << 32;
constexpr std::uint64_t kPopulatePiece = std::uint64_t{2} << 20;
// Puts as fast as this fill a huge page many times between two syncs, each of which writes the
// last one as a whole.
constexpr std::uint64_t kHugePagesFrom = std::uint64_t{16} << 20;

}  // namespace

Log::Log(const Parts& parts, Start start)
    : parts_(parts),
      store_(start.store),
      hash_seed_(start.hash_seed),
      segment_bytes_(start.segment_bytes),
      sync_ahead_(start.sync_ahead),
      wake_maintenance_(std::move(start.wake_maintenance)),
      appended_(start.last_sequence),
      published_(start.last_sequence),
      durable_(start.durable_sequence),
      reserved_sequence_(start.reserved_sequence) {
  base::MutexLock prepare_lock(prepare_mutex_);
  base::MutexLock lock(mutex_);
  for (Segment* segment : start.segments) {
    entries_.push_back(segment);
    if (active_.load() == nullptr) {
      active_.store(segment);
      segment->set_state(SegmentState::kActive);
      append_offset_ = segment->log_end.load();
    } else {
      prepared_ = segment;
      segment->set_state(SegmentState::kPrepared);
    }
  }
}

// --- The leader ---------------------------------------------------------------------

Result<Segment*> Log::SegmentFor(std::size_t bytes, bool may_use_reserve) {
  for (;;) {
    if (Segment* const active = ActiveWithRoom(bytes)) return active;
    FREYJA_RETURN_IF_ERROR(Roll(bytes, may_use_reserve, parts_.reserve.kept_for_compaction()));
    FREYJA_RETURN_IF_ERROR(SealBacklog());
  }
}

void Log::Appended(std::uint64_t records, std::uint64_t tombstones, std::uint64_t bytes) {
  Segment* active = active_.load();
  const std::uint64_t last = appended_.load() + records;
  if (active->log_records.load() == 0) active->log_first_sequence.store(appended_.load() + 1);
  append_offset_ += bytes;
  // One writer, the leader. The order matters to a sync that runs meanwhile: a number it sees in
  // appended_ must be in a segment it finds unsynced.
  const auto add = [](std::atomic<std::uint64_t>& counter, std::uint64_t by) {
    counter.store(counter.load(std::memory_order_relaxed) + by, std::memory_order_release);
  };
  active->log_last_sequence.store(last, std::memory_order_release);
  add(active->log_records, records);
  add(active->log_tombstones, tombstones);
  active->log_end.store(append_offset_, std::memory_order_release);
  appended_.store(last);
  add(appended_bytes_, bytes);
  const std::uint64_t low = append_offset_ + window_.bytes() / 2;
  if (low < active->limit()) {
    if (active->populated_end.load() < low) wake_maintenance_();
  } else if (!woke_for_next_) {
    woke_for_next_ = true;
    wake_maintenance_();
  }
}

Status Log::Roll(std::size_t bytes, bool may_use_reserve, std::uint64_t keep_free) {
  {
    base::MutexLock prepare_lock(prepare_mutex_);
    if (prepared_ == nullptr) FREYJA_RETURN_IF_ERROR(Prepare(bytes, may_use_reserve, keep_free));
    Segment* next = prepared_;
    prepared_ = nullptr;
    base::MutexLock lock(mutex_);
    if (Segment* old = active_.load()) old->set_state(SegmentState::kFull);
    next->set_state(SegmentState::kActive);
    active_.store(next);
    append_offset_ = next->log_end.load();
    woke_for_next_ = false;
    rolls_.fetch_add(1);
  }
  wake_maintenance_();
  return Status::Ok();
}

// Writers that outrun the sealing help with it: all that is not sealed must be read again, and
// for the most part copied, after a crash.
Status Log::SealBacklog() {
  const auto full_segments = [&] {
    base::MutexLock lock(mutex_);
    return std::ranges::count(entries_, SegmentState::kFull, &Segment::state);
  };
  while (full_segments() > kMostFullSegments) {
    const auto sealed = SealOldest();
    // What failed is tried again by the maintenance, which reports it.
    if (!sealed) return parts_.health.CheckWritable();
    if (!*sealed) break;  // its last records are this group's
  }
  return Status::Ok();
}

Status Log::RollNow() {
  Segment* active = active_.load();
  if (active == nullptr || active->log_records.load() == 0) return Status::Ok();
  return Roll(format::kMinRecordBytes, /*may_use_reserve=*/true, /*keep_free=*/0);
}

// --- Syncing ------------------------------------------------------------------------

std::vector<Segment*> Log::UnsyncedThrough(std::uint64_t sequence) {
  base::MutexLock lock(mutex_);
  std::vector<Segment*> unsynced;
  for (Segment* segment : entries_) {
    if (segment->log_last_sequence.load() > durable_.load() &&
        segment->log_first_sequence.load() <= sequence) {
      unsynced.push_back(segment);
    }
  }
  return unsynced;
}

Status Log::SyncSegment(Segment& segment) noexcept {
  try {
    io::File& file = segment.file();
    io::Mapping& mapping = *segment.log_mapping();
    const std::uint64_t end = segment.log_end.load();
    // Whole pages of records are not stored to again.
    if (!sync_ahead_) mapping.Detach(segment.synced_end, end);
    Status status = sync_ahead_ ? file.Sync() : file.SyncMapped(mapping, end);
    segment.synced_end = end;
    if (!status.ok()) {
      parts_.health.Poison(status);
      return status;
    }
  } catch (const std::exception&) {
    // It may have failed, with no memory to say so.
    return parts_.health.PoisonWith(StatusCode::kIoError, [] { return "failed sync"; });
  }
  if (!segment.log_faulted()) return Status::Ok();
  return parts_.health.PoisonWith(
      StatusCode::kIoError, [&] { return segment.name() + ": a store into the mapping failed"; });
}

Status Log::SyncThrough(std::uint64_t sequence) {
  FREYJA_SCHEDULE_POINT("log.sync");
  base::MutexLock sync_lock(sync_mutex_);
  if (durable_.load() >= sequence) return Status::Ok();
  FREYJA_RETURN_IF_ERROR(parts_.health.CheckWritable());
  const std::uint64_t appended = appended_.load();
  const std::vector<Segment*> unsynced = UnsyncedThrough(sequence);
  // All of the last segment that is there by now goes with it, which is what lets the writes
  // of many wait for one sync.
  const std::uint64_t target =
      unsynced.empty() ? appended : std::min(appended, unsynced.back()->log_last_sequence.load());
  for (Segment* segment : unsynced) {
    const Status status = SyncSegment(*segment);
    // Never kNoSpace: that says that nothing was stored, and here nobody knows.
    if (!status.ok()) return Status(StatusCode::kIoError, status.message());
  }
  syncs_.fetch_add(1);
  durable_.store(target);
  return Status::Ok();
}

// --- Preparing ----------------------------------------------------------------------

Result<Segment*> Log::CreateSegment(std::uint64_t bytes, bool leave_roots_blocks) {
  FREYJA_ASSIGN_OR_RETURN(const std::uint64_t id, parts_.ids.Next());
  const format::SegmentIdentity identity{
      .store = store_, .id = id, .nonce = parts_.random.Next64()};
  const auto path = parts_.directory.DataPath(id);
  auto make = [&]() -> Result<std::unique_ptr<Segment>> {
    FREYJA_ASSIGN_OR_RETURN(
        auto file, CreateDataFile(parts_.directory, path, identity, parts_.manifest.generation()));
    FREYJA_RETURN_IF_ERROR(file->Allocate(bytes));
    if (leave_roots_blocks) FREYJA_RETURN_IF_ERROR(parts_.reserve.CheckRootsBlocksAreLeft());
    FREYJA_RETURN_IF_ERROR(file->Sync());
    FREYJA_RETURN_IF_ERROR(parts_.directory.Sync());
    FREYJA_ASSIGN_OR_RETURN(auto mapping, file->Map(bytes, /*writable=*/false));
    FREYJA_ASSIGN_OR_RETURN(auto log_mapping, file->Map(bytes, /*writable=*/true));
    return std::make_unique<Segment>(identity, std::move(file), std::move(mapping),
                                     std::move(log_mapping));
  };
  auto made = make();
  if (!made) {
    parts_.directory.RemoveBestEffort(path);
    return std::unexpected(made.error());
  }
  (*made)->log_end.store(format::kSegmentHeaderBytes);
  FREYJA_ASSIGN_OR_RETURN(Segment* const segment, parts_.segments.Register(*std::move(made)));

  const std::uint64_t reserved = appended_.load() + kSequenceBlock;
  const auto commit = parts_.manifest.Commit([&](format::Manifest& manifest) {
    manifest.log.push_back({.id = id, .nonce = identity.nonce});
    manifest.reserved_sequence = std::max(manifest.reserved_sequence, reserved);
    manifest.watermark = std::max(manifest.watermark, durable_.load());
    return Status::Ok();
  });
  if (!commit.ok()) {
    // Not listed for sure only if refused; after an unknown outcome the file stays.
    parts_.segments.Discard(segment);
    if (commit.outcome == ManifestStore::Outcome::kRefused) parts_.directory.RemoveBestEffort(path);
    return std::unexpected(commit.status);
  }
  reserved_sequence_.store(std::max(reserved_sequence_.load(), reserved));
  base::MutexLock lock(mutex_);
  entries_.push_back(segment);
  return segment;
}

Status Log::Prepare(std::uint64_t minimum_bytes, bool may_use_reserve, std::uint64_t keep_free) {
  FREYJA_RETURN_IF_ERROR(parts_.health.CheckWritable());
  const std::uint64_t minimum = std::max<std::uint64_t>(
      base::RoundUp<std::uint64_t>(minimum_bytes + format::kSegmentHeaderBytes, 4096),
      kMinSegmentBytes);
  std::uint64_t bytes = std::max(segment_bytes_, minimum);
  if (!parts_.reserve.whole()) {
    // What is free is the reserve's.
    bytes = minimum;
    FREYJA_ASSIGN_OR_RETURN(const std::uint64_t free,
                            parts_.directory.file_system().FreeSpace(parts_.directory.path()));
    if (free < keep_free + bytes) {
      return Status(
          StatusCode::kNoSpace,
          keep_free == 0
              ? "the disk is full"
              : "the disk is full; what is left is kept for compaction, which makes room");
    }
  }
  // On a disk that is nearly full, segments get smaller.
  const bool leave_roots_blocks = parts_.reserve.whole();
  auto created = CreateSegment(bytes, leave_roots_blocks);
  while (!created && created.error().code() == StatusCode::kNoSpace && bytes / 2 >= minimum) {
    bytes = base::RoundUp<std::uint64_t>(bytes / 2, 4096);
    created = CreateSegment(bytes, leave_roots_blocks);
  }
  if (!created && created.error().code() == StatusCode::kNoSpace && may_use_reserve) {
    const Reserve::Loan loan(parts_.reserve);
    if (loan.gave()) created = CreateSegment(minimum, /*leave_roots_blocks=*/false);
  }
  if (!created) return created.error();
  prepared_ = *created;
  return Status::Ok();
}

Status Log::PrepareAhead() {
  base::MutexLock lock(prepare_mutex_);
  if (prepared_ != nullptr || !parts_.reserve.whole()) return Status::Ok();
  return Prepare(format::kMinRecordBytes, /*may_use_reserve=*/false, /*keep_free=*/0);
}

Log::Unpopulated Log::NextUnpopulated() {
  base::MutexLock prepare_lock(prepare_mutex_);
  window_.Observe(appended_bytes_.load(), std::chrono::steady_clock::now());
  base::MutexLock lock(mutex_);
  std::uint64_t wanted = window_.bytes();
  for (Segment* const segment : {active_.load(), prepared_}) {
    if (segment == nullptr) continue;
    const std::uint64_t append_end = segment->log_end.load();
    const std::uint64_t here = std::min(wanted, segment->limit() - append_end);
    const std::uint64_t begin = std::max(append_end, segment->populated_end.load());
    if (begin < append_end + here) {
      segment->Pin();  // it may be sealed, compacted and retired meanwhile
      return {.segment = segment,
              .mapping = segment->log_mapping(),
              .huge = !sync_ahead_ && window_.bytes() >= kHugePagesFrom,
              .begin = begin,
              .bytes = std::min(kPopulatePiece, segment->limit() - begin)};
    }
    wanted -= here;
  }
  return {};
}

void Log::PopulateAhead() {
  // A window at most, however fast it is used up: there is other work.
  for (std::uint64_t done = 0; done < PopulateWindow::kMostBytes;) {
    const Unpopulated next = NextUnpopulated();
    if (next.segment == nullptr) return;
    next.mapping->AdviseHuge(next.huge);
    next.mapping->Populate(next.begin, next.bytes);
    next.segment->populated_end.store(next.begin + next.bytes);
    next.segment->Unpin();
    done += next.bytes;
  }
}

// --- Sealing ------------------------------------------------------------------------

bool Log::HasFull(std::uint64_t through) const {
  base::MutexLock lock(mutex_);
  return !entries_.empty() && entries_.front()->state() == SegmentState::kFull &&
         entries_.front()->log_first_sequence.load() <= through;
}

Result<bool> Log::SealOldest() {
  FREYJA_SCHEDULE_POINT("log.seal");
  base::MutexLock seal_lock(seal_mutex_);
  Segment* oldest = nullptr;
  {
    base::MutexLock lock(mutex_);
    if (entries_.empty() || entries_.front()->state() != SegmentState::kFull) return false;
    oldest = entries_.front();
  }
  if (oldest->log_records.load() == 0) {
    FREYJA_RETURN_IF_ERROR(DropEmpty(oldest));
    return true;
  }
  if (published_.load() < oldest->log_last_sequence.load()) return false;
  FREYJA_RETURN_IF_ERROR(Seal(oldest));
  return true;
}

Status Log::DropEmpty(Segment* segment) {
  const auto commit = parts_.manifest.Commit(
      [&](format::Manifest& manifest) {
        std::erase_if(manifest.log, [&](const auto& entry) { return entry.id == segment->id(); });
        return Status::Ok();
      },
      parts_.reserve);
  if (!commit.ok()) return commit.status;
  {
    base::MutexLock lock(mutex_);
    std::erase(entries_, segment);
  }
  const auto path = parts_.directory.DataPath(segment->id());
  parts_.segments.Discard(segment);
  parts_.directory.RemoveBestEffort(path);
  return Status::Ok();
}

Status Log::Seal(Segment* segment) {
  const std::uint64_t last = segment->log_last_sequence.load();
  PopulateAhead();
  FREYJA_RETURN_IF_ERROR(SyncThrough(last));

  // Without a hint the segment is scanned when it is needed: slower, not wrong. A full disk
  // has better use for the space; the next open writes what is missing.
  std::optional<HintWriter> hint;
  if (parts_.reserve.whole()) hint.emplace(parts_.directory, segment->id());
  SummaryBuilder builder;
  RecordScanner scanner(segment->file(), segment->seed(), format::kSegmentHeaderBytes,
                        segment->log_end.load());
  ScannedRecord scanned;
  while (scanner.offset() < segment->log_end.load()) {
    FREYJA_ASSIGN_OR_RETURN(const bool found, scanner.Next(scanned));
    if (!found) {
      return parts_.health.PoisonWith(StatusCode::kCorruption, [&] {
        return segment->name() + ": offset " + std::to_string(scanner.offset()) +
               ": a record that was just written does not verify";
      });
    }
    builder.Add(scanned);
    if (!parts_.reserve.whole()) hint.reset();
    if (hint) hint->Add(MakeHintEntry(scanned, hash_seed_));
    if (scanned.offset / kPopulatePiece != scanner.offset() / kPopulatePiece) PopulateAhead();
  }
  const format::SealedSegment sealed = builder.Finish(segment->identity());
  if (hint) {
    Status written = hint->Finish(HintHeaderOf(store_, sealed));
    if (written.ok()) written = parts_.directory.Sync();
    if (!written.ok()) parts_.health.Report(written);
  }

  // Before the commit: on a full disk that is the room it needs. Without success it costs space
  // until the segment is compacted, nothing else.
  const Status released = segment->file().ReleaseTail(sealed.data_bytes);
  static_cast<void>(released);
  const auto commit = parts_.manifest.Commit(
      [&](format::Manifest& manifest) {
        std::erase_if(manifest.log, [&](const auto& entry) { return entry.id == segment->id(); });
        manifest.sealed.push_back(sealed);
        manifest.log_first_sequence = last + 1;
        manifest.watermark = std::max(manifest.watermark, durable_.load());
        return Status::Ok();
      },
      parts_.reserve);
  if (!commit.ok()) return commit.status;
  segment->set_sealed(sealed);
  segment->mapping().AdviseRandom();
  const std::shared_ptr<io::Mapping> unmapped_unlocked = segment->TakeLogMapping();
  // Last: from here on a compaction may take the segment and free it.
  base::MutexLock lock(mutex_);
  std::erase(entries_, segment);
  segment->set_state(SegmentState::kSealed);
  return Status::Ok();
}

Status Log::SettleTail() {
  FREYJA_RETURN_IF_ERROR(SyncThrough(appended_.load()));
  const std::uint64_t durable = durable_.load();
  if (settled_.load() == durable) return Status::Ok();
  const auto commit = parts_.manifest.Commit(
      [&](format::Manifest& manifest) {
        manifest.watermark = std::max(manifest.watermark, durable);
        return Status::Ok();
      },
      parts_.reserve);
  if (commit.ok()) settled_.store(durable);
  return commit.status;
}

// --- Closing ------------------------------------------------------------------------

Status Log::Settle() {
  // First: on a full disk that is the room which the commits need.
  ReleaseUnused();
  for (;;) {
    FREYJA_ASSIGN_OR_RETURN(const bool sealed, SealOldest());
    if (!sealed) break;
  }
  return SyncThrough(appended_.load());
}

Status Log::CloseCleanly() {
  const auto commit = parts_.manifest.Commit(
      [&](format::Manifest& manifest) {
        manifest.clean = true;
        manifest.clean_last_sequence = appended_.load();
        manifest.watermark = std::max(manifest.watermark, durable_.load());
        return Status::Ok();
      },
      parts_.reserve);
  return commit.status;
}

void Log::ReleaseUnused() {
  base::MutexLock lock(mutex_);
  for (Segment* segment : entries_) {
    segment->populated_end.store(segment->limit());  // nobody takes the blocks again
    const Status released = segment->file().ReleaseTail(segment->log_end.load());
    static_cast<void>(released);
  }
}

}  // namespace freyja::engine
