#include "engine/index_page.h"

namespace freyja::engine {

std::unique_ptr<IndexPage> IndexPage::Create(std::uint32_t lines, std::uint32_t depth) {
  void* const memory = IndexHeap::OfProcess().Allocate(BytesFor(lines));
  if (memory == nullptr) return nullptr;
  std::unique_ptr<IndexPage> page(new (memory) IndexPage(lines, depth));
  std::uninitialized_value_construct_n(page->slots(), page->slot_count());
  return page;
}

IndexSlot* IndexPage::FreeSlot(std::uint64_t hash) {
  const PageRef ref(this);
  std::uint32_t line = ref.HomeLine(hash);
  for (std::uint32_t left = lines_; left != 0; --left) {
    IndexSlot* const slots = ref.Line(line);
    for (std::uint32_t i = 0; i < kSlotsPerLine; ++i) {
      if (!IsLive(slots[i].location.load())) return &slots[i];
    }
    if (++line == lines_) line = 0;
  }
  return nullptr;
}

void IndexPage::Insert(IndexSlot& slot, std::uint64_t hash, Location location) {
  ++live_;
  if (slot.location.load() == kNeverUsedLocation) ++used_;
  // The hash first: a slot in use always has its key's hash.
  // Release: who reads it must not find the location of the key that was deleted here.
  slot.hash.store(hash, std::memory_order_release);
  FREYJA_SCHEDULE_POINT("index.insert");
  slot.location.store(location.raw());
}

void IndexPage::Erase(IndexSlot& slot) {
  --live_;
  slot.location.store(kDeletedLocation);
}

void IndexPage::CopyFrom(const IndexPage& from) {
  for (const IndexSlot& slot : std::span(from.slots(), from.slot_count())) {
    const std::uint64_t location = slot.location.load();
    if (IsLive(location)) InsertUnshared(slot.hash.load(), location);
  }
}

void IndexPage::SplitInto(IndexPage& low, IndexPage& high, std::uint64_t bit) const {
  IndexPage* const halves[] = {&low, &high};
  for (const IndexSlot& slot : std::span(slots(), slot_count())) {
    const std::uint64_t hash = slot.hash.load();
    const std::uint64_t location = slot.location.load();
    if (IsLive(location)) halves[(hash & bit) != 0 ? 1 : 0]->InsertUnshared(hash, location);
  }
}

bool IndexPage::InsertUnshared(std::uint64_t hash, std::uint64_t raw_location) {
  const PageRef ref(this);
  std::uint32_t line = ref.HomeLine(hash);
  for (std::uint32_t left = lines_; left != 0; --left) {
    IndexSlot* const slots = ref.Line(line);
    // Those that were used are the first ones (invariant 3). Counted without a branch: how many
    // there are no processor can foresee. Relaxed is enough, here and below: no other thread knows
    // this page before the seq_cst store that puts it into the directory, and that orders these
    // stores before it.
    std::uint32_t used = 0;
    for (std::uint32_t i = 0; i < kSlotsPerLine; ++i) {
      used += slots[i].location.load(std::memory_order_relaxed) != kNeverUsedLocation ? 1 : 0;
    }
    if (used < kSlotsPerLine) {
      ++live_;
      ++used_;
      slots[used].hash.store(hash, std::memory_order_relaxed);
      slots[used].location.store(raw_location, std::memory_order_relaxed);
      return true;
    }
    if (++line == lines_) line = 0;
  }
  return false;
}

namespace {

constexpr std::align_val_t kAlignment{alignof(IndexDirectory)};

}  // namespace

void IndexDirectory::operator delete(IndexDirectory* directory, std::destroying_delete_t) {
  const std::uint32_t depth = directory->depth();
  directory->~IndexDirectory();
  if (IsHuge(depth)) {
    base::UnmapHuge(reinterpret_cast<std::byte*>(directory), BytesFor(depth));
  } else {
    ::operator delete(directory, kAlignment);
  }
}

std::unique_ptr<IndexDirectory> IndexDirectory::Create(std::uint32_t depth) {
  void* const memory = IsHuge(depth) ? base::MapHuge(BytesFor(depth))
                                     : ::operator new(BytesFor(depth), kAlignment, std::nothrow);
  if (memory == nullptr) return nullptr;
  std::unique_ptr<IndexDirectory> directory(new (memory) IndexDirectory(depth));
  std::uninitialized_value_construct_n(directory->entries(), directory->size());
  return directory;
}

void IndexDirectory::StoreRange(std::uint64_t first_hash, std::uint32_t depth, PageRef page) {
  const std::size_t first = first_hash >> shift_;
  const std::size_t count = size() >> depth;
  for (std::size_t at = first; at < first + count; ++at) Store(at, page);
}

}  // namespace freyja::engine
