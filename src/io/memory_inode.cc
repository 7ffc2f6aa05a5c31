#include "io/memory_inode.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "base/bytes.h"

namespace freyja::io::memory {
namespace {

constexpr std::uint64_t kMaximumFileBytes = std::uint64_t{1} << 40;
// Files may grow while they are mapped, up to their address space.
constexpr std::uint64_t kMappedReserveBytes = 128 << 10;
constexpr std::uint64_t kMappedReserveFactor = 4;

std::uint64_t RoundDown(std::uint64_t offset) { return offset / kBlockBytes * kBlockBytes; }
std::uint64_t BlocksFor(std::uint64_t bytes) {
  return base::RoundUp(bytes, kBlockBytes) / kBlockBytes;
}

}  // namespace

std::uint64_t Inode::disk_bytes() const {
  return static_cast<std::uint64_t>(std::ranges::count(blocks_, true)) * kBlockBytes;
}

std::size_t Inode::Read(std::uint64_t offset, std::span<std::byte> out) const {
  if (offset >= size_ || out.empty()) return 0;
  const std::size_t count = std::min<std::uint64_t>(out.size(), size_ - offset);
  std::memcpy(out.data(), content_.data() + offset, count);
  return count;
}

std::uint64_t Inode::NextData(std::uint64_t offset) const {
  if (offset >= size_) return size_;
  const std::uint64_t first = offset / kBlockBytes;
  std::uint64_t block = first;
  const std::uint64_t end = BlocksFor(size_);
  // A mapping may have stored where there is no block.
  const auto is_hole = [&](std::uint64_t at) {
    return (at >= blocks_.size() || !blocks_[at]) &&
           KernelIsZero(content_.data() + at * kBlockBytes, kBlockBytes);
  };
  while (block < end && is_hole(block)) ++block;
  if (block == end) return size_;
  return block == first ? offset : block * kBlockBytes;
}

std::vector<std::byte> Inode::Contents() const {
  std::vector<std::byte> bytes(base::RoundUp(size_, kBlockBytes));
  KernelCopy(bytes.data(), content_.data(), bytes.size());
  bytes.resize(size_);
  return bytes;
}

StatusCode Inode::Write(std::uint64_t offset, std::span<const std::byte> data) {
  if (data.empty()) return StatusCode::kOk;
  if (offset > kMaximumFileBytes || data.size() > kMaximumFileBytes - offset) {
    return StatusCode::kNoSpace;
  }
  if (const StatusCode code = Reserve(offset + data.size()); code != StatusCode::kOk) return code;
  std::uint64_t end = offset;
  while (end < offset + data.size() && TakeBlocks(end / kBlockBytes, end / kBlockBytes + 1)) {
    end = std::min(RoundDown(end) + kBlockBytes, offset + data.size());
  }
  if (end > offset) {
    TakeVersions(/*written=*/false);  // stores that this may hide
    std::memcpy(content_.data() + offset, data.data(), end - offset);
    MarkDirty(offset, end);
    size_ = std::max(size_, end);
    TakeVersions(/*written=*/true);
  }
  return end == offset + data.size() ? StatusCode::kOk : StatusCode::kNoSpace;
}

StatusCode Inode::Allocate(std::uint64_t size) {
  if (size > kMaximumFileBytes) return StatusCode::kNoSpace;
  if (const StatusCode code = Reserve(size); code != StatusCode::kOk) return code;
  const std::uint64_t wanted = BlocksFor(size);
  const bool all = TakeBlocks(0, wanted);
  const auto missing = std::ranges::find(blocks_, false);
  const auto taken = static_cast<std::uint64_t>(missing - blocks_.begin());
  size_ = std::max(size_, std::min(size, taken * kBlockBytes));
  TakeVersions(/*written=*/false);
  return all ? StatusCode::kOk : StatusCode::kNoSpace;
}

StatusCode Inode::Truncate(std::uint64_t size) {
  if (size > kMaximumFileBytes) return StatusCode::kNoSpace;
  if (size >= size_) {
    if (const StatusCode code = Reserve(size); code != StatusCode::kOk) return code;
    size_ = size;
    TakeVersions(/*written=*/false);
    return StatusCode::kOk;
  }
  TakeVersions(/*written=*/false);
  // As on a real system, a mapping past the new end loses its pages there; the count comes
  // first because whoever sees the zeros must see the fault.
  if (!mapped_.empty() && *mapped_.rbegin() > base::RoundUp(size, kBlockBytes)) {
    faults_.fetch_add(1);
  }
  content_.Zero(size, base::RoundUp(size_, kBlockBytes));
  MarkDirty(size, size_);
  GiveBlocksFrom(BlocksFor(size));
  size_ = size;
  TakeVersions(/*written=*/false);
  return StatusCode::kOk;
}

void Inode::ReleaseTail(std::uint64_t offset) {
  if (offset >= size_) return;
  const std::uint64_t begin = base::RoundUp(offset, kBlockBytes);
  if (begin >= size_) return;
  TakeVersions(/*written=*/false);
  content_.Zero(begin, base::RoundUp(size_, kBlockBytes));
  MarkDirty(begin, size_);
  GiveBlocksFrom(begin / kBlockBytes);
  TakeVersions(/*written=*/false);
}

StatusCode Inode::Sync() {
  if (!CopyToDisk(DirtyRange())) return StatusCode::kOutOfMemory;
  durable_size_ = size_;
  versions_.Clear();
  ForgetDirty();
  return StatusCode::kOk;
}

StatusCode Inode::SyncStart(std::uint64_t end) {
  if (size_ != durable_size_) return StatusCode::kUnsupported;
  end = base::RoundUp(end, kBlockBytes);
  Range range = DirtyRange();
  range.end = std::min(range.end, end);
  if (!CopyToDisk(range)) return StatusCode::kOutOfMemory;
  versions_.Forget(0, end);
  // What a mapping may have stored stays as it is: all of it is compared each time.
  dirty_.begin = std::max(dirty_.begin, end);
  if (dirty_.begin >= dirty_.end) dirty_ = {};
  return StatusCode::kOk;
}

void Inode::DropDirty() {
  const Range range = DirtyRange();
  if (!GrowDurable(range.end)) return;
  for (std::uint64_t at = range.begin; at < range.end; at += kBlockBytes) {
    if (IsDropped(at)) continue;
    dropped_.erase(at);
    if (KernelEqual(durable_.data() + at, content_.data() + at, kBlockBytes)) continue;
    auto block = std::make_unique<Region>();
    if (!block->Grow(kBlockBytes, 0)) continue;
    KernelCopy(block->data(), content_.data() + at, kBlockBytes);
    dropped_.emplace(at, std::move(block));
    versions_.Forget(at, at + kBlockBytes);
  }
  ForgetDirty();
}

Result<std::byte*> Inode::Map(std::uint64_t size, bool writable) {
  const std::uint64_t reserve = std::max(kMappedReserveBytes, kMappedReserveFactor * size_);
  if (mapped_.empty()) {
    if (const StatusCode code = Reserve(reserve); code != StatusCode::kOk) {
      return std::unexpected(Status(code, "no address space"));
    }
  }
  mapped_.insert(size);
  if (writable) {
    writable_.insert(size);
    stored_end_ = std::max(stored_end_, size);
  }
  return content_.data();
}

void Inode::Unmap(std::uint64_t size, bool writable) {
  mapped_.erase(mapped_.find(size));
  if (writable) writable_.erase(writable_.find(size));
}

void Inode::LoseBlock(std::uint64_t offset) {
  const std::uint64_t begin = RoundDown(offset);
  // The count first: whoever sees the zeros must see the fault.
  faults_.fetch_add(1);
  content_.Zero(begin, begin + kBlockBytes);
  if (begin < durable_.size()) durable_.Zero(begin, begin + kBlockBytes);
  versions_.Forget(begin, begin + kBlockBytes);
  synced_.reset();
}

bool Inode::FlipBits(std::uint64_t offset, std::byte mask) {
  if (offset >= size_) return false;
  content_.data()[offset] ^= mask;
  if (offset < durable_.size()) durable_.data()[offset] ^= mask;
  versions_.Forget(offset, offset + 1);
  synced_.reset();
  return true;
}

void Inode::RemoveUser() {
  if (--users_ == 0) GiveBlocksFrom(0);
}

bool Inode::TryLock(bool exclusive) {
  if (exclusive_lock_ || (exclusive && shared_locks_ > 0)) return false;
  if (exclusive) {
    exclusive_lock_ = true;
  } else {
    ++shared_locks_;
  }
  return true;
}

void Inode::Unlock(bool exclusive) {
  if (exclusive) {
    exclusive_lock_ = false;
  } else {
    --shared_locks_;
  }
}

StatusCode Inode::Reserve(std::uint64_t bytes) {
  if (bytes <= content_.size()) return StatusCode::kOk;
  if (!mapped_.empty()) return StatusCode::kUnsupported;
  return content_.Grow(std::max(bytes, 2 * content_.size()), size_) ? StatusCode::kOk
                                                                    : StatusCode::kOutOfMemory;
}

bool Inode::GrowDurable(std::uint64_t bytes) {
  // As long as the content at once, so that a file that is synced while it grows isn't
  // copied every time.
  return bytes <= durable_.size() || durable_.Grow(content_.size(), durable_.size());
}

bool Inode::TakeBlocks(std::uint64_t begin, std::uint64_t end, bool beyond_capacity) {
  if (blocks_.size() < end) blocks_.resize(end);
  for (std::uint64_t block = begin; block < end; ++block) {
    if (blocks_[block]) continue;
    if (!beyond_capacity && space_.free_blocks() == 0) return false;
    blocks_[block] = true;
    ++space_.used_blocks;
  }
  return true;
}

void Inode::GiveBlocksFrom(std::uint64_t begin) {
  if (begin >= blocks_.size()) return;
  const auto first = blocks_.begin() + static_cast<std::ptrdiff_t>(begin);
  space_.used_blocks -= static_cast<std::uint64_t>(std::count(first, blocks_.end(), true));
  blocks_.resize(begin);
}

bool Inode::CopyToDisk(Range range) {
  if (!GrowDurable(range.end)) return false;
  for (std::uint64_t at = range.begin; at < range.end; at += kBlockBytes) {
    if (IsDropped(at)) continue;
    dropped_.erase(at);
    KernelCopy(durable_.data() + at, content_.data() + at, kBlockBytes);
  }
  synced_.reset();
  return true;
}

void Inode::MarkDirty(std::uint64_t begin, std::uint64_t end) {
  const bool clean = dirty_.begin == dirty_.end;
  dirty_.begin = clean ? begin : std::min(dirty_.begin, begin);
  dirty_.end = clean ? end : std::max(dirty_.end, end);
}

Inode::Range Inode::DirtyRange() const {
  Range range = dirty_;
  if (stored_end_ > 0) range = {0, std::max(range.end, stored_end_)};
  return {RoundDown(range.begin), std::min(base::RoundUp(range.end, kBlockBytes), content_.size())};
}

void Inode::ForgetDirty() {
  dirty_ = {};
  stored_end_ = writable_.empty() ? 0 : *writable_.rbegin();
}

bool Inode::IsDropped(std::uint64_t offset) const {
  const auto dropped = dropped_.find(offset);
  return dropped != dropped_.end() &&
         KernelEqual(dropped->second->data(), content_.data() + offset, kBlockBytes);
}

std::shared_ptr<Inode> Inode::Clone(Space& space) const {
  auto copy = std::make_shared<Inode>(space);
  if (!copy->content_.Grow(size_, 0) || !copy->durable_.Grow(durable_.size(), 0)) return nullptr;
  KernelCopy(copy->content_.data(), content_.data(), base::RoundUp(size_, kBlockBytes));
  KernelCopy(copy->durable_.data(), durable_.data(), durable_.size());
  copy->size_ = size_;
  copy->durable_size_ = durable_size_;
  copy->dirty_ = DirtyRange();
  copy->versions_ = versions_;
  for (const auto& [offset, block] : dropped_) {
    auto block_copy = std::make_unique<Region>();
    if (!block_copy->Grow(kBlockBytes, 0)) return nullptr;
    KernelCopy(block_copy->data(), block->data(), kBlockBytes);
    copy->dropped_.emplace(offset, std::move(block_copy));
  }
  for (std::uint64_t block = 0; block < blocks_.size(); ++block) {
    if (blocks_[block]) copy->TakeBlocks(block, block + 1, /*beyond_capacity=*/true);
  }
  return copy;
}

std::shared_ptr<Inode> Inode::AfterPowerLoss(Coin* coin, Space& space) const {
  auto image = std::make_shared<Inode>(space);
  const bool keep_size = coin != nullptr && size_ != durable_size_ && coin->Keep();
  image->size_ = keep_size ? size_ : durable_size_;
  const std::uint64_t end = base::RoundUp(image->size_, kBlockBytes);
  if (!image->content_.Grow(end, 0)) return nullptr;

  const Range dirty = DirtyRange();
  for (std::uint64_t at = 0; at < end; at += kBlockBytes) {
    std::byte* const to = image->content_.data() + at;
    if (at < durable_.size()) KernelCopy(to, durable_.data() + at, kBlockBytes);
    const bool maybe_changed = at >= dirty.begin && at < dirty.end && !IsDropped(at);
    for (std::uint64_t sector = 0; coin != nullptr && maybe_changed && sector < kBlockBytes;
         sector += kSectorBytes) {
      const std::byte* const changed = content_.data() + at + sector;
      if (KernelEqual(to + sector, changed, kSectorBytes) || !coin->Keep()) continue;
      KernelCopy(to + sector, changed, kSectorBytes);
    }
    const std::uint64_t block = at / kBlockBytes;
    if ((block < blocks_.size() && blocks_[block]) || !KernelIsZero(to, kBlockBytes)) {
      image->TakeBlocks(block, block + 1, /*beyond_capacity=*/true);
    }
  }
  image->content_.Zero(image->size_, end);
  image->MarkDirty(0, end);
  return image->Sync() == StatusCode::kOk ? image : nullptr;
}

// --- Versions -------------------------------------------------------------------------

std::uint64_t Inode::Observe() {
  TakeVersions(/*written=*/false);
  return space_.last_stamp;
}

void Inode::TakeVersions(bool written) {
  if (!space_.keep_versions) return;
  ++space_.last_stamp;
  const Range range = DirtyRange();
  for (std::uint64_t at = range.begin; at < range.end; at += kBlockBytes) {
    if (!IsDropped(at)) TakeVersionsOfBlock(at);
  }
  const std::uint64_t known = versions_.sizes.empty() ? durable_size_ : versions_.sizes.back().size;
  if (size_ == known) return;
  versions_.sizes.push_back({.stamp = space_.last_stamp, .size = size_, .written = written});
}

void Inode::TakeVersionsOfBlock(std::uint64_t offset) {
  static constexpr std::array<std::byte, kBlockBytes> kZeros{};
  const std::byte* const durable =
      offset < durable_.size() ? durable_.data() + offset : kZeros.data();
  for (std::uint64_t at = 0; at < kBlockBytes; at += kSectorBytes) {
    const auto known = versions_.sectors.find((offset + at) / kSectorBytes);
    const std::byte* const latest =
        known == versions_.sectors.end() ? durable + at : known->second.back()->bytes.data();
    const std::byte* const current = content_.data() + offset + at;
    if (KernelEqual(latest, current, kSectorBytes)) continue;
    auto version = std::make_shared<SectorVersion>();
    version->stamp = space_.last_stamp;
    KernelCopy(version->bytes.data(), current, kSectorBytes);
    const bool zero = KernelIsZero(version->bytes.data(), kSectorBytes);
    version->hash = zero ? Hash128{} : HashOf(version->bytes);
    versions_.sectors[(offset + at) / kSectorBytes].push_back(std::move(version));
  }
}

FrozenInode Inode::Freeze() {
  Observe();
  if (synced_ == nullptr) synced_ = CopySynced(durable_.data(), durable_.size());
  return {.synced = synced_,
          .synced_size = durable_size_,
          .sectors = {versions_.sectors.begin(), versions_.sectors.end()},
          .sizes = versions_.sizes,
          .blocks = blocks_};
}

std::shared_ptr<Inode> Inode::Thaw(
    const FrozenInode& frozen, std::uint64_t size,
    std::span<const std::pair<std::uint64_t, const SectorVersion*>> sectors, Space& space) {
  auto file = std::make_shared<Inode>(space);
  const std::uint64_t end = base::RoundUp(size, kBlockBytes);
  if (!file->content_.Grow(end, 0) || !file->durable_.Grow(end, 0)) return nullptr;
  file->size_ = file->durable_size_ = size;
  const auto put = [&](std::uint64_t at, std::span<const std::byte> bytes) {
    if (at >= size || bytes.empty()) return;
    const std::uint64_t count = std::min<std::uint64_t>(bytes.size(), size - at);
    std::memcpy(file->content_.data() + at, bytes.data(), count);
    std::memcpy(file->durable_.data() + at, bytes.data(), count);
  };
  put(0, frozen.synced->bytes);
  for (const auto& [number, version] : sectors) put(number * kSectorBytes, version->bytes);
  for (std::uint64_t block = 0; block < end / kBlockBytes; ++block) {
    const bool taken = block < frozen.blocks.size() && frozen.blocks[block];
    if (taken || !KernelIsZero(file->content_.data() + block * kBlockBytes, kBlockBytes)) {
      file->TakeBlocks(block, block + 1, /*beyond_capacity=*/true);
    }
  }
  return file;
}

std::shared_ptr<Inode> Inode::ThawUnsynced(const FrozenInode& frozen, Space& space) {
  std::vector<std::pair<std::uint64_t, const SectorVersion*>> none;
  const std::uint64_t size = frozen.sizes.empty() ? frozen.synced_size : frozen.sizes.back().size;
  const std::uint64_t longest = std::max(size, frozen.synced->bytes.size());
  auto file = Thaw(frozen, longest, none, space);
  if (file == nullptr) return nullptr;
  for (const auto& [number, versions] : frozen.sectors) {
    const std::uint64_t at = number * kSectorBytes;
    if (at >= file->content_.size()) continue;
    std::memcpy(file->content_.data() + at, versions.back()->bytes.data(), kSectorBytes);
    file->versions_.sectors.emplace(number, versions);
  }
  file->versions_.sizes = frozen.sizes;
  file->size_ = size;
  file->durable_size_ = frozen.synced_size;
  file->synced_ = frozen.synced;
  file->content_.Zero(size, file->content_.size());
  file->MarkDirty(0, file->content_.size());
  space.last_stamp = std::max(space.last_stamp, frozen.LastStamp());
  return file;
}

}  // namespace freyja::io::memory
