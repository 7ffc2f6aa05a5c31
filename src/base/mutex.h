// Mutexes that clang's thread-safety analysis understands, and that the schedulers of tests
// can see (schedule_point.h).
#pragma once

#include <chrono>
#include <condition_variable>
#include <mutex>

#include "base/schedule_point.h"

#if defined(__clang__)
#define FREYJA_TSA(x) __attribute__((x))
#else
#define FREYJA_TSA(x)
#endif

#define FREYJA_GUARDED_BY(x) FREYJA_TSA(guarded_by(x))
#define FREYJA_PT_GUARDED_BY(x) FREYJA_TSA(pt_guarded_by(x))
#define FREYJA_REQUIRES(...) FREYJA_TSA(requires_capability(__VA_ARGS__))
#define FREYJA_EXCLUDES(...) FREYJA_TSA(locks_excluded(__VA_ARGS__))
#define FREYJA_ACQUIRE(...) FREYJA_TSA(acquire_capability(__VA_ARGS__))
#define FREYJA_RELEASE(...) FREYJA_TSA(release_capability(__VA_ARGS__))
#define FREYJA_TRY_ACQUIRE(...) FREYJA_TSA(try_acquire_capability(__VA_ARGS__))
#define FREYJA_ACQUIRED_BEFORE(...) FREYJA_TSA(acquired_before(__VA_ARGS__))
#define FREYJA_NO_THREAD_SAFETY_ANALYSIS FREYJA_TSA(no_thread_safety_analysis)

namespace freyja::base {

class FREYJA_TSA(capability("mutex")) Mutex {
 public:
#if defined(FREYJA_SCHEDULE_POINTS)
  void Lock() FREYJA_ACQUIRE() {
    if (schedule_observer != nullptr) schedule_observer->BeforeLock(this);
    mutex_.lock();
  }
  void Unlock() FREYJA_RELEASE() {
    mutex_.unlock();
    if (schedule_observer != nullptr) schedule_observer->AfterUnlock(this);
  }
  bool TryLock() FREYJA_TRY_ACQUIRE(true) {
    if (schedule_observer != nullptr && !schedule_observer->BeforeTryLock(this)) return false;
    return mutex_.try_lock();
  }
#else
  void Lock() FREYJA_ACQUIRE() { mutex_.lock(); }
  void Unlock() FREYJA_RELEASE() { mutex_.unlock(); }
  bool TryLock() FREYJA_TRY_ACQUIRE(true) { return mutex_.try_lock(); }
#endif

 private:
  friend class CondVar;
  std::mutex mutex_;
};

class FREYJA_TSA(scoped_lockable) MutexLock {
 public:
  explicit MutexLock(Mutex& mutex) FREYJA_ACQUIRE(mutex) : mutex_(mutex) { mutex_.Lock(); }
  ~MutexLock() FREYJA_RELEASE() { mutex_.Unlock(); }
  MutexLock(const MutexLock&) = delete;
  MutexLock& operator=(const MutexLock&) = delete;

 private:
  Mutex& mutex_;
};

// In a loop that waits for another thread without sleeping: tells the processor so.
inline void Relax() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#endif
}

// Waits are loops at the caller: while (!condition) cv.Wait(mutex);
class CondVar {
 public:
  void Wait(Mutex& mutex) FREYJA_REQUIRES(mutex) {
#if defined(FREYJA_SCHEDULE_POINTS)
    if (WaitObserved(mutex)) return;
#endif
    std::unique_lock<std::mutex> lock(mutex.mutex_, std::adopt_lock);
    condition_.wait(lock);
    lock.release();
  }
  // False if `timeout` passed without a notification.
  bool WaitFor(Mutex& mutex, std::chrono::nanoseconds timeout) FREYJA_REQUIRES(mutex) {
#if defined(FREYJA_SCHEDULE_POINTS)
    if (WaitObserved(mutex)) return true;
#endif
    std::unique_lock<std::mutex> lock(mutex.mutex_, std::adopt_lock);
    const bool notified = condition_.wait_for(lock, timeout) == std::cv_status::no_timeout;
    lock.release();
    return notified;
  }
#if defined(FREYJA_SCHEDULE_POINTS)
  void NotifyOne() {
    condition_.notify_one();
    if (schedule_observer != nullptr) schedule_observer->Notify(this, /*all=*/false);
  }
  void NotifyAll() {
    condition_.notify_all();
    if (schedule_observer != nullptr) schedule_observer->Notify(this, /*all=*/true);
  }
#else
  void NotifyOne() { condition_.notify_one(); }
  void NotifyAll() { condition_.notify_all(); }
#endif

 private:
#if defined(FREYJA_SCHEDULE_POINTS)
  // `false`: the thread has no observer and waits by itself. There is no time for an
  // observer: what it waits for comes, or the schedule hangs and the test says so.
  bool WaitObserved(Mutex& mutex) {
    if (schedule_observer == nullptr) return false;
    mutex.mutex_.unlock();
    schedule_observer->AfterUnlock(&mutex);
    schedule_observer->Wait(this);
    schedule_observer->BeforeLock(&mutex);
    mutex.mutex_.lock();
    return true;
  }
#endif
  std::condition_variable condition_;
};

}  // namespace freyja::base
