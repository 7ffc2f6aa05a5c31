#include "base/huge_pages.h"

#include <sys/mman.h>

#include <cstdint>
#include <new>
#include <utility>

#include "base/bytes.h"

namespace freyja::base {

std::byte* MapHuge(std::size_t bytes, bool ask_for_huge_pages) noexcept {
  // One more, of which the ends that are not aligned go back.
  const std::size_t mapped_bytes = bytes + kHugePageBytes;
  void* const mapped =
      ::mmap(nullptr, mapped_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (mapped == MAP_FAILED) return nullptr;
  auto* const start = static_cast<std::byte*>(mapped);
  const std::size_t before = -reinterpret_cast<std::uintptr_t>(start) % kHugePageBytes;
  if (before != 0) ::munmap(start, before);
  ::munmap(start + before + bytes, kHugePageBytes - before);
  if (ask_for_huge_pages) ::madvise(start + before, bytes, MADV_HUGEPAGE);
  return start + before;
}

void UnmapHuge(std::byte* memory, std::size_t bytes) noexcept { ::munmap(memory, bytes); }

std::byte* HugeArena::Allocate(std::size_t bytes) {
  constexpr std::size_t kAlignment = 64;
  bytes = RoundUp(bytes, kAlignment);
  if (bytes > left_) {
    const std::size_t block = std::max(next_bytes_, bytes + kAlignment);
    if (block < kHugePageBytes) {
      small_blocks_.push_back(std::make_unique_for_overwrite<std::byte[]>(block));
      std::byte* const start = small_blocks_.back().get();
      const std::size_t before = -reinterpret_cast<std::uintptr_t>(start) % kAlignment;
      free_ = start + before;
      left_ = block - before;
    } else {
      const std::size_t mapped = RoundUp(block, kHugePageBytes);
      std::unique_ptr<std::byte, Unmap> owned(MapHuge(mapped), Unmap{mapped});
      if (owned == nullptr) throw std::bad_alloc();
      blocks_.push_back(std::move(owned));
      free_ = blocks_.back().get();
      left_ = mapped;
    }
    next_bytes_ = std::min(2 * next_bytes_, kMostBytes);
  }
  std::byte* const piece = free_;
  free_ += bytes;
  left_ -= bytes;
  return piece;
}

std::span<std::byte> HugeBuffer::Get(std::size_t bytes) {
  if (piece_.size() < bytes) {
    piece_ = {};
    memory_ = {};  // first: there need not be room for both
    piece_ = {memory_.Allocate(bytes), bytes};
  }
  return piece_.first(bytes);
}

}  // namespace freyja::base
