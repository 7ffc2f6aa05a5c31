// Buffers that come and go.
#pragma once

#include <sys/mman.h>

#include <cstddef>
#include <memory>
#include <new>
#include <vector>

#include "base/sanitizer.h"

namespace freyja::base {

// Large pieces are mapped, and go back to the system as soon as they are freed. The C library's
// heap would keep them for the thread that had them, which may not need them again for hours.
template <class T>
class PassingAllocator {
 public:
  using value_type = T;
  static constexpr std::size_t kMappedFrom = std::size_t{64} << 10;

  PassingAllocator() = default;
  template <class U>
  explicit PassingAllocator(const PassingAllocator<U>&) {}

  T* allocate(std::size_t count) {
    if (!IsMapped(count)) return std::allocator<T>().allocate(count);
    void* const memory = ::mmap(nullptr, count * sizeof(T), PROT_READ | PROT_WRITE,
                                MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) throw std::bad_alloc();
    return static_cast<T*>(memory);
  }
  void deallocate(T* memory, std::size_t count) {
    if (!IsMapped(count)) return std::allocator<T>().deallocate(memory, count);
    ::munmap(memory, count * sizeof(T));
  }
  friend bool operator==(const PassingAllocator&, const PassingAllocator&) { return true; }

 private:
  static bool IsMapped(std::size_t count) {
    return !kWithSanitizer && count >= kMappedFrom / sizeof(T);
  }
};

using PassingBuffer = std::vector<std::byte, PassingAllocator<std::byte>>;

}  // namespace freyja::base
