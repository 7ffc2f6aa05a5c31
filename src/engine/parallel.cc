#include "engine/parallel.h"

#include <algorithm>
#include <atomic>
#include <new>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

#include "base/mutex.h"

namespace freyja::engine {

Status RunParallel(std::size_t count, unsigned threads,
                   const std::function<Status(std::size_t)>& body) {
  struct Shared {
    std::atomic<std::size_t> next{0};
    std::atomic<bool> failed{false};
    base::Mutex mutex;
    Status first_error FREYJA_GUARDED_BY(mutex);
  } shared;
  const auto work = [&] {
    while (!shared.failed.load()) {
      const std::size_t i = shared.next.fetch_add(1);
      if (i >= count) return;
      Status status;
      try {
        status = body(i);
      } catch (const std::bad_alloc&) {
        status = Status(StatusCode::kOutOfMemory, "out of memory");
      }
      if (status.ok()) continue;
      base::MutexLock lock(shared.mutex);
      if (shared.first_error.ok()) shared.first_error = std::move(status);
      shared.failed.store(true);
    }
  };
  std::vector<std::jthread> helpers;
  const std::size_t wanted = std::min<std::size_t>(threads, count);
  for (std::size_t i = 1; i < wanted; ++i) {
    try {
      helpers.emplace_back(work);
    } catch (const std::system_error&) {
      break;  // fewer threads: slower, not wrong
    }
  }
  work();
  helpers.clear();
  base::MutexLock lock(shared.mutex);
  return shared.first_error;
}

}  // namespace freyja::engine
