// The index: from a key's 64-bit hash to the location of its newest record.
//
// Extendible hashing: one directory, indexed by the top bits of the hash, of
// pages that are replaced by larger ones until they reach a limit and then split
// in two. Keys stay on disk: whoever looks one up says, by a `confirm` callback,
// whether the record at a location has the key. Hashes must be uniform, i.e.
// seeded with a secret of the store; equal ones are allowed.
//
// Thread safety: every call may be made from any thread at any time. Find and
// Prefetch take no lock and write nothing; their caller holds an EpochGuard of
// the index's EpochManager, from before the call until it is done with the
// location. The other calls take their own guard, and the lock of the key's
// page. Their callbacks run under that lock, so they must be short, must not
// throw, and must not call the index except Find and Prefetch. Upsert may run
// EpochManager::Collect, without a lock of its own. Lock order: page lock
// (one at a time), then the directory's mutex.
//
// Invariants (those of a page are in index_page.h)
//  1. A page is changed, and leaves the directory, under its page lock only. So
//     one who holds the lock and sees the directory map a hash to the page knows
//     that it is current, and stays so: it hasn't been frozen by a split.
//  2. A page that left the directory never changes again. It holds what was
//     current at the instant it left, and is freed by epoch.
//  3. A directory that was replaced never changes again; it may lag behind, so
//     the check of invariant 1 loads the root anew.
//  4. A key is in at most one slot of one current page; overwriting it never moves
//     it within the page.
#pragma once

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>
#include <span>
#include <utility>
#include <vector>

#include "base/mutex.h"
#include "engine/epoch.h"
#include "engine/index_page.h"
#include "engine/latency.h"
#include "engine/location.h"
#include "freyja/status.h"

namespace freyja::engine {

// How long page locks were held.
struct LockHolds {
  LatencyCounts counts;
  std::uint64_t longest_ns = 0;

  void Record(std::uint64_t ns) {
    counts.Record(ns);
    longest_ns = std::max(longest_ns, ns);
  }
  void Add(const LockHolds& other) {
    counts.Add(other.counts);
    longest_ns = std::max(longest_ns, other.longest_ns);
  }
};

// Lines are 64 bytes: four keys.
struct IndexOptions {
  // Size of an empty page, in [1, max_page_lines].
  std::uint32_t initial_page_lines = 16;
  // A page that needs more lines than this, or in other parts of the hash space than
  // down to half of this, splits; in [initial_page_lines, 65535]. Only pages whose keys
  // can't be told apart by their top bits grow beyond it.
  std::uint32_t max_page_lines = 256;
  // Growth beyond this many bytes fails like a failed allocation; 0: no limit.
  std::uint64_t max_memory_bytes = 0;
};

class Index {
 public:
  using Options = IndexOptions;

  struct Move {
    std::uint64_t hash;
    Location old_location;
    Location new_location;
  };

  // Errors: kInvalidArgument (an option out of range), kOutOfMemory. `epochs`
  // must outlive the index; what the index retires is freed by it.
  static Result<std::unique_ptr<Index>> Create(EpochManager& epochs, const Options& options = {});
  ~Index();
  Index(const Index&) = delete;
  Index& operator=(const Index&) = delete;

  // The location for which confirm(Location) -> bool returned true, or none if
  // no record of that hash was confirmed. Calls `confirm` without a lock; it may
  // be shown a location that was replaced or deleted since the call began, which
  // stays readable until the caller's guard is gone.
  //
  // The answer was current at some instant within the call:
  //  - A key that is present throughout stays in its slot, its hash unchanged, so
  //    the probe meets it. (Its page may be replaced; the frozen page holds what
  //    was current when it left the directory, after this call loaded it.)
  //  - Hash and location are read apart, so between the two the slot may go to
  //    another key. The location read is then that of another key's record, and
  //    `confirm` says no; the key looked for was absent in between. If it says
  //    yes, the location was the key's at the instant it was read, whatever the
  //    hash word held before.
  //  - A never-used last slot ends the probe. Lines never get never-used slots
  //    back, so at that instant no later line held the key; had it been in an
  //    earlier slot throughout, it would have been met.
  //  - A key found nowhere was thus in no slot throughout; as a key that is
  //    present never changes slots, it was absent at some instant.
  template <class Confirm>
  Location Find(std::uint64_t hash, Confirm&& confirm) const {
    Location found;
    Lookup(hash).Probe(hash, [&](IndexSlot&, std::uint64_t raw) {
      found = Location(raw);
      if (confirm(found)) return true;
      found = Location();
      return false;
    });
    return found;
  }

  // Starts fetching the key's home line. Caller holds an EpochGuard.
  void Prefetch(std::uint64_t hash) const {
    const PageRef page = Lookup(hash);
    __builtin_prefetch(page.Line(page.HomeLine(hash)));
  }

  // The same for one who is going to change it, and the page's header with it.
  void PrefetchToChange(std::uint64_t hash) const {
    const PageRef page = Lookup(hash);
    __builtin_prefetch(page.page(), 1);
    __builtin_prefetch(page.Line(page.HomeLine(hash)), 1);
  }

  // Maps the key to `new_location` and returns its old location, none if it is
  // new. `on_change(old)` is called exactly once, under the page lock, just
  // before readers can see the change, and not at all on an error.
  // Errors: kOutOfMemory (a new key, and its page can't grow); nothing changed.
  template <class Confirm, class OnChange>
  Result<Location> Upsert(std::uint64_t hash, Confirm&& confirm, Location new_location,
                          OnChange&& on_change);

  // Removes the key; returns its old location, none if it was absent.
  // `on_change(old)` as for Upsert, only if the key was present. Never allocates.
  template <class Confirm, class OnChange>
  Location Erase(std::uint64_t hash, Confirm&& confirm, OnChange&& on_change);

  // Compare-and-swap: if a slot with this hash holds exactly `old`, calls
  // on_change() and then stores `new_location`. False, and no call, if none does:
  // the key was overwritten or deleted. Never allocates.
  template <class OnChange>
  bool ReplaceExact(std::uint64_t hash, Location old, Location new_location, OnChange&& on_change) {
    return SwapExact(hash, old, new_location, on_change, [] {}, nullptr);
  }

  // Like ReplaceExact, but removes the key. Never allocates.
  template <class OnChange>
  bool EraseExact(std::uint64_t hash, Location old, OnChange&& on_change,
                  LockHolds* holds = nullptr) {
    return SwapExact(hash, old, Location(), on_change, [] {}, holds);
  }

  // ReplaceExact for each move, in order, one page lock at a time; exactly one of
  // on_moved(move), just before the change, and on_lost(move) is called for each,
  // under the page lock. Never allocates. Counts in *holds, if given, how long each
  // lock was held.
  template <class OnMoved, class OnLost>
  void ReplaceMany(std::span<const Move> moves, OnMoved&& on_moved, OnLost&& on_lost,
                   LockHolds* holds = nullptr);

  // Calls on_page(const PageEntries&, last_hash) once, under the page lock, with
  // all keys whose hash is in [first_hash, last_hash], and returns last_hash,
  // which is at least first_hash. Starting at 0 and going on at last_hash + 1
  // until 2^64 - 1 is returned visits each hash exactly once, whatever splits
  // meanwhile. Never allocates.
  template <class OnPage>
  std::uint64_t VisitPage(std::uint64_t first_hash, OnPage&& on_page) const {
    return VisitWholePage(first_hash, [&](IndexPage& page, std::uint64_t last_hash) {
      const PageEntries entries(page, first_hash);
      on_page(entries, last_hash);
    });
  }

  // Like VisitPage, with on_page(IndexPage&, last_hash): the page itself.
  template <class OnPage>
  std::uint64_t VisitWholePage(std::uint64_t first_hash, OnPage&& on_page) const {
    return WithPage(first_hash, [&](PageRef ref) {
      const std::uint64_t last_hash = RangeLast(first_hash, ref.page()->depth());
      on_page(*ref.page(), last_hash);
      return last_hash;
    });
  }

  // Replaces the pages of an index that no other thread knows yet. `pages` in the order of their
  // hashes, together all there are, none deeper than MaxDepth(their number). Errors:
  // kOutOfMemory; nothing changed.
  Status Adopt(std::vector<std::unique_ptr<IndexPage>> pages);
  // The greatest depth that a directory of so many pages may have: keys with long common
  // prefixes must not blow it up.
  static std::uint32_t MaxDepth(std::uint64_t pages);

  // How many lines a page should have in which so many keys are put at once; more than
  // MaxLines: it should be two pages.
  std::uint32_t LinesToLoad(std::uint64_t keys) const;
  // From how many lines on a page splits whose hashes begin at `first_hash`.
  std::uint32_t MaxLines(std::uint64_t first_hash) const;
  const Options& options() const { return options_; }

  // Number of keys.
  std::uint64_t size() const { return size_.load(); }
  // Pages, directory and this object; not what waits in the EpochManager.
  std::uint64_t memory_bytes() const { return memory_bytes_.load(); }

 private:
  static constexpr std::size_t kStripes = 1024;

  struct alignas(64) Stripe {
    base::Mutex mutex;
  };
  // What a change unlinked: retired when the page lock is no longer held.
  class Garbage {
   public:
    explicit Garbage(EpochManager& epochs) : epochs_(epochs) {}
    ~Garbage() {
      if (page) epochs_.Retire(std::move(page));
      if (directory) epochs_.Retire(std::move(directory));
    }
    Garbage(const Garbage&) = delete;
    Garbage& operator=(const Garbage&) = delete;

    std::unique_ptr<IndexPage> page;
    std::unique_ptr<IndexDirectory> directory;

   private:
    EpochManager& epochs_;
  };

  Index(EpochManager& epochs, const Options& options) : epochs_(epochs), options_(options) {}

  PageRef Lookup(std::uint64_t hash) const {
    IndexDirectory* const directory = root_.load();
    FREYJA_SCHEDULE_POINT("index.look_up");
    return directory->Lookup(hash);
  }

  Stripe& StripeOf(PageRef page) const {
    const auto address = reinterpret_cast<std::uintptr_t>(page.page());
    return stripes_[(address >> 6) * 0x9E3779B97F4A7C15ULL >> 54];
  }

  // Returns act(page), called with the lock of the page that `hash` belongs to.
  template <class Act>
  auto WithPage(std::uint64_t hash, Act&& act) const {
    const EpochGuard guard(epochs_);
    for (;;) {
      const PageRef page = Lookup(hash);
      FREYJA_SCHEDULE_POINT("index.page_lock");
      base::MutexLock lock(StripeOf(page).mutex);
      // While this thread waited, a split may have frozen the page; what is written
      // to a frozen page is lost (invariant 1).
      if (Lookup(hash) == page) return act(page);
    }
  }

  template <class OnHit, class OnMiss>
  bool SwapExact(std::uint64_t hash, Location old, Location new_location, OnHit&& on_hit,
                 OnMiss&& on_miss, LockHolds* holds);
  // Stores `location`, or deletes the slot if it is none. Under the page lock.
  void Change(IndexPage& page, IndexSlot& slot, Location location);

  // The following four are called under the lock of `page`, to which `hash`
  // belongs. After one returned true the page is no longer current and the caller
  // starts again; after false (memory is short) nothing has changed.
  bool MakeRoom(std::uint64_t hash, IndexPage& page, Garbage& garbage);
  bool Rebuild(std::uint64_t hash, IndexPage& page, std::uint32_t lines, Garbage& garbage);
  bool Split(std::uint64_t hash, IndexPage& page, Garbage& garbage);
  bool CanSeparate(IndexPage& page) const;

  std::uint32_t LinesFor(std::uint64_t keys) const;
  bool Charge(std::uint64_t bytes);
  // The greatest depth the directory may have for now.
  std::uint32_t DepthLimit() const;
  // Replaces the directory by one twice as large.
  bool Double(Garbage& garbage) FREYJA_REQUIRES(directory_mutex_);

  // Constant after construction.
  EpochManager& epochs_;
  const Options options_;

  // Read by every reader, written when the directory doubles.
  std::atomic<IndexDirectory*> root_{nullptr};

  // Changed by writers; on other cache lines than what readers load.
  alignas(64) std::atomic<std::uint64_t> size_{0};
  std::atomic<std::uint64_t> memory_bytes_{0};

  // Serialises all stores to directory entries and to the root.
  alignas(64) mutable base::Mutex directory_mutex_;
  std::uint64_t pages_ FREYJA_GUARDED_BY(directory_mutex_) = 0;

  mutable std::array<Stripe, kStripes> stripes_;
};

template <class Confirm, class OnChange>
Result<Location> Index::Upsert(std::uint64_t hash, Confirm&& confirm, Location new_location,
                               OnChange&& on_change) {
  for (;;) {
    Garbage garbage(epochs_);
    Result<Location> result;
    const bool done = WithPage(hash, [&](PageRef ref) {
      const bool present = ref.Probe(hash, [&](IndexSlot& slot, std::uint64_t raw) {
        if (!confirm(Location(raw))) return false;
        result = Location(raw);
        on_change(*result);
        FREYJA_SCHEDULE_POINT("index.publish");
        slot.location.store(new_location.raw());
        return true;
      });
      if (present) return true;
      IndexPage& page = *ref.page();
      IndexSlot* const slot = page.FreeSlot(hash);
      if (slot == nullptr || page.IsFullFor(*slot)) {
        if (MakeRoom(hash, page, garbage)) return false;
        // Short of memory, a page may be filled beyond its limit, to the last slot.
        if (slot == nullptr) {
          result = std::unexpected(Status(StatusCode::kOutOfMemory, "index growth"));
          return true;
        }
      }
      on_change(Location());
      page.Insert(*slot, hash, new_location);
      size_.fetch_add(1);
      return true;
    });
    if (done) return result;
  }
}

template <class Confirm, class OnChange>
Location Index::Erase(std::uint64_t hash, Confirm&& confirm, OnChange&& on_change) {
  return WithPage(hash, [&](PageRef ref) {
    Location old;
    ref.Probe(hash, [&](IndexSlot& slot, std::uint64_t raw) {
      if (!confirm(Location(raw))) return false;
      old = Location(raw);
      on_change(old);
      Change(*ref.page(), slot, Location());
      return true;
    });
    return old;
  });
}

template <class OnHit, class OnMiss>
bool Index::SwapExact(std::uint64_t hash, Location old, Location new_location, OnHit&& on_hit,
                      OnMiss&& on_miss, LockHolds* holds) {
  using Clock = std::chrono::steady_clock;
  return WithPage(hash, [&](PageRef ref) {
    const auto start = holds == nullptr ? Clock::time_point() : Clock::now();
    const bool hit = ref.Probe(hash, [&](IndexSlot& slot, std::uint64_t raw) {
      if (raw != old.raw()) return false;
      on_hit();
      Change(*ref.page(), slot, new_location);
      return true;
    });
    if (!hit) on_miss();
    if (holds != nullptr) {
      holds->Record(static_cast<std::uint64_t>(
          std::chrono::duration_cast<std::chrono::nanoseconds>(Clock::now() - start).count()));
    }
    return hit;
  });
}

template <class OnMoved, class OnLost>
void Index::ReplaceMany(std::span<const Move> moves, OnMoved&& on_moved, OnLost&& on_lost,
                        LockHolds* holds) {
  // Enough for the misses of a batch to overlap.
  constexpr std::size_t kBatch = 16;
  while (!moves.empty()) {
    const auto batch = moves.first(std::min(kBatch, moves.size()));
    {
      const EpochGuard guard(epochs_);
      for (const Move& move : batch) Prefetch(move.hash);
    }
    for (const Move& move : batch) {
      SwapExact(
          move.hash, move.old_location, move.new_location, [&] { on_moved(move); },
          [&] { on_lost(move); }, holds);
    }
    moves = moves.subspan(batch.size());
  }
}

}  // namespace freyja::engine
