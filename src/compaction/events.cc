#include "compaction/events.h"

#include <algorithm>
#include <utility>

namespace freyja::compaction {

EventDispatcher::~EventDispatcher() { Shutdown(); }

std::uint64_t EventDispatcher::Add(CompactionListener listener) {
  auto subscriber = std::make_shared<Subscriber>();
  subscriber->listener = std::move(listener);
  subscriber->thread = std::thread([this, raw = subscriber.get()] { Run(*raw); });
  base::MutexLock lock(mutex_);
  subscribers_.emplace(next_id_, std::move(subscriber));
  return next_id_++;
}

void EventDispatcher::Join(Subscriber& subscriber, bool drain) {
  {
    base::MutexLock lock(subscriber.mutex);
    subscriber.stop = true;
    subscriber.drain = drain;
    subscriber.changed.NotifyAll();
  }
  if (subscriber.thread.joinable()) subscriber.thread.join();
}

void EventDispatcher::Remove(std::uint64_t id) {
  std::shared_ptr<Subscriber> removed;
  {
    base::MutexLock lock(mutex_);
    const auto found = subscribers_.find(id);
    if (found == subscribers_.end()) return;
    removed = std::move(found->second);
    subscribers_.erase(found);
  }
  Join(*removed, /*drain=*/false);
}

void EventDispatcher::Shutdown() {
  std::map<std::uint64_t, std::shared_ptr<Subscriber>> all;
  {
    base::MutexLock lock(mutex_);
    all.swap(subscribers_);
  }
  for (auto& [id, subscriber] : all) Join(*subscriber, /*drain=*/true);
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
    const auto progress = std::ranges::find(subscriber.queue, CompactionEventType::kProgress,
                                            &CompactionEvent::type);
    subscriber.queue.erase(progress != subscriber.queue.end() ? progress : subscriber.queue.begin());
  }
  subscriber.queue.push_back(event);
  subscriber.changed.NotifyOne();
}

void EventDispatcher::Run(Subscriber& subscriber) {
  for (;;) {
    CompactionEvent event;
    {
      base::MutexLock lock(subscriber.mutex);
      while (subscriber.queue.empty() && !subscriber.stop) subscriber.changed.Wait(subscriber.mutex);
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
