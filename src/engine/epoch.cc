#include "engine/epoch.h"

#include <algorithm>

namespace freyja::engine {
namespace {

// Retirements between two scans of the slots: a scan costs some microseconds
// and the garbage it leaves is bounded.
constexpr std::size_t kCollectEvery = 16;

// One at a time: the links would be destroyed recursively otherwise.
template <class Next>
void DeleteChain(std::unique_ptr<Retired> chain, Next next) {
  while (chain) {
    FREYJA_SCHEDULE_POINT("epoch.free", chain.get());
    chain = next(*chain);
  }
}

}  // namespace

EpochManager::~EpochManager() {
  std::unique_ptr<Retired> garbage;
  {
    base::MutexLock lock(mutex_);
    garbage = std::move(first_);
  }
  DeleteChain(std::move(garbage), [](Retired& item) { return std::move(item.next_); });
}

std::uint64_t EpochManager::OldestActive() const {
  // The limit is taken before the scan: a thing stamped below it was unlinked
  // before any slot was read.
  std::uint64_t oldest = epoch_.load();
  FREYJA_SCHEDULE_POINT("epoch.scan");
  for (const Slot& slot : slots_) {
    const std::uint64_t epoch = slot.epoch.load();
    if (epoch != 0) oldest = std::min(oldest, epoch);
  }
  return oldest;
}

void EpochManager::Retire(std::unique_ptr<Retired> garbage) {
  FREYJA_SCHEDULE_POINT("epoch.retire", garbage.get());
  {
    base::MutexLock lock(mutex_);
    // Stamped under the lock, so that stamps ascend along the list.
    garbage->stamp_ = Advance();
    Retired* const item = garbage.get();
    (last_ == nullptr ? first_ : last_->next_) = std::move(garbage);
    last_ = item;
    ++waiting_;
    if (++since_collect_ < kCollectEvery) return;
  }
  Collect();
}

std::size_t EpochManager::Collect() {
  std::unique_ptr<Retired> garbage;
  std::size_t left = 0;
  const std::uint64_t oldest = OldestActive();
  {
    base::MutexLock lock(mutex_);
    since_collect_ = 0;
    Retired* last_freed = nullptr;
    for (Retired* item = first_.get(); item != nullptr && item->stamp_ < oldest;
         item = item->next_.get()) {
      last_freed = item;
      --waiting_;
    }
    if (last_freed != nullptr) {
      garbage = std::move(first_);
      first_ = std::move(last_freed->next_);
      if (first_ == nullptr) last_ = nullptr;
    }
    left = waiting_;
  }
  DeleteChain(std::move(garbage), [](Retired& item) { return std::move(item.next_); });
  return left;
}

}  // namespace freyja::engine
