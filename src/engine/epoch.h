// Epochs: how memory and files that readers may still look at are taken back.
//
// A reader announces the epoch in which it began; whoever unlinks something
// advances the epoch and frees the thing once every earlier reader has left.
//
// Thread safety: everything here may be called from any thread at any time,
// except the destructor, which needs every guard gone. A guard belongs to one
// thread at a time. Guards nest. No thread registers, none takes a lock to read.
//
// Invariants
//  1. A slot holds 0 (free) or an epoch that was current when, or before, its
//     guard announced it.
//  2. The global epoch only grows, and never is 0.
//  3. What was unlinked before Advance() returned `stamp` can't be reached by a
//     guard that announced after a scan found no slot with an epoch <= `stamp`:
//     unlinking, Advance, the scan, the announcement and the reader's first
//     load are seq_cst operations in that order, so that load sees the unlinking.
//     A guard that loaded an epoch > `stamp` saw it as well, by reading what
//     Advance wrote.
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
  // Guards that may exist at once; one more waits (yielding) for a slot.
  static constexpr std::size_t kSlots = 512;

  EpochManager() = default;
  EpochManager(const EpochManager&) = delete;
  EpochManager& operator=(const EpochManager&) = delete;
  // Frees everything retired. No guard may exist.
  ~EpochManager();

  std::uint64_t Current() const { return epoch_.load(); }

  // Stamps what the caller has unlinked before: it may be freed, or its file
  // removed, once Drained(stamp) is true.
  std::uint64_t Advance() { return epoch_.fetch_add(1); }

  // Whether every guard that might reach what was unlinked before Advance()
  // returned `stamp` has gone. Once true it stays true. Reads all slots (about
  // 32 KiB).
  bool Drained(std::uint64_t stamp) const { return OldestActive() > stamp; }

  // Takes over something already unlinked; deletes it, here or in a later call
  // by any thread, when all guards of now are gone. Never allocates. May run
  // deleters of earlier garbage, so don't hold a lock they need.
  void Retire(std::unique_ptr<Retired> garbage);

  // Deletes what can be deleted now; returns how many things still wait.
  std::size_t Collect();

 private:
  friend class EpochGuard;
  struct alignas(64) Slot {
    std::atomic<std::uint64_t> epoch{0};
  };

  Slot& Announce();
  // The lowest epoch in any slot, but no more than the epoch at the call.
  std::uint64_t OldestActive() const;

  std::array<Slot, kSlots> slots_;
  alignas(64) std::atomic<std::uint64_t> epoch_{1};

  alignas(64) base::Mutex mutex_;
  std::unique_ptr<Retired> first_ FREYJA_GUARDED_BY(mutex_);
  Retired* last_ FREYJA_GUARDED_BY(mutex_) = nullptr;
  std::size_t waiting_ FREYJA_GUARDED_BY(mutex_) = 0;
  std::size_t since_collect_ FREYJA_GUARDED_BY(mutex_) = 0;
};

// Its address tells threads apart without registering them.
inline constinit thread_local char epoch_thread_anchor = 0;

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
    // Release is enough: whoever frees has read this 0 (or a later value of the
    // slot, whose CAS continues the release sequence), so all reads made under
    // the guard happen before the freeing. If the store becomes visible late,
    // freeing is only delayed.
    if (slot_ == nullptr) return;
    FREYJA_SCHEDULE_POINT("epoch.leave", slot_);
    slot_->epoch.store(0, std::memory_order_release);
  }

  EpochManager::Slot* slot_;
};

inline EpochManager::Slot& EpochManager::Announce() {
  // Threads' anchors lie at least a thread control block apart; the multiplication
  // spreads them over the slots.
  const auto address = reinterpret_cast<std::uintptr_t>(&epoch_thread_anchor);
  std::size_t at = static_cast<std::size_t>((address >> 6) * 0x9E3779B97F4A7C15ULL >> 55);
  static_assert(kSlots == 1U << (64 - 55));
  for (std::size_t tried = 1;; ++tried) {
    // The announcement has to be globally visible before the reader's first load
    // (else the scan could miss it): the CAS is seq_cst and comes first. An epoch
    // that became stale between load and CAS only delays freeing.
    std::uint64_t free = 0;
    Slot& slot = slots_[at];
    const std::uint64_t current = epoch_.load();
    FREYJA_SCHEDULE_POINT("epoch.announce");
    if (slot.epoch.compare_exchange_strong(free, current)) {
      FREYJA_SCHEDULE_POINT("epoch.announced", &slot);
      return slot;
    }
    at = (at + 1) % kSlots;
    if (tried % kSlots == 0) std::this_thread::yield();
  }
}

}  // namespace freyja::engine
