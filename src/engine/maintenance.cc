#include "engine/maintenance.h"

#include <algorithm>
#include <exception>

#include "base/status_macros.h"

namespace freyja::engine {

using std::chrono::milliseconds;

namespace {

constexpr milliseconds kIdlePause{1000};
constexpr milliseconds kBusyPause{
    1};  // something becomes possible soon: a publication, a reader's end
constexpr milliseconds kFirstFailurePause{10};
constexpr milliseconds kLongestFailurePause{5000};
constexpr milliseconds kFullDiskPause{200};

}  // namespace

void Maintenance::Start() {
  last_sync_ = std::chrono::steady_clock::now();
#if defined(FREYJA_SCHEDULE_POINTS)
  // Who decides on the schedule knows all threads; the store can do without this one.
  if (base::schedule_observer != nullptr) return;
#endif
  thread_ = std::thread([this] { Run(); });
}

void Maintenance::Stop() {
  {
    base::MutexLock lock(mutex_);
    stop_ = true;
    wake_.NotifyAll();
  }
  if (thread_.joinable()) thread_.join();
}

void Maintenance::Wake() {
  if (woken_.load(std::memory_order_relaxed) || woken_.exchange(true)) return;
  base::MutexLock lock(mutex_);
  wake_.NotifyOne();
}

void Maintenance::Run() {
  for (;;) {
    const milliseconds pause = RunOnce();
    base::MutexLock lock(mutex_);
    if (stop_) return;
    if (!woken_.load()) wake_.WaitFor(mutex_, pause);
    if (stop_) return;
  }
}

milliseconds Maintenance::RunOnce() {
  woken_.store(false);
  bool more = false;
  Status status;
  try {
    if (!parts_.health.poisoned()) {
      parts_.log.PopulateAhead();
      status = Prepare();
      parts_.log.PopulateAhead();  // what has just been prepared, too
      if (Status synced = SyncIfDue(); !synced.ok()) status = synced;
      if (Status ended = parts_.quarantine.GiveUpExpired(); !ended.ok()) status = ended;
      if (parts_.log.HasFull()) {
        const auto sealed = parts_.log.SealOldest();
        if (!sealed) status = sealed.error();
        more = parts_.log.HasFull();
      }
    }
    parts_.epochs.Collect();
    more |= parts_.reaper.Collect() != 0;
  } catch (const std::exception&) {
    status = Status(StatusCode::kOutOfMemory, "no memory");  // short: it needs none itself
  }
  if (!status.ok()) {
    parts_.health.Report(status);
    pause_after_failure_ =
        std::clamp(pause_after_failure_ * 2, kFirstFailurePause, kLongestFailurePause);
    return pause_after_failure_;
  }
  pause_after_failure_ = milliseconds{0};
  if (more) return kBusyPause;
  if (!sync_interval_) return kIdlePause;
  const auto until_sync = std::chrono::ceil<milliseconds>(last_sync_ + *sync_interval_ -
                                                          std::chrono::steady_clock::now());
  return std::clamp(until_sync, milliseconds{0}, kIdlePause);
}

Status Maintenance::Prepare() {
  const auto now = std::chrono::steady_clock::now();
  if (now < next_prepare_) return Status::Ok();
  Status status;
  for (;;) {
    status = parts_.reserve.Establish();
    if (status.ok()) status = parts_.log.PrepareAhead();
    if (status.code() != StatusCode::kNoSpace) return status;
    // What is only kept for an undo goes first.
    FREYJA_ASSIGN_OR_RETURN(const bool gave, parts_.quarantine.GiveUpOldest());
    if (!gave) break;
  }
  // A full disk is the writer's to report, when it needs the room; here it is tried again.
  next_prepare_ = now + kFullDiskPause;
  status = parts_.log.SettleTail();
  return status.code() == StatusCode::kNoSpace ? Status::Ok() : status;
}

Status Maintenance::SyncIfDue() {
  if (!sync_interval_) return Status::Ok();
  const auto now = std::chrono::steady_clock::now();
  if (now - last_sync_ < *sync_interval_) return Status::Ok();
  last_sync_ = now;
  return parts_.log.SyncThrough(parts_.log.appended());
}

}  // namespace freyja::engine
