// Epochs: how memory and files that readers may still look at are taken back.
//
// A reader announces the epoch in which it began; whoever unlinks something
// advances the epoch and frees the thing once every earlier reader has left.
//
// A guard is announced in a slot that only its thread announces in, by a plain store: no locked
// instruction, no cache line that two threads write. Whoever frees pays for the order instead,
// with a barrier on all threads (base/process_barrier.h). Where the kernel has no such barrier
// the store is a locked exchange.
//
// Thread safety: everything here may be called from any thread at any time,
// except the destructor, which needs every guard gone. A guard belongs to one
// thread at a time. Guards nest. No thread has to be registered, and none takes a
// lock to read.
//
// Invariants
//  1. A slot holds 0 (free) or an epoch that was current when, or before, its
//     guard announced it. Only the thread whose number it bears makes one of its own slots
//     anything but 0; a shared one is taken by compare-and-swap.
//  2. The global epoch only grows, and never is 0.
//  3. What was unlinked before Advance() returned `stamp` can't be reached by a
//     guard that announced after a scan found no slot with an epoch <= `stamp`. The scan
//     begins with a barrier on all threads. A guard's announcement comes before its thread's
//     barrier or after it: before, and the scan sees it; after, and so do the guard's loads,
//     which see the unlinking. A guard that loaded an epoch > `stamp` saw it as well, by reading
//     what Advance wrote. Shared slots, and all without such a barrier, need none: unlinking,
//     Advance, the scan, the announcement and the reader's first load are seq_cst operations
//     then, in that order.
//  4. In the retire list stamps ascend.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <thread>
#include <utility>

#include "base/mutex.h"
#include "base/process_barrier.h"

namespace freyja::engine {

// Something unlinked, waiting until no reader can hold it. The links are inside,
// so that retiring never allocates.
class Retired {
 public:
  Retired() = default;
  Retired(const Retired&) = delete;
  Retired& operator=(const Retired&) = delete;
  virtual ~Retired() = default;

 private:
  friend class EpochManager;
  std::uint64_t stamp_ = 0;
  std::unique_ptr<Retired> next_;
};

class EpochManager {
 public:
  // Threads with slots of their own, and how many each has: guards nested deeper, and those of
  // further threads, share slots.
  static constexpr std::uint32_t kNumberedThreads = 256;
  static constexpr std::size_t kOwnSlots = 4;
  // One guard more waits (yielding) for a slot.
  static constexpr std::size_t kSharedSlots = 256;

  // `with_barrier`: false only for tests of what happens where the kernel has none.
  explicit EpochManager(bool with_barrier = true)
      : with_barrier_(with_barrier && base::HasProcessBarrier()) {}
  EpochManager(const EpochManager&) = delete;
  EpochManager& operator=(const EpochManager&) = delete;
  // Frees everything retired. No guard may exist.
  ~EpochManager();

  std::uint64_t Current() const { return epoch_.load(); }

  // Stamps what the caller has unlinked before: it may be freed, or its file
  // removed, once Drained(stamp) is true.
  std::uint64_t Advance() { return epoch_.fetch_add(1); }

  // Whether every guard that might reach what was unlinked before Advance()
  // returned `stamp` has gone. For several stamps see OldestActive.
  bool Drained(std::uint64_t stamp) const { return OldestActive() > stamp; }

  // All stamps below it are drained: the lowest epoch in any slot, but no more than the epoch at
  // the call; 0 if that can't be known. Makes all threads pass a barrier and reads all slots: some
  // microseconds.
  std::uint64_t OldestActive() const;

  // Takes over something already unlinked; deletes it, here or in a later call
  // by any thread, when all guards of now are gone. Never allocates. May run
  // deleters of earlier garbage, so don't hold a lock they need.
  void Retire(std::unique_ptr<Retired> garbage);

  // Deletes what can be deleted now; returns how many things still wait.
  std::size_t Collect();

 private:
  friend class EpochGuard;
  using Slot = std::atomic<std::uint64_t>;
  struct alignas(64) OwnSlots {
    std::array<Slot, kOwnSlots> slots{};
  };
  struct alignas(64) SharedSlot {
    Slot slot{0};
  };

  Slot& Announce();
  Slot& AnnounceShared();

  std::array<OwnSlots, kNumberedThreads> own_;
  std::array<SharedSlot, kSharedSlots> shared_;
  const bool with_barrier_;
  alignas(64) std::atomic<std::uint64_t> epoch_{1};

  alignas(64) base::Mutex mutex_;
  std::unique_ptr<Retired> first_ FREYJA_GUARDED_BY(mutex_);
  Retired* last_ FREYJA_GUARDED_BY(mutex_) = nullptr;
  std::size_t waiting_ FREYJA_GUARDED_BY(mutex_) = 0;
  std::size_t since_collect_ FREYJA_GUARDED_BY(mutex_) = 0;
};

// This thread's number among those that run, below kNumberedThreads; one that has none so far, or
// gets none any more, has a higher one. Hidden, so that of two copies of this library in a process
// each has its own, as it has its own list of the numbers that are taken.
[[gnu::visibility("hidden")]] inline constinit thread_local std::uint32_t epoch_thread_number =
    UINT32_MAX;

// While it exists nothing is freed that its holder can reach by a load made
// after the guard was made.
class [[nodiscard]] EpochGuard {
 public:
  explicit EpochGuard(EpochManager& manager) : slot_(&manager.Announce()) {}
  EpochGuard(EpochGuard&& other) noexcept : slot_(std::exchange(other.slot_, nullptr)) {}
  EpochGuard& operator=(EpochGuard&& other) noexcept {
    if (this != &other) {
      Leave();
      slot_ = std::exchange(other.slot_, nullptr);
    }
    return *this;
  }
  ~EpochGuard() { Leave(); }

 private:
  void Leave() {
    // Release is enough: whoever frees has read this 0, or a later value of the slot, which was
    // stored with release by one who had read this 0 or is this thread (or by a CAS, which
    // continues the release sequence). So all reads made under the guard happen before the
    // freeing. If the store becomes visible late, freeing is only delayed.
    if (slot_ == nullptr) return;
    FREYJA_SCHEDULE_POINT("epoch.leave", slot_);
    slot_->store(0, std::memory_order_release);
  }

  EpochManager::Slot* slot_;
};

inline EpochManager::Slot& EpochManager::Announce() {
  const std::uint32_t number = epoch_thread_number;
  if (number < kNumberedThreads) [[likely]] {
    for (Slot& slot : own_[number].slots) {
      // Nobody else announces here, so what is free stays free. Acquire: if another thread freed
      // it, to which the guard had gone, then its reads come before the next announcement.
      if (slot.load(std::memory_order_acquire) != 0) continue;
      // An epoch that becomes stale before it is announced only delays freeing.
      const std::uint64_t current = epoch_.load();
      FREYJA_SCHEDULE_POINT("epoch.announce");
      if (with_barrier_) [[likely]] {
        slot.store(current, std::memory_order_release);
        // Only the compiler is kept from loading earlier; see invariant 3 for the processor.
        std::atomic_signal_fence(std::memory_order_seq_cst);
      } else {
        slot.exchange(current);
      }
      FREYJA_SCHEDULE_POINT("epoch.announced", &slot);
      return slot;
    }
  }
  return AnnounceShared();
}

}  // namespace freyja::engine
