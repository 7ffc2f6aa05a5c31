#include "io/posix_file.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <string>
#include <utility>

#include "base/bytes.h"
#include "base/status_macros.h"
#include "io/posix_io.h"
#include "io/posix_mapping.h"

namespace freyja::io {
namespace {

// Released tails begin on a multiple of this, so that no page is half given back.
constexpr std::uint64_t kReleaseBytes = 4096;
constexpr std::uint64_t kStatBlockBytes = 512;  // the unit of st_blocks, whatever the disk

template <typename Call>
int RepeatInterrupted(Call call) {
  int result;
  do {
    result = call();
  } while (result != 0 && errno == EINTR);
  return result;
}

// A file system that takes new data for a hole (https://github.com/openzfs/zfs/issues/15526) would
// make records vanish, so only those are asked of which no such bug is known.
bool KnowsItsHoles(decltype(statfs::f_type) type) {
  return type == EXT4_SUPER_MAGIC || type == XFS_SUPER_MAGIC || type == BTRFS_SUPER_MAGIC ||
         type == TMPFS_MAGIC;
}

class PosixFile final : public File {
 public:
  PosixFile(std::string path, Descriptor fd) : path_(std::move(path)), fd_(std::move(fd)) {}

  const std::string& path() const override { return path_; }

  Result<std::uint64_t> Size() override {
    FREYJA_ASSIGN_OR_RETURN(const struct stat info, Stat());
    return static_cast<std::uint64_t>(info.st_size);
  }

  Result<std::size_t> ReadAt(std::uint64_t offset, std::span<std::byte> out) override {
    return ReadFully(fd_.get(), path_, offset, out);
  }

  Status WriteAt(std::uint64_t offset, std::span<const std::byte> data) override {
    return WriteFully(fd_.get(), path_, offset, data);
  }

  Status Sync() override {
    // EINTR says nothing about any page, so asking again hides no failure.
    if (RepeatInterrupted([&] { return ::fdatasync(fd_.get()); }) == 0) return Status::Ok();
    return ErrnoStatus(errno, "sync", path_);
  }

  Status SyncMapped(const Mapping& mapping, std::uint64_t end) override {
    // The kernel's fdatasync of a range: it belongs to the open file that was mapped, and so do the
    // failures that it has yet to report.
    const auto call = [&] { return ::msync(mapping.data(), end, MS_SYNC); };
    if (RepeatInterrupted(call) == 0) return Status::Ok();
    return ErrnoStatus(errno, "sync", path_);
  }

  Status Allocate(std::uint64_t size) override {
    if (size == 0) return Status::Ok();
    const auto call = [&] { return ::fallocate(fd_.get(), 0, 0, static_cast<off_t>(size)); };
    if (RepeatInterrupted(call) == 0) return Status::Ok();
    if (errno != EOPNOTSUPP) return ErrnoStatus(errno, "allocate", path_, Access::kChange);
    FREYJA_ASSIGN_OR_RETURN(const std::uint64_t current, Size());
    return ExtendWithZeros(fd_.get(), path_, current, size);
  }

  Status Truncate(std::uint64_t size) override {
    const auto call = [&] { return ::ftruncate(fd_.get(), static_cast<off_t>(size)); };
    if (RepeatInterrupted(call) == 0) return Status::Ok();
    return ErrnoStatus(errno, "truncate", path_, Access::kChange);
  }

  Status ReleaseTail(std::uint64_t offset) override {
    FREYJA_ASSIGN_OR_RETURN(const std::uint64_t size, Size());
    if (offset >= size) return Status::Ok();
    const std::uint64_t begin = base::RoundUp(offset, kReleaseBytes);
    if (begin >= size) return Status::Ok();
    const auto call = [&] {
      return ::fallocate(fd_.get(), FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
                         static_cast<off_t>(begin),
                         static_cast<off_t>(base::RoundUp(size, kReleaseBytes) - begin));
    };
    if (RepeatInterrupted(call) == 0) return Status::Ok();
    return ErrnoStatus(errno, "release tail of", path_, Access::kChange);
  }

  std::uint64_t NextData(std::uint64_t offset) override {
    struct statfs info;
    if (::fstatfs(fd_.get(), &info) != 0 || !KnowsItsHoles(info.f_type)) return offset;
    const off_t found = ::lseek(fd_.get(), static_cast<off_t>(offset), SEEK_DATA);
    if (found >= 0) return static_cast<std::uint64_t>(found);
    // Only a hole follows, or the end.
    return errno == ENXIO ? UINT64_MAX : offset;
  }

  Result<std::uint64_t> DiskUsage() override {
    FREYJA_ASSIGN_OR_RETURN(const struct stat info, Stat());
    return static_cast<std::uint64_t>(info.st_blocks) * kStatBlockBytes;
  }

  // Without flags to wait it takes no error of an earlier write-out away from the next sync.
  Status StartWriteOut(std::uint64_t offset, std::uint64_t bytes) override {
    const int failed = ::sync_file_range(fd_.get(), static_cast<off64_t>(offset),
                                         static_cast<off64_t>(bytes), SYNC_FILE_RANGE_WRITE);
    // Other errors say that there is no such call here.
    if (failed == 0 || (errno != EIO && errno != ENOSPC && errno != EDQUOT)) return Status::Ok();
    return ErrnoStatus(errno, "write out", path_);
  }

  void DropCache() override { ::posix_fadvise(fd_.get(), 0, 0, POSIX_FADV_DONTNEED); }

  Result<std::unique_ptr<Mapping>> Map(std::uint64_t size, bool writable) override {
    return MapDescriptor(fd_.get(), path_, size, writable);
  }

 private:
  Result<struct stat> Stat() const {
    struct stat info;
    if (::fstat(fd_.get(), &info) == 0) return info;
    return std::unexpected(ErrnoStatus(errno, "stat", path_));
  }

  const std::string path_;
  const Descriptor fd_;
};

}  // namespace

Result<std::unique_ptr<File>> OpenPosixFile(const std::filesystem::path& path, OpenMode mode) {
  // O_NONBLOCK does nothing to a regular file and keeps a pipe by that name from blocking.
  int flags = O_NONBLOCK | (mode == OpenMode::kRead ? O_RDONLY : O_RDWR);
  if (mode == OpenMode::kCreateNew) flags |= O_CREAT | O_EXCL;
  Descriptor fd = OpenDescriptor(path.c_str(), flags);
  if (!fd.valid()) {
    return std::unexpected(ErrnoStatus(errno, mode == OpenMode::kCreateNew ? "create" : "open",
                                       path.native(),
                                       mode == OpenMode::kRead ? Access::kLook : Access::kChange));
  }
  struct stat info;
  if (::fstat(fd.get(), &info) != 0) {
    return std::unexpected(ErrnoStatus(errno, "stat", path.native()));
  }
  if (!S_ISREG(info.st_mode)) {
    return std::unexpected(
        Status(StatusCode::kIoError, "open " + path.native() + ": not a regular file"));
  }
  return std::make_unique<PosixFile>(path.native(), std::move(fd));
}

}  // namespace freyja::io
