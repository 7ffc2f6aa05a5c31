#include "io/posix_io.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <exception>
#include <string>
#include <system_error>
#include <vector>

#include "base/status_macros.h"

namespace freyja::io {
namespace {

StatusCode CodeOf(int error, Access access) {
  switch (error) {
    case ENOSPC:
    case EDQUOT:
    case EFBIG:
      return StatusCode::kNoSpace;
    case ENOENT:
      return StatusCode::kNotFound;
    case EEXIST:
      return StatusCode::kAlreadyExists;
    case EWOULDBLOCK:
      return StatusCode::kBusy;
    case EROFS:
      return StatusCode::kReadOnly;
    case EACCES:
    case EPERM:
      return access == Access::kChange ? StatusCode::kReadOnly : StatusCode::kIoError;
    case EOPNOTSUPP:
    case ENOSYS:
      return StatusCode::kUnsupported;
    default:
      return StatusCode::kIoError;
  }
}

}  // namespace

Status ErrnoStatus(int error, std::string_view operation, std::string_view path,
                   Access access) noexcept {
  const StatusCode code = CodeOf(error, access);
  try {
    std::string message(operation);
    message.append(" ").append(path).append(": ").append(std::system_category().message(error));
    return {code, std::move(message)};
  } catch (const std::exception&) {
    return {code, "errno " + std::to_string(error)};  // fits in the string itself
  }
}

Descriptor::~Descriptor() {
  // Linux frees the descriptor even when close() reports EINTR; repeating it could close
  // somebody else's. Errors of write-back belong to Sync.
  if (fd_ >= 0) ::close(fd_);
}

Descriptor OpenDescriptor(const char* path, int flags) {
  int fd;
  do {
    fd = ::open(path, flags | O_CLOEXEC, 0644);
  } while (fd < 0 && errno == EINTR);
  return Descriptor(fd);
}

Result<std::size_t> ReadFully(int fd, std::string_view path, std::uint64_t offset,
                              std::span<std::byte> out) {
  std::size_t done = 0;
  while (done < out.size()) {
    const ssize_t count =
        ::pread(fd, out.data() + done, out.size() - done, static_cast<off_t>(offset + done));
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return std::unexpected(ErrnoStatus(errno, "read", path));
    if (count == 0) break;
    done += static_cast<std::size_t>(count);
  }
  return done;
}

Status WriteFully(int fd, std::string_view path, std::uint64_t offset,
                  std::span<const std::byte> data) {
  std::size_t done = 0;
  while (done < data.size()) {
    const ssize_t count =
        ::pwrite(fd, data.data() + done, data.size() - done, static_cast<off_t>(offset + done));
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return ErrnoStatus(errno, "write", path, Access::kChange);
    if (count == 0) return ErrnoStatus(EIO, "write", path);
    done += static_cast<std::size_t>(count);
  }
  return Status::Ok();
}

Status ExtendWithZeros(int fd, std::string_view path, std::uint64_t size, std::uint64_t new_size) {
  constexpr std::uint64_t kPieceBytes = 1 << 20;
  if (size >= new_size) return Status::Ok();
  const std::vector<std::byte> zeros(std::min(kPieceBytes, new_size - size));
  for (std::uint64_t at = size; at < new_size; at += zeros.size()) {
    const std::uint64_t piece = std::min<std::uint64_t>(zeros.size(), new_size - at);
    FREYJA_RETURN_IF_ERROR(WriteFully(fd, path, at, std::span(zeros).first(piece)));
  }
  return Status::Ok();
}

}  // namespace freyja::io
