// Memory that stands in for the pages of a file.
#pragma once

#include <cstddef>
#include <cstdint>

namespace freyja::io::memory {

// Unit of disk space, of dirty tracking and of faults, as on a real disk.
inline constexpr std::uint64_t kBlockBytes = 4096;
// Unit that a crash keeps or loses whole.
inline constexpr std::uint64_t kSectorBytes = 512;

// Zero-filled address space that takes memory only where it is written; a small one is plain
// memory, which is cheaper to have and to give back. The size is a multiple of kBlockBytes.
// Thread-compatible.
class Region {
 public:
  Region() = default;
  Region(const Region&) = delete;
  Region& operator=(const Region&) = delete;
  ~Region();

  std::byte* data() const { return data_; }
  std::uint64_t size() const { return size_; }

  // Makes it at least `bytes` long and keeps the first `used` bytes. The address changes.
  // False if there is no address space left; nothing has changed then.
  bool Grow(std::uint64_t bytes, std::uint64_t used);
  // Fills [begin, end) with zeros and gives memory of whole pages back.
  void Zero(std::uint64_t begin, std::uint64_t end);

 private:
  // Up to this size from the heap.
  static constexpr std::uint64_t kHeapBytes = 1 << 20;
  bool on_heap() const { return size_ <= kHeapBytes; }
  void Free();

  std::byte* data_ = nullptr;
  std::uint64_t size_ = 0;
};

// The work of an emulated kernel and disk on pages that user threads may be storing to at
// this moment, as real ones do. Such an overlap yields torn bytes, which is what it yields
// in reality; it is not an error in the program, so these functions are hidden from the
// thread sanitizer (which sees nothing of a real kernel's copying either). They go word by
// word because a call to memcpy would be seen. Both sides are aligned to 8 bytes and
// `bytes` is a multiple of 64.
bool KernelEqual(const std::byte* a, const std::byte* b, std::size_t bytes);
// Stores only words that differ, so that untouched pages stay untouched.
void KernelCopy(std::byte* to, const std::byte* from, std::size_t bytes);
bool KernelIsZero(const std::byte* data, std::size_t bytes);

}  // namespace freyja::io::memory
