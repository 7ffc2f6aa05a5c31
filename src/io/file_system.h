// The operating system as the engine sees it: files, directories, mappings.
//
// Everything the engine does to a disk goes through this interface, so the same
// engine runs on POSIX (posix_file_system.h) and in memory with crashes and faults
// (memory_file_system.h). Implementations are thread-safe, except that one File must
// not be closed (destroyed) while a call to it is under way.
//
// Errors: kNoSpace for ENOSPC, EDQUOT and EFBIG; kNotFound for ENOENT; kAlreadyExists
// for EEXIST; kBusy for a lock held elsewhere; kReadOnly for EROFS and EACCES/EPERM on
// opening for write; kUnsupported where the file system lacks the operation; kIoError
// for the rest. Messages name the path and the operation.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "freyja/status.h"

namespace freyja::io {

enum class OpenMode : std::uint8_t {
  kRead,       // must exist
  kReadWrite,  // must exist
  kCreateNew,  // read-write; must not exist
};

// A shared mapping of the first size() bytes of a file. Stores reach the file; they
// are durable only after File::Sync or SyncMapped. Outlives the File it came from.
// A media error, or a file that someone shortened, turns into faulted() rather than
// into the death of the process: the page then reads as zeros and what was stored in
// it is lost. Whoever reads or writes through a mapping looks at faulted() after data
// that did not verify, and after every store, before believing it.
class Mapping {
 public:
  virtual ~Mapping() = default;
  Mapping(const Mapping&) = delete;
  Mapping& operator=(const Mapping&) = delete;

  std::byte* data() const { return data_; }
  std::size_t size() const { return size_; }
  virtual bool faulted() const = 0;
  // Makes the pages of a range present (writable ones writable) so that touching
  // them does not fault. A hint: failure only costs time.
  virtual void Populate(std::uint64_t offset, std::uint64_t length) = 0;
  // Starts reading a range from the disk as far as it is not in memory, and does not wait for
  // it. A hint, too.
  virtual void WillNeed(std::uint64_t offset, std::uint64_t length) = 0;
  // Takes pages out of the page tables, from that of `begin` to the last that ends at or before
  // `end`; what is in them stays, and the next access maps them again. For pages that are about to
  // be synced and will hardly be stored to any more: writing a mapped page out costs the kernel an
  // interrupt of all cores that run the process. A hint, too.
  virtual void Detach(std::uint64_t begin, std::uint64_t end) = 0;
  // Whether faults are to take 2 MiB of the file at a time, where the file system can do that:
  // fewer faults and shorter ways to an address, but what is changed anywhere in them is synced as
  // a whole. A hint, too; not at first.
  virtual void AdviseHuge(bool huge) = 0;
  // Says that access will be random (no read-ahead).
  virtual void AdviseRandom() = 0;
  // How much of it is in memory now; all of it where that can't be told.
  virtual std::uint64_t ResidentBytes() const = 0;

 protected:
  Mapping() = default;
  std::byte* data_ = nullptr;
  std::size_t size_ = 0;
};

class File {
 public:
  virtual ~File() = default;

  virtual const std::string& path() const = 0;
  virtual Result<std::uint64_t> Size() = 0;
  // Bytes read; fewer than asked for only at the end of the file.
  virtual Result<std::size_t> ReadAt(std::uint64_t offset, std::span<std::byte> out) = 0;
  // Writes all of `data` or fails; on failure any part may have been written.
  virtual Status WriteAt(std::uint64_t offset, std::span<const std::byte> data) = 0;
  // Has the device begin with what was written there, so that a later Sync need not wait for all of
  // it. Nothing is durable by it. kIoError or kNoSpace if it is known by now that something could
  // not be written; what Sync is to report is not taken from it.
  virtual Status StartWriteOut(std::uint64_t offset, std::uint64_t bytes) = 0;
  // Data and size become durable. After a failure nobody may rely on a repeat.
  virtual Status Sync() = 0;
  // As Sync, for the first `end` bytes, rounded up to whole pages, of one of its own mappings.
  // What lies behind may stay off the disk; a failure to write it that is known by now is reported
  // all the same. `end` in [1, size of the mapping]; the size of the file must have been synced
  // since it changed.
  virtual Status SyncMapped(const Mapping& mapping, std::uint64_t end) = 0;
  // Reserves disk blocks for the first `size` bytes and makes the file at least that
  // long, so that stores into a mapping of them can't run out of space. New bytes
  // read as zero. On failure any part of the blocks may have been taken and any part of
  // the length been gained (ext4 keeps what it got before the disk was full).
  virtual Status Allocate(std::uint64_t size) = 0;
  // Sets the size. Never on a file that is mapped beyond the new size.
  virtual Status Truncate(std::uint64_t size) = 0;
  // Gives the blocks from `offset`, rounded up to 4 KiB, on back to the disk; the size
  // stays and the bytes read as zero. kUnsupported where it can't be done.
  virtual Status ReleaseTail(std::uint64_t offset) = 0;
  // The first offset from `offset` on at which there may be anything but zeros; the size, or more,
  // if there is none. `offset` itself where that can't be told.
  virtual std::uint64_t NextData(std::uint64_t offset) = 0;
  // Bytes of disk taken by the file (st_blocks).
  virtual Result<std::uint64_t> DiskUsage() = 0;
  // Asks the kernel to forget cached pages, so that later reads see the device.
  // Best effort; only useful on synced data.
  virtual void DropCache() = 0;
  // kInvalidArgument if the file is shorter than `size`. A mapping of 0 bytes has no data.
  virtual Result<std::unique_ptr<Mapping>> Map(std::uint64_t size, bool writable) = 0;
};

// Held until destroyed.
class FileLock {
 public:
  virtual ~FileLock() = default;
};

class FileSystem {
 public:
  virtual ~FileSystem() = default;

  // Whether its paths are those of the operating system, so that a socket can be made there.
  virtual bool IsNative() const { return false; }

  virtual Result<std::unique_ptr<File>> Open(const std::filesystem::path& path, OpenMode mode) = 0;
  // Replaces `to` atomically. Durable only after SyncDirectory (of both parents).
  virtual Status Rename(const std::filesystem::path& from, const std::filesystem::path& to) = 0;
  virtual Status Unlink(const std::filesystem::path& path) = 0;
  virtual Status CreateDirectory(const std::filesystem::path& path) = 0;  // ok if it exists
  // Names (not paths) of the entries, sorted, without "." and "..".
  virtual Result<std::vector<std::string>> List(const std::filesystem::path& directory) = 0;
  virtual Result<bool> Exists(const std::filesystem::path& path) = 0;
  // kReadOnly if it may not be opened.
  virtual Status SyncDirectory(const std::filesystem::path& directory) = 0;
  // Exclusive (writers) or shared (readers) lock on a file, made if it is missing and
  // the lock is exclusive. kBusy if someone else holds it, in this process or another.
  virtual Result<std::unique_ptr<FileLock>> Lock(const std::filesystem::path& path,
                                                 bool exclusive) = 0;
  virtual Result<std::uint64_t> FreeSpace(const std::filesystem::path& directory) = 0;
  virtual Result<std::uint64_t> Capacity(const std::filesystem::path& directory) = 0;
  virtual Result<bool> SameFileSystem(const std::filesystem::path& a,
                                      const std::filesystem::path& b) = 0;
};

}  // namespace freyja::io
