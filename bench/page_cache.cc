#include "page_cache.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <system_error>
#include <utility>
#include <vector>

#include "base/status_macros.h"

namespace freyja::bench {

namespace {

namespace fs = std::filesystem;

Status SystemError(const fs::path& path) {
  return {StatusCode::kIoError, path.string() + ": " + std::strerror(errno)};
}

class ReadOnlyFile {
 public:
  explicit ReadOnlyFile(const fs::path& path) : fd_(::open(path.c_str(), O_RDONLY | O_CLOEXEC)) {}
  ReadOnlyFile(const ReadOnlyFile&) = delete;
  ReadOnlyFile& operator=(const ReadOnlyFile&) = delete;
  ~ReadOnlyFile() {
    if (fd_ >= 0) ::close(fd_);
  }
  int fd() const { return fd_; }

 private:
  const int fd_;
};

Status DropFile(const fs::path& path) {
  const ReadOnlyFile file(path);
  if (file.fd() < 0 || ::fdatasync(file.fd()) != 0) return SystemError(path);
  const int error = ::posix_fadvise(file.fd(), 0, 0, POSIX_FADV_DONTNEED);
  if (error == 0) return Status::Ok();
  return {StatusCode::kIoError, path.string() + ": " + std::strerror(error)};
}

}  // namespace

Status DropFromPageCache(const fs::path& directory) {
  std::error_code error;
  for (const fs::directory_entry& entry : fs::recursive_directory_iterator(directory, error)) {
    if (entry.is_regular_file(error)) FREYJA_RETURN_IF_ERROR(DropFile(entry.path()));
  }
  if (error) return {StatusCode::kIoError, directory.string() + ": " + error.message()};
  return Status::Ok();
}

Result<std::uint64_t> CachedBytes(const fs::path& path) {
  const ReadOnlyFile file(path);
  struct stat info = {};
  if (file.fd() < 0 || ::fstat(file.fd(), &info) != 0) return std::unexpected(SystemError(path));
  const auto bytes = static_cast<std::size_t>(info.st_size);
  if (bytes == 0) return 0;
  void* const memory = ::mmap(nullptr, bytes, PROT_READ, MAP_SHARED, file.fd(), 0);
  if (memory == MAP_FAILED) return std::unexpected(SystemError(path));
  const auto page = static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
  std::vector<unsigned char> resident((bytes + page - 1) / page);
  const bool known = ::mincore(memory, bytes, resident.data()) == 0;
  Status failed = known ? Status::Ok() : SystemError(path);
  ::munmap(memory, bytes);
  if (!known) return std::unexpected(std::move(failed));
  const auto pages = std::ranges::count_if(resident, [](unsigned char c) { return (c & 1) != 0; });
  return static_cast<std::uint64_t>(pages) * page;
}

}  // namespace freyja::bench
