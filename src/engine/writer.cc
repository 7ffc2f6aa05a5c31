#include "engine/writer.h"

#include <algorithm>
#include <array>
#include <chrono>
#include <exception>
#include <optional>
#include <ranges>
#include <thread>

#include "base/status_macros.h"
#include "format/record.h"

namespace freyja::engine {

namespace {

constexpr std::size_t kMaxGroupBytes = std::size_t{1} << 20;

std::size_t PayloadBytes(std::span<const WriteOperation> operations) {
  std::size_t bytes = 0;
  for (const auto& operation : operations) bytes += operation.key.size() + operation.value.size();
  return bytes;
}

format::Record ToRecord(const WriteOperation& operation) {
  format::Record record;
  record.key = operation.key;
  record.is_tombstone = operation.is_delete;
  if (!operation.is_delete) {
    record.value = operation.value;
    record.expires_at_ms = operation.expires_at_ms;
  }
  return record;
}

// The next record's cache lines, if it is as long as the last: so that they have come by then.
void PrefetchToWrite(const std::byte* at, std::size_t bytes) {
  constexpr std::size_t kLine = 64;
  constexpr std::size_t kMost = 512;  // from there on the processor sees by itself where it goes
  for (std::size_t line = 0; line < std::min(bytes, kMost); line += kLine) {
    __builtin_prefetch(at + line + kLine, 1);
  }
}

void Count(std::atomic<std::uint64_t>& counter, std::uint64_t by) {
  counter.store(counter.load(std::memory_order_relaxed) + by,
                std::memory_order_relaxed);  // one writer, the leader; a statistic
}

}  // namespace

// Publishing will look at the same, and should find it in the processor's cache; and in memory,
// even if it comes from the disk.
void Writer::LookAtOldRecords(std::span<const WriteOperation> operations) const {
  constexpr std::size_t kAtOnce = 16;          // misses in flight
  constexpr std::uint64_t kHeaderBytes = 512;  // with a key of usual length
  for (std::size_t start = 0; start < operations.size(); start += kAtOnce) {
    const EpochGuard guard(parts_.epochs);
    const auto some = operations.subspan(start, std::min(kAtOnce, operations.size() - start));
    if (some.size() > 1) {
      std::array<std::uint64_t, kAtOnce> hashes{};
      std::ranges::transform(some, hashes.begin(), [](const auto& each) { return each.hash.low; });
      parts_.reader.Prefetch(std::span(hashes).first(some.size()), kHeaderBytes);
      if (!parts_.reader.ExpectsDisk()) continue;
    }
    for (const WriteOperation& operation : some) {
      parts_.reader.Prepare(operation.key, operation.hash.low);
    }
  }
}

Status Writer::Write(std::span<const WriteOperation> operations, bool sync) {
  LookAtOldRecords(operations);
  Request request;
  request.operations = operations;
  request.sync = sync;
  return SubmitForStatus(request);
}

Result<bool> Writer::Delete(const WriteOperation& operation, bool sync) {
  {
    const EpochGuard guard(parts_.epochs);
    if (parts_.reader.ExpectsDisk()) {
      // As IsPresent will, which reads the whole record.
      const auto found = parts_.reader.Find(operation.key, operation.hash.low);
      static_cast<void>(found);
    } else {
      parts_.reader.Prepare(operation.key, operation.hash.low);
    }
  }
  Request request;
  request.operations = std::span(&operation, 1);
  request.sync = sync;
  request.only_if_present = true;
  return Submit(request);
}

Status Writer::RollActive() {
  Request request;
  request.roll = true;
  return SubmitForStatus(request);
}

Status Writer::Stop() {
  Request request;
  request.stop = true;
  return SubmitForStatus(request);
}

Status Writer::SubmitForStatus(Request& request) {
  auto result = Submit(request);
  return result ? Status::Ok() : std::move(result).error();
}

Result<bool> Writer::Submit(Request& request) {
  FREYJA_SCHEDULE_POINT("writer.queue");
  if (Request* const before = last_.exchange(&request, std::memory_order_acq_rel)) {
    FREYJA_SCHEDULE_POINT("writer.link");
    before->next.store(&request, std::memory_order_release);
    if (WaitForTurn(request) == Request::Turn::kDone) return std::move(request.result);
  }
  TakeGroup(request);
  FREYJA_SCHEDULE_POINT("writer.lead");
  RunGroup();
  FREYJA_SCHEDULE_POINT("writer.answer");
  Request* const last = group_.back();
  for (Request* member : group_) {
    if (member != &request && member != last) GiveTurn(*member, Request::Turn::kDone);
  }
  // If it is null another writer may lead by now.
  Request* const next = NextInQueue(*last);
  if (last != &request) GiveTurn(*last, Request::Turn::kDone);
  if (next != nullptr) GiveTurn(*next, Request::Turn::kLead);
  return std::move(request.result);
}

Writer::Request::Turn Writer::WaitForTurn(Request& request) {
  // About as long as a group takes that isn't synced, and less than going to sleep.
  constexpr int kSpins = 100;
  for (int spins = 0; spins < kSpins; ++spins) {
    if (request.turn.load(std::memory_order_relaxed) != Request::Turn::kWait) break;
    base::Relax();
  }
  // Also to be sure that GiveTurn needs the request no longer.
  base::MutexLock lock(request.mutex);
  while (request.turn.load(std::memory_order_relaxed) == Request::Turn::kWait) {
    request.turn_changed.Wait(request.mutex);
  }
  return request.turn.load(std::memory_order_relaxed);
}

void Writer::GiveTurn(Request& request, Request::Turn turn) {
  base::MutexLock lock(request.mutex);
  request.turn.store(turn, std::memory_order_relaxed);
  request.turn_changed.NotifyOne();
}

void Writer::TakeGroup(Request& leader) {
  group_.clear();
  std::size_t bytes = 0;
  for (Request* request = &leader; request != nullptr;
       request = request->next.load(std::memory_order_acquire)) {
    bytes += PayloadBytes(request->operations);
    if (!group_.empty() && (bytes > kMaxGroupBytes || group_.size() >= kMaxGroupRequests)) break;
    group_.push_back(request);
  }
}

Writer::Request* Writer::NextInQueue(Request& request) {
  Request* next = request.next.load(std::memory_order_acquire);
  if (next != nullptr) return next;
  Request* last = &request;
  FREYJA_SCHEDULE_POINT("writer.end");
  if (last_.compare_exchange_strong(last, nullptr, std::memory_order_acq_rel)) return nullptr;
  // Somebody has come and is about to say so.
  for (int looks = 0; (next = request.next.load(std::memory_order_acquire)) == nullptr; ++looks) {
    FREYJA_SCHEDULE_YIELD("writer.next");
    constexpr int kSpins = 100;
    if (looks < kSpins) {
      base::Relax();
    } else {
      // Not a yield: it may have a lower priority.
      std::this_thread::sleep_for(std::chrono::microseconds(50));
    }
  }
  return next;
}

void Writer::RunGroup() {
  pending_.clear();
  touched_.clear();
  for (Request* request : group_) {
    try {
      Append(*request);
    } catch (const std::exception&) {
      // A status never throws: an exception here would leave the queue as it is.
      request->result = std::unexpected(Status(StatusCode::kOutOfMemory, "out of memory"));
    }
  }
  Status status;
  try {
    status = SyncAndPublish();
  } catch (const std::exception&) {
    status = Status(StatusCode::kOutOfMemory, "out of memory");
    // Records without which no later one may follow.
    if (!pending_.empty()) parts_.health.Poison(status);
  }
  if (!status.ok()) FailAppended(status);
}

void Writer::Append(Request& request) {
  if (stopped_) {
    request.result = std::unexpected(Status(StatusCode::kClosed, "the store was closed"));
    return;
  }
  if (request.stop) {
    stopped_ = true;
    return;
  }
  if (Status status = parts_.health.CheckWritable(); !status.ok()) {
    request.result = std::unexpected(std::move(status));
    return;
  }
  if (request.roll) {
    if (Status status = parts_.log.RollNow(); !status.ok()) {
      request.result = std::unexpected(std::move(status));
    }
    return;
  }
  if (request.only_if_present) {
    // Refused or not, the answer stands and falls with what it was decided on.
    request.appended = true;
    bool expired = false;
    request.result = IsPresent(request.operations.front(), &expired);
    if (!request.result || !*request.result) return;
    request.result = !expired;
  }
  Status status = CheckSpaceForPuts(request.operations);
  if (status.ok()) status = AppendRecords(request);
  if (status.ok() && request.operations.size() == 1) {
    // Publishing will compare the old record's key. By now the index line has come.
    const EpochGuard guard(parts_.epochs);
    parts_.reader.PrefetchRecord(request.operations.front().hash.low);
  }
  request.appended = status.ok();
  if (!status.ok()) request.result = std::unexpected(std::move(status));
}

Result<bool> Writer::IsPresent(const WriteOperation& operation, bool* expired) {
  const auto appended =
      std::ranges::find_if(pending_.rbegin(), pending_.rend(), [&](const AppendedRecord& record) {
        return record.hash == operation.hash && record.key == operation.key;
      });
  if (appended != pending_.rend()) return !appended->is_tombstone;
  const EpochGuard guard(parts_.epochs);
  FREYJA_ASSIGN_OR_RETURN(const auto found, parts_.reader.Find(operation.key, operation.hash.low));
  if (!found) return false;
  const std::uint64_t expiry = found->record.expires_at_ms;
  *expired = expiry != 0 && expiry <= parts_.clock.WallMs();
  return true;
}

Status Writer::CheckSpaceForPuts(std::span<const WriteOperation> operations) {
  if (parts_.reserve.whole()) return Status::Ok();
  if (std::ranges::all_of(operations, &WriteOperation::is_delete)) return Status::Ok();
  const Status status = parts_.reserve.Establish();
  if (status.ok()) return status;
  return Status(StatusCode::kNoSpace,
                "the disk is full; deletes and compaction still work and make room (" +
                    status.message() + ")");
}

Status Writer::AppendRecords(const Request& request) {
  Log& log = parts_.log;
  const auto operations = request.operations;
  pending_.reserve(pending_.size() + operations.size());  // nothing may fail once bytes are copied

  const std::uint64_t watermark = log.durable();
  const bool carries = watermark > carried_watermark_;
  std::size_t total = carries ? sizeof(std::uint64_t) + format::kRecordAlignment : 0;
  for (const auto& operation : operations) total += format::EncodedRecordBytes(ToRecord(operation));

  Segment* segment = log.ActiveWithRoom(total);
  if (segment == nullptr) {
    const bool only_deletes = std::ranges::all_of(operations, &WriteOperation::is_delete);
    FREYJA_ASSIGN_OR_RETURN(segment, log.SegmentFor(total, only_deletes));
  }
  if (log.next_sequence() + operations.size() > log.reserved_sequence()) {
    return Status(StatusCode::kNoSpace, "the reserved sequence numbers are used up");
  }
  if (touched_.empty() || touched_.back() != segment) touched_.push_back(segment);

  std::uint64_t offset = log.append_offset();
  const std::uint64_t start = offset;
  std::uint64_t sequence = log.next_sequence();
  std::uint64_t tombstones = 0;
  for (std::size_t i = 0; i < operations.size(); ++i) {
    format::Record record = ToRecord(operations[i]);
    record.sequence = sequence++;
    record.begins_batch = operations.size() > 1 && i == 0;
    record.ends_batch = operations.size() > 1 && i + 1 == operations.size();
    if (i == 0 && carries) record.watermark = watermark;
    const std::size_t bytes =
        format::EncodeRecord(record, format::RecordSeed(segment->seed(), offset),
                             {segment->log_mapping()->data() + offset, segment->limit() - offset});
    pending_.push_back({.hash = operations[i].hash,
                        .key = operations[i].key,
                        .location = Location(segment->slot(), offset, bytes),
                        .bytes = bytes,
                        .is_tombstone = record.is_tombstone});
    tombstones += record.is_tombstone ? 1 : 0;
    offset += bytes;
  }
  if (carries) carried_watermark_ = watermark;
  PrefetchToWrite(segment->log_mapping()->data() + offset, offset - start);
  FREYJA_SCHEDULE_POINT("writer.append");
  log.Appended(operations.size(), tombstones, offset - start);

  Count(puts_, operations.size() - tombstones);
  Count(deletes_, tombstones);
  Count(user_bytes_, PayloadBytes(operations));
  return Status::Ok();
}

Status Writer::SyncAndPublish() {
  // A store into a page that could not be written was lost; the record is a hole.
  for (const Segment* segment : touched_) {
    if (segment->log_faulted()) {
      return parts_.health.PoisonWith(StatusCode::kIoError, [&] {
        return segment->name() + ": a store into the mapping failed";
      });
    }
  }
  const bool sync = std::ranges::any_of(
      group_, [](const Request* request) { return request->appended && request->sync; });
  // A refusal that asked for sync waits as well: what it was decided on must last, too.
  if (sync) FREYJA_RETURN_IF_ERROR(parts_.log.SyncThrough(parts_.log.appended()));
  if (pending_.empty()) return Status::Ok();
  return parts_.publisher.Publish(pending_, parts_.log.appended());
}

void Writer::FailAppended(const Status& status) {
  // What was appended may be there after reopening; other codes would promise that it is not.
  const bool may_be_stored = !pending_.empty() && status.code() != StatusCode::kReadOnly;
  const StatusCode code = may_be_stored ? StatusCode::kIoError : status.code();
  for (Request* request : group_) {
    if (!request->appended) continue;
    try {
      request->result = std::unexpected(Status(code, status.message()));
    } catch (const std::exception&) {
      request->result = std::unexpected(Status(code, ""));
    }
  }
}

}  // namespace freyja::engine
