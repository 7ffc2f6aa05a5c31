// Memory on huge pages where the kernel has them to give. Touching a page for the first time costs
// a fault of its own, and reading a random one a look at the page tables: with 2 MiB instead of
// 4 KiB there are 512 times fewer of both.
#pragma once

#include <algorithm>
#include <cstddef>
#include <memory>
#include <span>
#include <vector>

namespace freyja::base {

inline constexpr std::size_t kHugePageBytes = std::size_t{2} << 20;

// Zeros, aligned to kHugePageBytes; `bytes` is a multiple of that. Null if memory is short.
std::byte* MapHuge(std::size_t bytes, bool ask_for_huge_pages = true) noexcept;
void UnmapHuge(std::byte* memory, std::size_t bytes) noexcept;

// Pieces that are given back all together. Not thread-safe.
class HugeArena {
 public:
  HugeArena() = default;

  // Aligned to 64, of any content. Throws std::bad_alloc.
  std::byte* Allocate(std::size_t bytes);

 private:
  struct Unmap {
    std::size_t bytes = 0;
    void operator()(std::byte* memory) const { UnmapHuge(memory, bytes); }
  };
  static constexpr std::size_t kFirstBytes = std::size_t{64} << 10;
  static constexpr std::size_t kMostBytes = 4 * kHugePageBytes;

  std::vector<std::unique_ptr<std::byte, Unmap>> blocks_;
  std::vector<std::unique_ptr<std::byte[]>> small_blocks_;  // of a small store, from the heap
  std::size_t next_bytes_ = kFirstBytes;
  std::byte* free_ = nullptr;
  std::size_t left_ = 0;
};

// One piece, used again and again. Not thread-safe.
class HugeBuffer {
 public:
  // Of any content; ends what was returned before. Throws std::bad_alloc.
  std::span<std::byte> Get(std::size_t bytes);

 private:
  HugeArena memory_;
  std::span<std::byte> piece_;
};

}  // namespace freyja::base
