// What a MemoryFileSystem, its files, mappings and locks share.
#pragma once

#include <filesystem>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <utility>

#include "base/mutex.h"
#include "io/file_system.h"
#include "io/memory_faults.h"
#include "io/memory_inode.h"
#include "io/memory_namespace.h"

namespace freyja::io::memory {

// One mutex for everything keeps a crash image consistent: no call is half done in it.
struct Disk {
  FaultPlan faults;  // self-synchronised; never called under the mutex

  base::Mutex mutex;
  Space space FREYJA_GUARDED_BY(mutex);
  std::unique_ptr<Namespace> names FREYJA_GUARDED_BY(mutex) = std::make_unique<Namespace>();
  std::set<std::string> mounts FREYJA_GUARDED_BY(mutex);
  bool read_only FREYJA_GUARDED_BY(mutex) = false;
};

// Absolute and normal: what the tree of names is sorted by.
std::string KeyOf(const std::filesystem::path& path);

Status Failure(StatusCode code, std::string_view operation, const std::filesystem::path& path,
               std::string_view reason);

// That `key` is a directory.
Status CheckDirectory(const Disk& disk, std::string_view operation,
                      const std::filesystem::path& path, const std::string& key)
    FREYJA_REQUIRES(disk.mutex);
// That an entry may be added to, replaced in or removed from the parent of `key`.
Status CheckChange(const Disk& disk, std::string_view operation, const std::filesystem::path& path,
                   const std::string& key) FREYJA_REQUIRES(disk.mutex);
// The file that `path` names.
Result<std::shared_ptr<Inode>> FindFile(const Disk& disk, std::string_view operation,
                                        const std::filesystem::path& path)
    FREYJA_REQUIRES(disk.mutex);
Result<std::shared_ptr<Inode>> CreateFile(Disk& disk, const std::filesystem::path& path)
    FREYJA_REQUIRES(disk.mutex);

// Keeps an inode, and its disk space, in use. Made with the disk's mutex held and ended
// without it.
class InodeUse {
 public:
  InodeUse(std::shared_ptr<Disk> disk, std::shared_ptr<Inode> inode)
      : disk_(std::move(disk)), inode_(std::move(inode)) {
    inode_->AddUser();
  }
  InodeUse(InodeUse&&) = default;
  InodeUse& operator=(InodeUse&&) = delete;
  ~InodeUse() {
    if (inode_ == nullptr) return;
    base::MutexLock lock(disk_->mutex);
    inode_->RemoveUser();
  }

  // One more use of the same inode; with the mutex held.
  InodeUse Again() const { return {disk_, inode_}; }
  Disk& disk() const { return *disk_; }
  Inode& inode() const { return *inode_; }  // guarded by the disk's mutex

 private:
  std::shared_ptr<Disk> disk_;
  std::shared_ptr<Inode> inode_;
};

// `path` as its caller wrote it, for messages. With the mutex held.
std::unique_ptr<File> MakeMemoryFile(std::string path, InodeUse use, bool writable);

}  // namespace freyja::io::memory
