// Memory of the bare loop: anonymous, and a file mapped beforehand.
#pragma once

#include <sys/mman.h>

#include <algorithm>
#include <cstddef>
#include <filesystem>
#include <utility>

#include "freyja/status.h"

namespace freyja::bench {

inline constexpr std::size_t kPieceBytes = std::size_t{2} << 20;

class Mapping {
 public:
  Mapping() = default;
  Mapping(Mapping&& other) noexcept { *this = std::move(other); }
  Mapping& operator=(Mapping&& other) noexcept {
    std::swap(data_, other.data_);
    std::swap(bytes_, other.bytes_);
    return *this;
  }
  ~Mapping() {
    if (data_ != nullptr) ::munmap(data_, bytes_);
  }

  // Zeros, on huge pages where the kernel has them.
  static Mapping Anonymous(std::size_t bytes) {
    Mapping mapping = Make(bytes, MAP_PRIVATE | MAP_ANONYMOUS, -1);
    if (mapping.data_ != nullptr) ::madvise(mapping.data_, bytes, MADV_HUGEPAGE);
    return mapping;
  }
  static Mapping OfFile(int fd, std::size_t bytes) { return Make(bytes, MAP_SHARED, fd); }

  std::byte* data() const { return data_; }
  // Makes every page present and writable.
  bool Populate() const {
    for (std::size_t at = 0; at < bytes_; at += kPieceBytes) {
      if (::madvise(data_ + at, std::min(kPieceBytes, bytes_ - at), MADV_POPULATE_WRITE) != 0) {
        return false;
      }
    }
    return true;
  }

 private:
  static Mapping Make(std::size_t bytes, int flags, int fd) {
    Mapping mapping;
    void* const data = ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, flags, fd, 0);
    if (data == MAP_FAILED) return mapping;
    mapping.data_ = static_cast<std::byte*>(data);
    mapping.bytes_ = bytes;
    return mapping;
  }

  std::byte* data_ = nullptr;
  std::size_t bytes_ = 0;
};

// A new file of so many zeros, mapped. Blocks are allocated, zeroed and mapped before the run: in
// a store another thread does it.
struct PreparedFile {
  int fd = -1;  // the caller's to close
  Mapping memory;
};
[[nodiscard]] Result<PreparedFile> PrepareFile(const std::filesystem::path& path,
                                               std::size_t bytes);

}  // namespace freyja::bench
