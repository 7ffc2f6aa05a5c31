// A FileSystem in memory, with crashes, faults and a disk that fills up.
//
// It keeps two states: what programs see, and what a power cut would leave.
// - Content and size of a file become durable with File::Sync (also those of a file whose
//   name isn't durable yet). Stores into mappings are visible to ReadAt at once.
// - Creating, renaming and unlinking become durable with SyncDirectory of the parent. A
//   rename within one directory is atomic at every crash. One between directories is
//   atomic until one of the two is synced, which makes that half durable alone.
// - Disk space is counted in blocks of 4 KiB for file content; names are free, but a file
//   can't be created on a full disk. Space comes back with Truncate, ReleaseTail, and
//   Unlink once no file, mapping or lock uses the inode. A store into a hole (a block that
//   was neither written nor allocated) is not charged. Allocate takes what there is before it
//   fails, as on ext4.
// Paths are relative to "/", which exists. Directories can't be renamed (kUnsupported).
// While a file is mapped it can grow to four times its size, at least 128 KiB.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "io/file_system.h"
#include "io/memory_faults.h"

namespace freyja::io {

struct CrashOptions {
  enum class Mode : std::uint8_t {
    // The process dies, the machine lives: all that was written survives, still unsynced.
    kProcessKill,
    // Power loss right after which nothing unsynced is found.
    kLoseAllUnsynced,
    // Power loss. Of what was not synced, each 512-byte sector, each file's size and each
    // change of a directory is found, or not, independently of the others.
    kRandom,
  };
  Mode mode = Mode::kRandom;
  std::uint64_t seed = 0;  // the same state and seed give the same image
  double keep_probability = 0.5;
};

namespace memory {
struct Disk;
}
class CrashStates;  // memory_crash_states.h

// Thread-safe. Files, mappings and locks may outlive it.
class MemoryFileSystem final : public FileSystem {
 public:
  static constexpr std::uint64_t kDefaultCapacityBytes = std::uint64_t{1} << 40;

  MemoryFileSystem();
  ~MemoryFileSystem() override;

  Result<std::unique_ptr<File>> Open(const std::filesystem::path& path, OpenMode mode) override;
  Status Rename(const std::filesystem::path& from, const std::filesystem::path& to) override;
  Status Unlink(const std::filesystem::path& path) override;
  Status CreateDirectory(const std::filesystem::path& path) override;
  Result<std::vector<std::string>> List(const std::filesystem::path& directory) override;
  Result<bool> Exists(const std::filesystem::path& path) override;
  Status SyncDirectory(const std::filesystem::path& directory) override;
  Result<std::unique_ptr<FileLock>> Lock(const std::filesystem::path& path,
                                         bool exclusive) override;
  Result<std::uint64_t> FreeSpace(const std::filesystem::path& directory) override;
  Result<std::uint64_t> Capacity(const std::filesystem::path& directory) override;
  Result<bool> SameFileSystem(const std::filesystem::path& a,
                              const std::filesystem::path& b) override;

  // The file system as it may be found after a crash at this moment; this one goes on
  // undisturbed. Capacity and mounts carry over; open files, locks, faults, the hook and
  // read-only don't. No call of the file system runs meanwhile, but stores into mappings
  // may, and then the image can hold a later store without an earlier one: quiesce them if
  // that matters. Null if memory runs out.
  std::unique_ptr<MemoryFileSystem> CrashImage(const CrashOptions& options) const;

  // The states in which a crash may leave it now, with a moment's content of each sector and
  // each size as one alternative. Moments are this call, Observe, and each call that changes
  // a file; from the first of them after KeepVersions(true) on. Costs time and memory, so it
  // is off unless asked for. Without it only what is synced and what is current is known.
  void KeepVersions(bool keep);
  void Observe();
  std::shared_ptr<const CrashStates> Freeze();

  // Several faults may be armed; the first one that matches a call fires. One that isn't
  // sticky fires once.
  void InjectFault(Fault fault);
  void ClearFaults();
  std::uint64_t FaultsFired() const;
  std::vector<FiredFault> FirstFaultsFired() const;  // the first few of them
  // Called before each operation, on its thread and without locks; it may use this object,
  // CrashImage above all (operations inside the hook call the hook again). A rename is
  // reported with its target.
  void SetOperationHook(memory::FaultPlan::Hook hook);
  std::uint64_t OperationCount() const;
  std::uint64_t OperationCount(Operation operation) const;

  // Rounded down to blocks. Less than what is in use means a full disk.
  void SetCapacity(std::uint64_t bytes);
  // Refuses every change with kReadOnly; files open for writing lose that right too.
  // Stores into existing mappings go on.
  void MakeReadOnly(bool read_only);
  // What lies in `path` is another file system: renames to and from it fail. It shares the
  // capacity. The directory is made if it is missing.
  void AddMount(const std::filesystem::path& path);

  // Behind the back of whoever has the file open; not operations, never faulted, durable at
  // once. kNotFound if there is no such file, kInvalidArgument past its end.
  Status Corrupt(const std::filesystem::path& path, std::uint64_t offset, std::byte xor_mask);
  Result<std::vector<std::byte>> Contents(const std::filesystem::path& path) const;
  // Replaces the content, or makes the file; not for a file that is mapped.
  Status Overwrite(const std::filesystem::path& path, std::span<const std::byte> bytes);
  // The kernel's own writing of `path` fails before anybody syncs it: what was not durable is
  // marked clean and never becomes so, and the next sync of the file says so with `error`.
  Status FailWriteBack(const std::filesystem::path& path, Status error);
  // A media error: the 4 KiB at `offset` read as zeros and live mappings are faulted().
  Status LoseBlock(const std::filesystem::path& path, std::uint64_t offset);

 private:
  friend class CrashStates;
  explicit MemoryFileSystem(std::shared_ptr<memory::Disk> disk);

  const std::shared_ptr<memory::Disk> disk_;
};

}  // namespace freyja::io
