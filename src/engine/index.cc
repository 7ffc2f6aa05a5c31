#include "engine/index.h"

#include <bit>
#include <cmath>
#include <new>
#include <string>

namespace freyja::engine {
namespace {

// A directory up to this depth (8 KiB) is always allowed.
constexpr std::uint32_t kFreeDepth = 10;

// Returns how many bytes they had.
std::uint64_t FreePages(IndexDirectory& directory) {
  std::uint64_t bytes = 0;
  for (std::size_t at = 0; at < directory.size();) {
    const std::unique_ptr<IndexPage> page(directory.Load(at).page());
    bytes += page->bytes();
    at += directory.size() >> page->depth();
  }
  return bytes;
}

}  // namespace

Result<std::unique_ptr<Index>> Index::Create(EpochManager& epochs, const Options& options) {
  if (options.initial_page_lines == 0 || options.initial_page_lines > options.max_page_lines ||
      options.max_page_lines > kMaxPageLines) {
    return std::unexpected(Status(StatusCode::kInvalidArgument,
                                  "index page lines: 1 <= initial <= max <= 65535 must hold"));
  }
  const auto out_of_memory = [] {
    return std::unexpected(Status(StatusCode::kOutOfMemory, "index creation"));
  };
  std::unique_ptr<Index> index(new (std::nothrow) Index(epochs, options));
  if (index == nullptr) return out_of_memory();
  auto directory = IndexDirectory::Create(1);
  auto page = IndexPage::Create(options.initial_page_lines, 0);
  if (directory == nullptr || page == nullptr ||
      !index->Charge(sizeof(Index) + directory->bytes() + page->bytes())) {
    return out_of_memory();
  }
  directory->StoreRange(0, 0, PageRef(page.release()));
  index->root_.store(directory.release());
  base::MutexLock lock(index->directory_mutex_);
  index->pages_ = 1;
  return index;
}

Index::~Index() {
  const std::unique_ptr<IndexDirectory> directory(root_.load());
  if (directory != nullptr) FreePages(*directory);
}

void Index::Change(IndexPage& page, IndexSlot& slot, Location location) {
  FREYJA_SCHEDULE_POINT("index.change");
  if (location) {
    slot.location.store(location.raw());
    return;
  }
  page.Erase(slot);
  size_.fetch_sub(1);
}

// A new page is 70 % full. With growth at 7/8 that is a step of 1.25, so memory
// per key stays within a quarter of its minimum at any size of the index.
std::uint32_t Index::LinesFor(std::uint64_t keys) const {
  const std::uint64_t lines = (keys * 10 + 27) / (7 * kSlotsPerLine);
  return static_cast<std::uint32_t>(std::clamp<std::uint64_t>(lines, options_.initial_page_lines,
                                                              std::uint64_t{kMaxPageLines} + 1));
}

bool Index::Charge(std::uint64_t bytes) {
  const std::uint64_t before = memory_bytes_.fetch_add(bytes);
  if (options_.max_memory_bytes == 0 || before + bytes <= options_.max_memory_bytes) return true;
  memory_bytes_.fetch_sub(bytes);
  return false;
}

std::uint32_t Index::MaxDepth(std::uint64_t pages) {
  // At most sixteen entries per page, where a uniform hash needs two to eight.
  return std::max(kFreeDepth, static_cast<std::uint32_t>(std::bit_width(pages) + 3));
}

std::uint32_t Index::DepthLimit() const {
  base::MutexLock lock(directory_mutex_);
  return std::max(MaxDepth(pages_), root_.load()->depth());
}

bool Index::CanSeparate(IndexPage& page) const {
  if (page.live() < 2) return false;
  const std::uint32_t deepest = DepthLimit();
  const PageEntries entries(page, 0);
  const std::uint64_t first = (*entries.begin()).hash;
  for (const auto [hash, location] : entries) {  // nearly always the second one does it
    if (static_cast<std::uint32_t>(std::countl_zero(first ^ hash)) < deepest) return true;
  }
  return false;
}

// Were it the same for all, hashes being uniform, all pages would grow and split at about the same
// number of keys: memory that they leave would have the wrong size for those that come, and a put
// in that time would be the slower. So the limit falls from the first to the last 256th of the hash
// space, evenly in its logarithm, by half: whatever the number of keys, pages are in all stages.
std::uint32_t Index::MaxLines(std::uint64_t first_hash) const {
  const double part = static_cast<double>(first_hash >> 56) / 256;
  const double lines = options_.max_page_lines * std::exp2(-part);
  return std::max(static_cast<std::uint32_t>(lines), options_.initial_page_lines);
}

bool Index::MakeRoom(std::uint64_t hash, IndexPage& page, Garbage& garbage) {
  std::uint32_t lines = LinesFor(page.live() + 1);
  if (lines > MaxLines(RangeFirst(hash, page.depth())) && CanSeparate(page)) {
    return Split(hash, page, garbage);
  }
  if (lines > kMaxPageLines) {
    if (page.lines() == kMaxPageLines && page.live() == page.used()) return false;
    lines = kMaxPageLines;
  }
  return Rebuild(hash, page, lines, garbage);
}

bool Index::Rebuild(std::uint64_t hash, IndexPage& page, std::uint32_t lines, Garbage& garbage) {
  const std::size_t bytes = IndexPage::BytesFor(lines);
  if (!Charge(bytes)) return false;
  auto larger = IndexPage::Create(lines, page.depth());
  if (larger == nullptr) {
    memory_bytes_.fetch_sub(bytes);
    return false;
  }
  larger->CopyFrom(page);
  FREYJA_SCHEDULE_POINT("index.rebuild");
  {
    base::MutexLock lock(directory_mutex_);
    root_.load()->StoreRange(RangeFirst(hash, page.depth()), page.depth(),
                             PageRef(larger.release()));
  }
  memory_bytes_.fetch_sub(page.bytes());
  garbage.page.reset(&page);
  return true;
}

bool Index::Split(std::uint64_t hash, IndexPage& page, Garbage& garbage) {
  const std::uint32_t depth = page.depth() + 1;
  const std::uint64_t bit = std::uint64_t{1} << (64 - depth);
  std::uint32_t high_keys = 0;
  for (const auto entry : PageEntries(page, 0)) high_keys += (entry.hash & bit) != 0 ? 1 : 0;
  const std::uint32_t low_lines = std::min(LinesFor(page.live() - high_keys), kMaxPageLines);
  const std::uint32_t high_lines = std::min(LinesFor(high_keys), kMaxPageLines);

  const std::size_t bytes = IndexPage::BytesFor(low_lines) + IndexPage::BytesFor(high_lines);
  if (!Charge(bytes)) return false;
  auto low = IndexPage::Create(low_lines, depth);
  auto high = IndexPage::Create(high_lines, depth);
  if (low == nullptr || high == nullptr) {
    memory_bytes_.fetch_sub(bytes);
    return false;
  }
  page.SplitInto(*low, *high, bit);
  FREYJA_SCHEDULE_POINT("index.split");
  {
    base::MutexLock lock(directory_mutex_);
    if (root_.load()->depth() < depth && !Double(garbage)) {
      memory_bytes_.fetch_sub(bytes);
      return false;
    }
    IndexDirectory& directory = *root_.load();
    const std::uint64_t first_hash = RangeFirst(hash, page.depth());
    directory.StoreRange(first_hash, depth, PageRef(low.release()));
    FREYJA_SCHEDULE_POINT("index.split_half");
    directory.StoreRange(first_hash | bit, depth, PageRef(high.release()));
    ++pages_;
  }
  memory_bytes_.fetch_sub(page.bytes());
  garbage.page.reset(&page);
  return true;
}

bool Index::Double(Garbage& garbage) {
  IndexDirectory& old = *root_.load();
  const std::size_t bytes = IndexDirectory::BytesFor(old.depth() + 1);
  if (!Charge(bytes)) return false;
  auto larger = IndexDirectory::Create(old.depth() + 1);
  if (larger == nullptr) {
    memory_bytes_.fetch_sub(bytes);
    return false;
  }
  for (std::size_t at = 0; at < old.size(); ++at) {
    larger->Store(2 * at, old.Load(at));
    larger->Store(2 * at + 1, old.Load(at));
  }
  memory_bytes_.fetch_sub(old.bytes());
  FREYJA_SCHEDULE_POINT("index.double");
  root_.store(larger.release());
  garbage.directory.reset(&old);
  return true;
}

Status Index::Adopt(std::vector<std::unique_ptr<IndexPage>> pages) {
  std::uint32_t depth = 1;
  std::uint64_t keys = 0;
  std::uint64_t bytes = 0;
  for (const auto& page : pages) {
    depth = std::max(depth, page->depth());
    keys += page->live();
    bytes += page->bytes();
  }
  bytes += IndexDirectory::BytesFor(depth);
  const bool charged = Charge(bytes);
  auto directory = charged ? IndexDirectory::Create(depth) : nullptr;
  if (directory == nullptr) {
    if (charged) memory_bytes_.fetch_sub(bytes);
    return Status(StatusCode::kOutOfMemory, "index of " + std::to_string(keys) + " keys");
  }
  base::MutexLock lock(directory_mutex_);
  pages_ = pages.size();
  std::uint64_t first_hash = 0;
  for (auto& page : pages) {
    const std::uint32_t page_depth = page->depth();
    directory->StoreRange(first_hash, page_depth, PageRef(page.release()));
    first_hash = RangeLast(first_hash, page_depth) + 1;
  }
  const std::unique_ptr<IndexDirectory> old(root_.exchange(directory.release()));
  memory_bytes_.fetch_sub(old->bytes() + FreePages(*old));
  size_.store(keys);
  return Status::Ok();
}

std::uint32_t Index::LinesToLoad(std::uint64_t keys) const {
  // At 80 % the pages of an even spread hardly ever reach their limit of 7/8 soon.
  const std::uint64_t lines = keys * 5 / (4 * kSlotsPerLine) + 1;
  return static_cast<std::uint32_t>(std::clamp<std::uint64_t>(lines, options_.initial_page_lines,
                                                              std::uint64_t{kMaxPageLines} + 1));
}

}  // namespace freyja::engine
