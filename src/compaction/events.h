// Delivers compaction events to any number of listeners.
#pragma once

#include <atomic>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <thread>
#include <vector>

#include "base/mutex.h"
#include "freyja/compaction.h"

namespace freyja::compaction {

// Every listener has a queue and a thread of its own, so a slow one delays nobody, and one
// that throws loses nothing but that call. A queue holds kMaxQueued events; when it is full
// progress events are dropped first, then the oldest.
//
// Thread safety: all members may be called from any thread. Emit never calls a listener and
// never waits for one.
class EventDispatcher {
 public:
  static constexpr std::size_t kMaxQueued = 4096;

  EventDispatcher() = default;
  ~EventDispatcher();
  EventDispatcher(const EventDispatcher&) = delete;
  EventDispatcher& operator=(const EventDispatcher&) = delete;

  std::uint64_t Add(CompactionListener listener) FREYJA_EXCLUDES(mutex_);
  // Waits for a call to the listener that is under way, unless it is the listener that
  // calls. What is queued is not delivered.
  void Remove(std::uint64_t id) FREYJA_EXCLUDES(mutex_);
  void Emit(const CompactionEvent& event) FREYJA_EXCLUDES(mutex_);
  // Delivers what is queued and ends all listeners' threads.
  void Shutdown() FREYJA_EXCLUDES(mutex_);

  std::uint64_t dropped() const { return dropped_.load(); }
  std::uint64_t exceptions() const { return exceptions_.load(); }

 private:
  struct Subscriber {
    CompactionListener listener;
    std::thread thread;
    base::Mutex mutex;
    base::CondVar changed;
    std::deque<CompactionEvent> queue FREYJA_GUARDED_BY(mutex);
    bool stop FREYJA_GUARDED_BY(mutex) = false;
    bool drain FREYJA_GUARDED_BY(mutex) = false;
  };

  void Run(Subscriber& subscriber);
  void Enqueue(Subscriber& subscriber, const CompactionEvent& event);
  static void Join(Subscriber& subscriber, bool drain);
  // Whether the caller is the listener: it can't be waited for.
  static bool IsOwnThread(const Subscriber& subscriber) {
    return subscriber.thread.get_id() == std::this_thread::get_id();
  }

  std::atomic<std::uint64_t> dropped_{0};
  std::atomic<std::uint64_t> exceptions_{0};
  base::Mutex mutex_;
  std::uint64_t next_id_ FREYJA_GUARDED_BY(mutex_) = 1;
  std::map<std::uint64_t, std::shared_ptr<Subscriber>> subscribers_ FREYJA_GUARDED_BY(mutex_);
  // Removed from within their own calls: their threads are still to be joined.
  std::vector<std::shared_ptr<Subscriber>> leaving_ FREYJA_GUARDED_BY(mutex_);
};

}  // namespace freyja::compaction
