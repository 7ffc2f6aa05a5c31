// Named points at which a test may decide who goes on.
//
// FREYJA_SCHEDULE_POINT("layer.step", operand) stands where another thread's step in between
// could matter. In builds with FREYJA_SCHEDULE_POINTS, which only builds with tests have, it
// tells the observer of the calling thread, if that has one: a scheduler of a test, which runs
// other threads before it returns. base::Mutex and base::CondVar tell it, too, so that it
// knows who is blocked. A thread without an observer pays for one load. In all other builds
// the macros are nothing, and neither observer nor names exist.
//
// An observer belongs to one thread; the threads it switches between are its own.
#pragma once

#if defined(FREYJA_SCHEDULE_POINTS)

#include <cstdint>

namespace freyja::base {

class ScheduleObserver {
 public:
  // `operand`: what the step is about, null if there is only one.
  virtual void AtPoint(const char* name, const void* operand) = 0;
  // The caller can do nothing until another thread has done something.
  virtual void AtYield(const char* name) = 0;
  // Before a mutex is locked: returns when it is free, and counts it as the caller's.
  virtual void BeforeLock(const void* mutex) = 0;
  // The same, unless it is somebody else's: then false, at once.
  virtual bool BeforeTryLock(const void* mutex) = 0;
  // After it was unlocked.
  virtual void AfterUnlock(const void* mutex) = 0;
  // Returns when somebody notified `condition`.
  virtual void Wait(const void* condition) = 0;
  virtual void Notify(const void* condition, bool all) = 0;

 protected:
  ~ScheduleObserver() = default;
};

// Null but in the tests of schedules.
inline constinit thread_local ScheduleObserver* schedule_observer = nullptr;

inline void AtSchedulePoint(const char* name, const void* operand = nullptr) {
  if (schedule_observer != nullptr) schedule_observer->AtPoint(name, operand);
}
inline void AtScheduleYield(const char* name) {
  if (schedule_observer != nullptr) schedule_observer->AtYield(name);
}

}  // namespace freyja::base

#define FREYJA_SCHEDULE_POINT(...) ::freyja::base::AtSchedulePoint(__VA_ARGS__)
#define FREYJA_SCHEDULE_YIELD(name) ::freyja::base::AtScheduleYield(name)

#else

#define FREYJA_SCHEDULE_POINT(...) static_cast<void>(0)
#define FREYJA_SCHEDULE_YIELD(name) static_cast<void>(0)

#endif
