// System calls with their loose ends tied: interruptions and short transfers are
// repeated, errno becomes a Status. Shared by the POSIX files here.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <utility>

#include "freyja/status.h"

namespace freyja::io {

// What the failed call was about to do. Lack of permission means "read-only" to a change
// and an I/O error to a look.
enum class Access : std::uint8_t { kLook, kChange };

// "open /a/b: Permission denied", with the code that file_system.h prescribes. Without memory
// for that it is "errno 13": who fails to say that a sync failed must not seem to have synced.
Status ErrnoStatus(int error, std::string_view operation, std::string_view path,
                   Access access = Access::kLook) noexcept;

// Owns a file descriptor, or none (-1).
class Descriptor {
 public:
  explicit Descriptor(int fd = -1) : fd_(fd) {}
  Descriptor(Descriptor&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Descriptor& operator=(Descriptor&&) = delete;
  ~Descriptor();

  int get() const { return fd_; }
  bool valid() const { return fd_ >= 0; }

 private:
  int fd_;
};

// open(2) with O_CLOEXEC, mode 0644. On failure the descriptor is invalid and errno set.
Descriptor OpenDescriptor(const char* path, int flags);

// Bytes read: fewer than asked for only at the end of the file.
Result<std::size_t> ReadFully(int fd, std::string_view path, std::uint64_t offset,
                              std::span<std::byte> out);
Status WriteFully(int fd, std::string_view path, std::uint64_t offset,
                  std::span<const std::byte> data);
// Makes a file of `size` bytes `new_size` bytes long by writing zeros.
Status ExtendWithZeros(int fd, std::string_view path, std::uint64_t size, std::uint64_t new_size);

}  // namespace freyja::io
