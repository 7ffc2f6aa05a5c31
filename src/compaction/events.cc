#include "compaction/events.h"

#include <algorithm>
#include <utility>

namespace freyja::compaction {

EventDispatcher::~EventDispatcher() { Shutdown(); }

std::uint64_t EventDispatcher::Add(CompactionListener listener) {
  auto subscriber = std::make_shared<Subscriber>();
  subscriber->listener = std::move(listener);
  base::MutexLock lock(mutex_);
  const auto added = subscribers_.emplace(next_id_, subscriber).first;
  try {
    subscriber->thread = std::thread([this, raw = subscriber.get()] { Run(*raw); });
  } catch (...) {
    subscribers_.erase(added);
    throw;
  }
  return next_id_++;
}

void EventDispatcher::Join(Subscriber& subscriber, bool drain) {
  {
    base::MutexLock lock(subscriber.mutex);
    if (!subscriber.stop) subscriber.drain = drain;
    subscriber.stop = true;
    subscriber.changed.NotifyAll();
  }
  if (!IsOwnThread(subscriber) && subscriber.thread.joinable()) subscriber.thread.join();
}

void EventDispatcher::Remove(std::uint64_t id) {
  std::shared_ptr<Subscriber> removed;
  {
    base::MutexLock lock(mutex_);
    const auto found = subscribers_.find(id);
    if (found == subscribers_.end()) return;
    removed = found->second;
    if (IsOwnThread(*removed)) leaving_.push_back(removed);
    subscribers_.erase(found);
  }
  Join(*removed, /*drain=*/false);
}

void EventDispatcher::Shutdown() {
  std::vector<std::shared_ptr<Subscriber>> leaving;
  {
    base::MutexLock lock(mutex_);
    for (const auto& [id, subscriber] : subscribers_) leaving_.push_back(subscriber);
    subscribers_.clear();
    leaving = leaving_;
    std::erase_if(leaving_, [](const auto& subscriber) { return !IsOwnThread(*subscriber); });
  }
  for (const auto& subscriber : leaving) Join(*subscriber, /*drain=*/true);
}

void EventDispatcher::Emit(const CompactionEvent& event) {
  base::MutexLock lock(mutex_);
  for (auto& [id, subscriber] : subscribers_) Enqueue(*subscriber, event);
}

void EventDispatcher::Enqueue(Subscriber& subscriber, const CompactionEvent& event) {
  base::MutexLock lock(subscriber.mutex);
  if (subscriber.queue.size() >= kMaxQueued) {
    dropped_.fetch_add(1);
    if (event.type == CompactionEventType::kProgress) return;
    const auto progress =
        std::ranges::find(subscriber.queue, CompactionEventType::kProgress, &CompactionEvent::type);
    subscriber.queue.erase(progress != subscriber.queue.end() ? progress
                                                              : subscriber.queue.begin());
  }
  subscriber.queue.push_back(event);
  subscriber.changed.NotifyOne();
}

void EventDispatcher::Run(Subscriber& subscriber) {
  for (;;) {
    CompactionEvent event;
    {
      base::MutexLock lock(subscriber.mutex);
      while (subscriber.queue.empty() && !subscriber.stop)
        subscriber.changed.Wait(subscriber.mutex);
      if (subscriber.queue.empty() || (subscriber.stop && !subscriber.drain)) return;
      event = std::move(subscriber.queue.front());
      subscriber.queue.pop_front();
    }
    try {
      subscriber.listener(event);
    } catch (...) {
      exceptions_.fetch_add(1);
    }
  }
}

}  // namespace freyja::compaction
