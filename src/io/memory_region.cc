#include "io/memory_region.h"

#include <sys/mman.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>

#include "base/bytes.h"

namespace freyja::io::memory {

namespace {

constexpr std::size_t kHeapAlignment = 64;

}  // namespace

Region::~Region() { Free(); }

void Region::Free() {
  if (data_ == nullptr) return;
  if (on_heap()) {
    std::free(data_);
  } else {
    ::munmap(data_, size_);
  }
}

bool Region::Grow(std::uint64_t bytes, std::uint64_t used) {
  if (bytes <= size_) return true;
  const std::uint64_t new_size = base::RoundUp(bytes, kBlockBytes);
  void* memory = nullptr;
  if (new_size <= kHeapBytes) {
    memory = std::aligned_alloc(kHeapAlignment, new_size);
    if (memory == nullptr) return false;
    std::memset(memory, 0, new_size);
  } else {
    memory = ::mmap(nullptr, new_size, PROT_READ | PROT_WRITE,
                    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (memory == MAP_FAILED) return false;
  }
  std::byte* const new_data = static_cast<std::byte*>(memory);
  KernelCopy(new_data, data_, base::RoundUp(std::min(used, size_), kBlockBytes));
  Free();
  data_ = new_data;
  size_ = new_size;
  return true;
}

void Region::Zero(std::uint64_t begin, std::uint64_t end) {
  if (begin >= end) return;
  const std::uint64_t first_page = base::RoundUp(begin, kBlockBytes);
  const std::uint64_t last_page = end / kBlockBytes * kBlockBytes;
  if (on_heap() || first_page >= last_page) {
    std::memset(data_ + begin, 0, end - begin);
    return;
  }
  std::memset(data_ + begin, 0, first_page - begin);
  // Dropping anonymous pages makes them read as zeros.
  if (::madvise(data_ + first_page, last_page - first_page, MADV_DONTNEED) != 0) {
    std::memset(data_ + first_page, 0, last_page - first_page);
  }
  std::memset(data_ + last_page, 0, end - last_page);
}

namespace {

// Volatile keeps the compiler from turning the loops into calls of memcpy and memcmp.
using Word = std::uint64_t __attribute__((may_alias));
constexpr std::size_t kStride = 8;  // words per round

}  // namespace

__attribute__((no_sanitize("thread"))) bool KernelEqual(const std::byte* a, const std::byte* b,
                                                        std::size_t bytes) {
  const volatile Word* x = reinterpret_cast<const volatile Word*>(a);
  const volatile Word* y = reinterpret_cast<const volatile Word*>(b);
  const volatile Word* const end = x + bytes / sizeof(Word);
  for (; x != end; x += kStride, y += kStride) {
    const Word difference = (x[0] ^ y[0]) | (x[1] ^ y[1]) | (x[2] ^ y[2]) | (x[3] ^ y[3]) |
                            (x[4] ^ y[4]) | (x[5] ^ y[5]) | (x[6] ^ y[6]) | (x[7] ^ y[7]);
    if (difference != 0) return false;
  }
  return true;
}

__attribute__((no_sanitize("thread"))) void KernelCopy(std::byte* to, const std::byte* from,
                                                       std::size_t bytes) {
  volatile Word* x = reinterpret_cast<volatile Word*>(to);
  const volatile Word* y = reinterpret_cast<const volatile Word*>(from);
  for (std::size_t i = 0; i < bytes / sizeof(Word); ++i) {
    const Word word = y[i];
    if (x[i] != word) x[i] = word;
  }
}

__attribute__((no_sanitize("thread"))) bool KernelIsZero(const std::byte* data, std::size_t bytes) {
  const volatile Word* x = reinterpret_cast<const volatile Word*>(data);
  const volatile Word* const end = x + bytes / sizeof(Word);
  for (; x != end; x += kStride) {
    if ((x[0] | x[1] | x[2] | x[3] | x[4] | x[5] | x[6] | x[7]) != 0) return false;
  }
  return true;
}

}  // namespace freyja::io::memory
