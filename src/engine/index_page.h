// The parts of the index: slots, pages of slots, and the directory of pages.
//
// Thread safety: slots and directory entries are atomic words that readers load
// without a lock while they are in an epoch. Everything else of a page is read
// and written under its stripe lock (Index::WithPage), or by the only thread
// that knows the page yet.
//
// Invariants of a page
//  1. A slot is never used (location 0), in use (a real location) or deleted
//     (kDeletedLocation). It never becomes never-used again.
//  2. While a slot is in use its hash doesn't change, and its key stays: another
//     key may take the slot only after it was deleted.
//  3. The never-used slots of a line are its last ones.
//  4. A key lies on its probe path (its home line and those after it, cyclically)
//     no later than the first line that has a never-used slot.
//  5. The page's size is fixed. Growing means a new page.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <memory>
#include <new>
#include <span>

#include "base/bytes.h"
#include "base/huge_pages.h"
#include "base/sanitizer.h"
#include "engine/epoch.h"
#include "engine/index_heap.h"
#include "engine/location.h"

namespace freyja::engine {

struct IndexSlot {
  std::atomic<std::uint64_t> hash{0};
  std::atomic<std::uint64_t> location{0};
};

inline constexpr std::uint64_t kNeverUsedLocation = 0;
inline constexpr std::uint64_t kDeletedLocation = 1;
inline constexpr std::uint32_t kSlotsPerLine = 4;
// The directory packs a page's line count into 16 bits.
inline constexpr std::uint32_t kMaxPageLines = 0xFFFF;
static_assert(sizeof(IndexSlot) * kSlotsPerLine == 64);

constexpr bool IsLive(std::uint64_t raw_location) { return raw_location > kDeletedLocation; }

// A header line; the lines of slots follow it in the same allocation.
class alignas(64) IndexPage final : public Retired {
 public:
  // Null if memory is short. `lines` in [1, kMaxPageLines]. `depth`: how many of
  // the hash's top bits all keys of the page share.
  static std::unique_ptr<IndexPage> Create(std::uint32_t lines, std::uint32_t depth);
  static std::size_t BytesFor(std::uint32_t lines) { return sizeof(IndexPage) + lines * 64ULL; }
  // Back to the heap, which wants to know how long it is.
  static void operator delete(IndexPage* page, std::destroying_delete_t) {
    const std::size_t bytes = page->bytes();
    page->~IndexPage();
    IndexHeap::OfProcess().Free(page, bytes);
  }

  std::uint32_t lines() const { return lines_; }
  std::uint32_t depth() const { return depth_; }
  std::uint32_t slot_count() const { return lines_ * kSlotsPerLine; }
  std::size_t bytes() const { return BytesFor(lines_); }
  IndexSlot* slots() { return reinterpret_cast<IndexSlot*>(this + 1); }
  const IndexSlot* slots() const { return reinterpret_cast<const IndexSlot*>(this + 1); }

  // Slots in use, and slots in use or deleted.
  std::uint32_t live() const { return live_; }
  std::uint32_t used() const { return used_; }

  // Where a new key with this hash belongs: the first slot of its probe path that
  // isn't in use; null if there is none.
  IndexSlot* FreeSlot(std::uint64_t hash);
  // Whether taking `slot`, which comes from FreeSlot, would fill the page beyond
  // 7/8, where probes get long.
  bool IsFullFor(const IndexSlot& slot) const {
    return slot.location.load() == kNeverUsedLocation && used_ + 1 > slot_count() * 7 / 8;
  }
  // `slot` comes from FreeSlot; the key must not be in the page.
  void Insert(IndexSlot& slot, std::uint64_t hash, Location location);
  // The same in a page that no other thread knows yet, without a look at deleted slots. False if
  // all slots have been used.
  bool InsertUnshared(std::uint64_t hash, std::uint64_t raw_location);
  void Erase(IndexSlot& slot);
  // Inserts the live slots of `from` into this page, which no other thread knows yet. There must be
  // room.
  void CopyFrom(const IndexPage& from);
  // The same into two such pages: into `high` those whose hash has `bit`.
  void SplitInto(IndexPage& low, IndexPage& high, std::uint64_t bit) const;

  // The slots as bytes, hash before location, for an index image (index_image.h). Save writes
  // map(location) where a slot is in use; `out` has kSlotBytes for each slot.
  template <class Map>
  void Save(std::span<std::byte> out, Map&& map) const;
  // Fills a new page with what Save made of one with as many lines. False, and the page is of no
  // use, if check(hash, location) is false for a slot in use.
  template <class Check>
  bool Restore(std::span<const std::byte> saved, Check&& check);
  static constexpr std::size_t kSlotBytes = sizeof(IndexSlot);

 private:
  IndexPage(std::uint32_t lines, std::uint32_t depth) : lines_(lines), depth_(depth) {}
  static void* operator new(std::size_t, void* memory) { return memory; }

  const std::uint32_t lines_;
  const std::uint32_t depth_;
  std::uint32_t live_ = 0;
  std::uint32_t used_ = 0;
};
static_assert(sizeof(IndexPage) == 64);

template <class Map>
void IndexPage::Save(std::span<std::byte> out, Map&& map) const {
  std::byte* to = out.data();
  for (const IndexSlot& slot : std::span(slots(), slot_count())) {
    const std::uint64_t location = slot.location.load();
    base::Store(to, slot.hash.load());
    base::Store(to + sizeof(std::uint64_t),
                IsLive(location) ? map(Location(location)).raw() : location);
    to += kSlotBytes;
  }
}

template <class Check>
bool IndexPage::Restore(std::span<const std::byte> saved, Check&& check) {
  const std::byte* from = saved.data();
  for (IndexSlot& slot : std::span(slots(), slot_count())) {
    const auto hash = base::Load<std::uint64_t>(from);
    const auto location = base::Load<std::uint64_t>(from + sizeof(std::uint64_t));
    from += kSlotBytes;
    if (location == kNeverUsedLocation) continue;
    ++used_;
    // Relaxed is enough: no other thread knows this page before the seq_cst store
    // that puts it into the directory, and that orders these stores before it.
    slot.location.store(location, std::memory_order_relaxed);
    if (!IsLive(location)) continue;
    if (!check(hash, Location(location))) return false;
    ++live_;
    slot.hash.store(hash, std::memory_order_relaxed);
  }
  return true;
}

// A page's address and line count in one word, so that a reader goes from the
// directory to the key's line without touching the page's header. Relies on
// user addresses that fit 48 bits.
class PageRef {
 public:
  explicit PageRef(std::uint64_t raw) : raw_(raw) {}
  explicit PageRef(IndexPage* page)
      : raw_(reinterpret_cast<std::uint64_t>(page) |
             (static_cast<std::uint64_t>(page->lines()) << 48)) {}

  // NOLINTNEXTLINE(performance-no-int-to-ptr): the pointer is what the word is made of
  IndexPage* page() const { return reinterpret_cast<IndexPage*>(raw_ & 0xFFFFFFFFFFFF); }
  std::uint32_t lines() const { return static_cast<std::uint32_t>(raw_ >> 48); }
  std::uint64_t raw() const { return raw_; }

  // The home line comes from the low 32 bits; the directory uses the top ones.
  std::uint32_t HomeLine(std::uint64_t hash) const {
    return static_cast<std::uint32_t>(((hash & 0xFFFFFFFF) * lines()) >> 32);
  }
  IndexSlot* Line(std::uint32_t line) const {
    return page()->slots() + static_cast<std::size_t>(line) * kSlotsPerLine;
  }

  // Calls visit(slot, raw location) for each slot of the probe path that holds
  // `hash` and is in use, until it returns true. Returns whether it did.
  //
  // Hash and location are two words, so a concurrent writer can pair an old hash
  // with a new location here; Index::Find argues why that does no harm.
  template <class Visit>
  bool Probe(std::uint64_t hash, Visit&& visit) const {
    std::uint32_t line = HomeLine(hash);
    for (std::uint32_t left = lines(); left != 0; --left) {
      IndexSlot* const slots = Line(line);
      FREYJA_SCHEDULE_POINT("index.probe");
      for (std::uint32_t i = 0; i < kSlotsPerLine; ++i) {
        if (slots[i].hash.load() != hash) continue;
        FREYJA_SCHEDULE_POINT("index.slot");
        const std::uint64_t location = slots[i].location.load();
        if (IsLive(location) && visit(slots[i], location)) return true;
      }
      // The last slot answers for the line (invariant 3).
      if (slots[kSlotsPerLine - 1].location.load() == kNeverUsedLocation) return false;
      if (++line == lines()) line = 0;
    }
    return false;
  }

  friend bool operator==(PageRef, PageRef) = default;

 private:
  std::uint64_t raw_;
};

// The keys of one page from a hash upwards, as (hash, location), in no order.
// Valid inside the VisitPage callback only.
class PageEntries {
 public:
  struct Entry {
    std::uint64_t hash;
    Location location;
  };

  class Iterator {
   public:
    using iterator_concept = std::input_iterator_tag;
    using difference_type = std::ptrdiff_t;
    using value_type = Entry;

    Iterator(IndexSlot* at, IndexSlot* end, std::uint64_t first_hash)
        : at_(at), end_(end), first_hash_(first_hash) {
      SkipOthers();
    }
    Entry operator*() const { return {at_->hash.load(), Location(at_->location.load())}; }
    Iterator& operator++() {
      ++at_;
      SkipOthers();
      return *this;
    }
    void operator++(int) { ++*this; }
    friend bool operator==(const Iterator& a, const Iterator& b) { return a.at_ == b.at_; }

   private:
    void SkipOthers() {
      while (at_ != end_ && !(IsLive(at_->location.load()) && at_->hash.load() >= first_hash_)) {
        ++at_;
      }
    }

    IndexSlot* at_;
    IndexSlot* end_;
    std::uint64_t first_hash_;
  };

  PageEntries(IndexPage& page, std::uint64_t first_hash) : page_(page), first_hash_(first_hash) {}

  Iterator begin() const { return {page_.slots(), End(), first_hash_}; }
  Iterator end() const { return {End(), End(), first_hash_}; }
  // At least as many as there are entries; for reserving.
  std::size_t size_limit() const { return page_.live(); }

 private:
  IndexSlot* End() const { return page_.slots() + page_.slot_count(); }

  IndexPage& page_;
  std::uint64_t first_hash_;
};

// 2^depth page references, indexed by the top bits of the hash; a page of depth
// d fills 2^(depth - d) neighbouring entries. The entries follow the header. A large directory lies
// on huge pages, as the pages do: a get loads one random entry of it.
class alignas(64) IndexDirectory final : public Retired {
 public:
  // Null if memory is short. All entries are 0. `depth` in [1, 40].
  static std::unique_ptr<IndexDirectory> Create(std::uint32_t depth);
  static std::size_t BytesFor(std::uint32_t depth) {
    const std::size_t bytes = sizeof(IndexDirectory) + (sizeof(std::uint64_t) << depth);
    return IsHuge(depth) ? base::RoundUp(bytes, base::kHugePageBytes) : bytes;
  }
  static void operator delete(IndexDirectory* directory, std::destroying_delete_t);

  std::uint32_t depth() const { return 64 - shift_; }
  std::size_t size() const { return std::size_t{1} << depth(); }
  std::size_t bytes() const { return BytesFor(depth()); }

  PageRef Lookup(std::uint64_t hash) { return Load(hash >> shift_); }
  PageRef Load(std::size_t at) { return PageRef(entries()[at].load()); }
  void Store(std::size_t at, PageRef page) { entries()[at].store(page.raw()); }
  // Points all entries of the range of hashes that starts at `first_hash` and
  // shares `depth` top bits to `page`.
  void StoreRange(std::uint64_t first_hash, std::uint32_t depth, PageRef page);

 private:
  // From half a mebibyte on, which is some 15 million keys: what it leaves unused, less than 2 MiB,
  // is at most a tenth of a byte for each.
  static constexpr std::uint32_t kHugeFromDepth = 16;
  static bool IsHuge(std::uint32_t depth) {
    return !base::kWithSanitizer && depth >= kHugeFromDepth;
  }

  explicit IndexDirectory(std::uint32_t depth) : shift_(64 - depth) {}
  static void* operator new(std::size_t, void* memory) { return memory; }

  std::atomic<std::uint64_t>* entries() {
    return reinterpret_cast<std::atomic<std::uint64_t>*>(this + 1);
  }

  const std::uint32_t shift_;
};

// The first hash of the range of hashes that share `depth` top bits with `hash`,
// and the last.
constexpr std::uint64_t RangeFirst(std::uint64_t hash, std::uint32_t depth) {
  return depth == 0 ? 0 : hash >> (64 - depth) << (64 - depth);
}
constexpr std::uint64_t RangeLast(std::uint64_t hash, std::uint32_t depth) {
  return hash | (~std::uint64_t{0} >> depth);
}
// The number of that range among the 2^depth ones.
constexpr std::size_t RangeNumber(std::uint64_t hash, std::uint32_t depth) {
  return depth == 0 ? 0 : hash >> (64 - depth);
}

}  // namespace freyja::engine
