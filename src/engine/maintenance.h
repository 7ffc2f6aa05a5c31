// The store's one background thread: prepares, populates, syncs, seals, takes back, gives up
// what was in quarantine long enough, or too long for a full disk.
#pragma once

#include <atomic>
#include <chrono>
#include <optional>
#include <thread>

#include "base/mutex.h"
#include "engine/epoch.h"
#include "engine/health.h"
#include "engine/log.h"
#include "engine/quarantine.h"
#include "engine/reaper.h"
#include "engine/reserve.h"

namespace freyja::engine {

// Nothing waits for this thread to be correct, only to be fast: a writer that finds nothing
// prepared prepares it itself. Failures go to Health and are tried again after a pause that
// doubles up to a cap.
//
// Thread safety: Wake may be called from any thread; Start and Stop by the store's owner.
class Maintenance {
 public:
  struct Parts {
    Log& log;
    Reaper& reaper;
    EpochManager& epochs;
    Reserve& reserve;
    Quarantine& quarantine;
    Health& health;
  };
  // `sync_interval`: nullopt if no sync is to be made by time.
  Maintenance(const Parts& parts, std::optional<std::chrono::milliseconds> sync_interval)
      : parts_(parts), sync_interval_(sync_interval) {}
  ~Maintenance() { Stop(); }

  void Start();
  void Stop() FREYJA_EXCLUDES(mutex_);
  // Cheap if it is awake already.
  void Wake() FREYJA_EXCLUDES(mutex_);

 private:
  void Run() FREYJA_EXCLUDES(mutex_);
  // One round of all duties; how long to sleep before the next.
  std::chrono::milliseconds RunOnce();
  Status Prepare();
  Status SyncIfDue();

  const Parts parts_;
  const std::optional<std::chrono::milliseconds> sync_interval_;
  std::thread thread_;

  // The thread's own.
  std::chrono::steady_clock::time_point last_sync_{};
  std::chrono::steady_clock::time_point next_prepare_{};
  std::chrono::milliseconds pause_after_failure_{0};

  std::atomic<bool> woken_{false};
  base::Mutex mutex_;
  base::CondVar wake_;
  bool stop_ FREYJA_GUARDED_BY(mutex_) = false;
};

}  // namespace freyja::engine
