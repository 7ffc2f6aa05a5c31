// Whether the store may still write, and the first thing that went wrong.
//
// Thread safety: all members may be called from any thread.
#pragma once

#include <atomic>
#include <exception>
#include <string>

#include "base/mutex.h"
#include "freyja/status.h"

namespace freyja::engine {

// "Poisoned" is for good: after a failed sync of the log or of the directory, or a
// manifest replacement of unknown outcome, what the kernel holds and what the disk holds
// may differ. Nobody syncs, appends or commits from then on; reads go on; reopening
// decides from what is on disk (Rebello et al., "Can Applications Recover from fsync
// Failures?", ATC'20).
class Health {
 public:
  bool poisoned() const { return poisoned_.load(); }

  // The first cause stays.
  void Poison(const Status& cause) noexcept FREYJA_EXCLUDES(mutex_) {
    base::MutexLock lock(mutex_);
    if (poisoned_.load()) return;
    poisoned_.store(true);
    error_ = cause;
  }

  // The same with a message that is still to be made. There may be no memory for it: then the
  // cause does without, but whoever needs to poison never fails to because of its message.
  template <class MakeMessage>
  Status PoisonWith(StatusCode code, MakeMessage&& make_message) noexcept FREYJA_EXCLUDES(mutex_) {
    Status cause;
    try {
      cause = Status(code, make_message());
    } catch (const std::exception&) {
      cause = Status(code, "");
    }
    Poison(cause);
    return cause;
  }

  // Something was met that an open mends which loads all hints and records anew: a key was changed
  // though a record of its hash could not be read, or a hint can't be used. So the next open must
  // not take a short cut.
  void WantFullOpen() { full_open_wanted_.store(true); }
  void FullOpenDone() { full_open_wanted_.store(false); }
  bool full_open_wanted() const { return full_open_wanted_.load(); }

  // Records a background failure that leaves the store writable. The latest one is kept,
  // until one poisons; that one stays.
  void Report(const Status& error) FREYJA_EXCLUDES(mutex_) {
    base::MutexLock lock(mutex_);
    if (!poisoned_.load()) error_ = error;
  }

  Status error() const FREYJA_EXCLUDES(mutex_) {
    base::MutexLock lock(mutex_);
    return error_;
  }

  // Ok, or kReadOnly naming the cause.
  Status CheckWritable() const FREYJA_EXCLUDES(mutex_) {
    if (!poisoned_.load()) return Status::Ok();
    return Status(StatusCode::kReadOnly,
                  "the store is read-only until it is reopened, because of an earlier failure: " +
                      error().ToString());
  }

 private:
  std::atomic<bool> poisoned_{false};
  std::atomic<bool> full_open_wanted_{false};
  mutable base::Mutex mutex_;
  Status error_ FREYJA_GUARDED_BY(mutex_);
};

}  // namespace freyja::engine
