#include "limit_memory.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <string>

namespace freyja::bench {

namespace {

bool FillWithZeros(int fd, std::size_t bytes) {
  const std::string zeros(kPieceBytes, '\0');
  for (std::size_t at = 0; at < bytes;) {
    const ssize_t written =
        ::pwrite(fd, zeros.data(), std::min(zeros.size(), bytes - at), static_cast<off_t>(at));
    if (written <= 0) return false;
    at += static_cast<std::size_t>(written);
  }
  return true;
}

}  // namespace

Result<PreparedFile> PrepareFile(const std::filesystem::path& path, std::size_t bytes) {
  const auto fail = [&path] {
    return std::unexpected(
        Status(StatusCode::kIoError, path.string() + ": " + std::strerror(errno)));
  };
  PreparedFile file;
  file.fd = ::open(path.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
  if (file.fd < 0) return fail();
  bool fine = FillWithZeros(file.fd, bytes);
  if (fine) {
    file.memory = Mapping::OfFile(file.fd, bytes);
    fine = file.memory.data() != nullptr && file.memory.Populate();
  }
  // Otherwise the first synced put would pay for the zeros of all.
  if (fine) fine = ::fdatasync(file.fd) == 0;
  if (fine) return file;
  const int error = errno;
  ::close(file.fd);
  errno = error;
  return fail();
}

}  // namespace freyja::bench
