#include "io/posix_file_system.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <string>
#include <string_view>
#include <utility>

#include "base/status_macros.h"
#include "io/posix_file.h"
#include "io/posix_io.h"

namespace freyja::io {
namespace {

namespace fs = std::filesystem;

// Closing the descriptor gives the lock back. An invalid one holds nothing.
class PosixLock final : public FileLock {
 public:
  explicit PosixLock(Descriptor fd) : fd_(std::move(fd)) {}

 private:
  const Descriptor fd_;
};

class OpenDirectory {
 public:
  explicit OpenDirectory(const fs::path& path) : stream_(::opendir(path.c_str())) {}
  OpenDirectory(const OpenDirectory&) = delete;
  OpenDirectory& operator=(const OpenDirectory&) = delete;
  ~OpenDirectory() {
    if (stream_ != nullptr) ::closedir(stream_);
  }

  // The next name, "." and ".." included. Null with errno 0 at the end, else with the error.
  const char* Next() const {
    if (stream_ == nullptr) return nullptr;  // errno is still that of opening
    errno = 0;
    const dirent* const entry = ::readdir(stream_);
    return entry == nullptr ? nullptr : entry->d_name;
  }

 private:
  DIR* const stream_;
};

Result<struct stat> StatPath(const fs::path& path) {
  struct stat info;
  if (::stat(path.c_str(), &info) == 0) return info;
  return std::unexpected(ErrnoStatus(errno, "stat", path.native()));
}

Result<struct statvfs> StatDisk(const fs::path& path) {
  struct statvfs info;
  int result;
  do {
    result = ::statvfs(path.c_str(), &info);
  } while (result != 0 && errno == EINTR);
  if (result == 0) return info;
  return std::unexpected(ErrnoStatus(errno, "statvfs", path.native()));
}

class PosixFileSystem final : public FileSystem {
 public:
  bool IsNative() const override { return true; }

  Result<std::unique_ptr<File>> Open(const fs::path& path, OpenMode mode) override {
    return OpenPosixFile(path, mode);
  }

  Status Rename(const fs::path& from, const fs::path& to) override {
    if (::rename(from.c_str(), to.c_str()) == 0) return Status::Ok();
    return ErrnoStatus(errno, "rename", from.native() + " to " + to.native(), Access::kChange);
  }

  Status Unlink(const fs::path& path) override {
    if (::unlink(path.c_str()) == 0) return Status::Ok();
    return ErrnoStatus(errno, "unlink", path.native(), Access::kChange);
  }

  Status CreateDirectory(const fs::path& path) override {
    if (::mkdir(path.c_str(), 0755) == 0) return Status::Ok();
    const int error = errno;
    struct stat info;
    if (error == EEXIST && ::stat(path.c_str(), &info) == 0 && S_ISDIR(info.st_mode)) {
      return Status::Ok();
    }
    return ErrnoStatus(error, "create directory", path.native(), Access::kChange);
  }

  Result<std::vector<std::string>> List(const fs::path& directory) override {
    // Not std::filesystem::directory_iterator, which ends the program when memory runs out.
    const OpenDirectory open(directory);
    std::vector<std::string> names;
    while (const char* const name = open.Next()) {
      if (std::string_view(name) != "." && std::string_view(name) != "..") names.emplace_back(name);
    }
    if (errno != 0) return std::unexpected(ErrnoStatus(errno, "list", directory.native()));
    std::ranges::sort(names);
    return names;
  }

  Result<bool> Exists(const fs::path& path) override {
    struct stat info;
    if (::stat(path.c_str(), &info) == 0) return true;
    if (errno == ENOENT || errno == ENOTDIR) return false;
    return std::unexpected(ErrnoStatus(errno, "stat", path.native()));
  }

  Status SyncDirectory(const fs::path& directory) override {
    const Descriptor fd = OpenDescriptor(directory.c_str(), O_RDONLY | O_DIRECTORY);
    if (!fd.valid()) {
      return ErrnoStatus(errno, "open directory", directory.native(), Access::kChange);
    }
    int result;
    do {
      result = ::fsync(fd.get());
    } while (result != 0 && errno == EINTR);
    if (result == 0) return Status::Ok();
    return ErrnoStatus(errno, "sync directory", directory.native());
  }

  Result<std::unique_ptr<FileLock>> Lock(const fs::path& path, bool exclusive) override {
    Descriptor fd = OpenDescriptor(path.c_str(), exclusive ? O_RDWR | O_CREAT : O_RDONLY);
    // Nobody can hold a file that is not there, and on read-only media it can't be made.
    if (!fd.valid() && errno == ENOENT && !exclusive) {
      return std::make_unique<PosixLock>(Descriptor());
    }
    if (!fd.valid()) {
      return std::unexpected(
          ErrnoStatus(errno, "open", path.native(), exclusive ? Access::kChange : Access::kLook));
    }
    int result;
    do {
      result = ::flock(fd.get(), (exclusive ? LOCK_EX : LOCK_SH) | LOCK_NB);
    } while (result != 0 && errno == EINTR);
    if (result == 0) return std::make_unique<PosixLock>(std::move(fd));
    return std::unexpected(ErrnoStatus(errno, "lock", path.native()));
  }

  Result<std::uint64_t> FreeSpace(const fs::path& directory) override {
    FREYJA_ASSIGN_OR_RETURN(const struct statvfs info, StatDisk(directory));
    return std::uint64_t{info.f_bavail} * info.f_frsize;
  }

  Result<std::uint64_t> Capacity(const fs::path& directory) override {
    FREYJA_ASSIGN_OR_RETURN(const struct statvfs info, StatDisk(directory));
    return std::uint64_t{info.f_blocks} * info.f_frsize;
  }

  Result<bool> SameFileSystem(const fs::path& a, const fs::path& b) override {
    FREYJA_ASSIGN_OR_RETURN(const struct stat info_a, StatPath(a));
    FREYJA_ASSIGN_OR_RETURN(const struct stat info_b, StatPath(b));
    return info_a.st_dev == info_b.st_dev;
  }
};

}  // namespace

std::unique_ptr<FileSystem> NewPosixFileSystem() { return std::make_unique<PosixFileSystem>(); }

}  // namespace freyja::io
