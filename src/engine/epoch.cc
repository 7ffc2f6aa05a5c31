#include "engine/epoch.h"

#include <algorithm>
#include <bit>

namespace freyja::engine {
namespace {

// Retirements between two scans of the slots: a scan costs some microseconds
// and the garbage it leaves is bounded.
constexpr std::size_t kCollectEvery = 16;

// Numbers of threads that run, a bit each. Taken and given back with acquire and release: what a
// thread did with its slots comes before what the next one of that number does.
class ThreadNumbers {
 public:
  // kNumberedThreads if there is none.
  static std::uint32_t Take() {
    for (std::uint32_t word = 0; word < kWords; ++word) {
      std::uint64_t taken = taken_[word].load(std::memory_order_relaxed);
      while (taken != UINT64_MAX) {
        const auto bit = static_cast<std::uint32_t>(std::countr_one(taken));
        if (taken_[word].compare_exchange_weak(taken, taken | std::uint64_t{1} << bit,
                                               std::memory_order_acquire,
                                               std::memory_order_relaxed)) {
          return word * kBits + bit;
        }
      }
    }
    return EpochManager::kNumberedThreads;
  }
  static void GiveBack(std::uint32_t number) {
    taken_[number / kBits].fetch_and(~(std::uint64_t{1} << number % kBits),
                                     std::memory_order_release);
  }

 private:
  static constexpr std::uint32_t kBits = 64;
  static constexpr std::uint32_t kWords = EpochManager::kNumberedThreads / kBits;
  static_assert(EpochManager::kNumberedThreads % kBits == 0);
  static inline constinit std::array<std::atomic<std::uint64_t>, kWords> taken_{};
};

// Gives the number back when the thread ends. Guards that come after that share slots.
class NumberOfThread {
 public:
  NumberOfThread() { epoch_thread_number = ThreadNumbers::Take(); }
  ~NumberOfThread() {
    if (epoch_thread_number < EpochManager::kNumberedThreads) {
      ThreadNumbers::GiveBack(std::exchange(epoch_thread_number, EpochManager::kNumberedThreads));
    }
  }
  NumberOfThread(const NumberOfThread&) = delete;
  NumberOfThread& operator=(const NumberOfThread&) = delete;
};

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

EpochManager::Slot& EpochManager::AnnounceShared() {
  if (epoch_thread_number == UINT32_MAX) {
    static thread_local const NumberOfThread number;
    if (epoch_thread_number < kNumberedThreads) return Announce();
  }
  // Where a search begins tells threads apart: their thread-locals lie at least a thread control
  // block apart.
  const auto address = reinterpret_cast<std::uintptr_t>(&epoch_thread_number);
  std::size_t at = static_cast<std::size_t>((address >> 6) * 0x9E3779B97F4A7C15ULL >> 56);
  static_assert(kSharedSlots == 1U << (64 - 56));
  for (std::size_t tried = 1;; ++tried) {
    // The announcement has to be globally visible before the reader's first load
    // (else the scan could miss it): the CAS is seq_cst and comes first.
    std::uint64_t free = 0;
    Slot& slot = shared_[at].slot;
    const std::uint64_t current = epoch_.load();
    FREYJA_SCHEDULE_POINT("epoch.announce");
    if (slot.compare_exchange_strong(free, current)) {
      FREYJA_SCHEDULE_POINT("epoch.announced", &slot);
      return slot;
    }
    at = (at + 1) % kSharedSlots;
    if (tried % kSharedSlots == 0) std::this_thread::yield();
  }
}

std::uint64_t EpochManager::OldestActive() const {
  // The limit is taken before the scan: a thing stamped below it was unlinked
  // before any slot was read.
  std::uint64_t oldest = epoch_.load();
  // Refused although it was granted at the start: then nobody knows, and nothing is freed.
  if (with_barrier_ && !base::ProcessBarrier()) return 0;
  FREYJA_SCHEDULE_POINT("epoch.scan");
  const auto look_at = [&](const Slot& slot) {
    const std::uint64_t epoch = slot.load();
    if (epoch != 0) oldest = std::min(oldest, epoch);
  };
  for (const OwnSlots& own : own_) std::ranges::for_each(own.slots, look_at);
  for (const SharedSlot& shared : shared_) look_at(shared.slot);
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
  {
    base::MutexLock lock(mutex_);
    if (first_ == nullptr) return 0;
  }
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
