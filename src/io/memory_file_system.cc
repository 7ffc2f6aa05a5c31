#include "io/memory_file_system.h"

#include <string_view>
#include <utility>

#include "io/memory_disk.h"

namespace freyja::io {
namespace {

namespace fs = std::filesystem;
using memory::CheckChange;
using memory::CheckDirectory;
using memory::CreateFile;
using memory::Disk;
using memory::Failure;
using memory::FindFile;
using memory::Inode;
using memory::InodeUse;
using memory::KeyOf;
using memory::Node;

// The innermost mount that holds `key`.
std::string MountOf(const Disk& disk, const std::string& key) FREYJA_REQUIRES(disk.mutex) {
  std::string mount = "/";
  for (const std::string& candidate : disk.mounts) {
    const bool inside = key == candidate || key.starts_with(candidate + "/");
    if (inside && candidate.size() > mount.size()) mount = candidate;
  }
  return mount;
}

Status RenameEntry(Disk& disk, const fs::path& from, const fs::path& to)
    FREYJA_REQUIRES(disk.mutex) {
  const std::string from_key = KeyOf(from);
  const std::string to_key = KeyOf(to);
  FREYJA_RETURN_IF_ERROR(CheckChange(disk, "rename", from, from_key));
  const Node* const node = disk.names->Find(from_key);
  if (node == nullptr) return Failure(StatusCode::kNotFound, "rename", from, "no such file");
  if (node->is_directory()) {
    return Failure(StatusCode::kUnsupported, "rename", from, "is a directory");
  }
  FREYJA_RETURN_IF_ERROR(CheckChange(disk, "rename", to, to_key));
  if (const Node* target = disk.names->Find(to_key); target && target->is_directory()) {
    return Failure(StatusCode::kIoError, "rename", to, "is a directory");
  }
  if (MountOf(disk, from_key) != MountOf(disk, to_key)) {
    return Failure(StatusCode::kIoError, "rename", from, "not on the same file system");
  }
  if (from_key == to_key) return Status::Ok();
  disk.names->Commit({{from_key, std::nullopt}, {to_key, Node{*node}}});
  return Status::Ok();
}

class MemoryLock final : public FileLock {
 public:
  MemoryLock(InodeUse use, bool exclusive) : use_(std::move(use)), exclusive_(exclusive) {}
  ~MemoryLock() override {
    base::MutexLock lock(use_.disk().mutex);
    use_.inode().Unlock(exclusive_);
  }

 private:
  const InodeUse use_;
  const bool exclusive_;
};

class EmptyLock final : public FileLock {};

}  // namespace

MemoryFileSystem::MemoryFileSystem() : MemoryFileSystem(std::make_shared<Disk>()) {
  SetCapacity(kDefaultCapacityBytes);
}

MemoryFileSystem::MemoryFileSystem(std::shared_ptr<Disk> disk) : disk_(std::move(disk)) {}

MemoryFileSystem::~MemoryFileSystem() = default;

Result<std::unique_ptr<File>> MemoryFileSystem::Open(const fs::path& path, OpenMode mode) {
  const bool create = mode == OpenMode::kCreateNew;
  return disk_->faults.Run(
      create ? Operation::kCreate : Operation::kOpen, path, [&]() -> Result<std::unique_ptr<File>> {
        base::MutexLock lock(disk_->mutex);
        auto inode = create ? CreateFile(*disk_, path) : FindFile(*disk_, "open", path);
        if (!inode) return std::unexpected(std::move(inode).error());
        if (mode == OpenMode::kReadWrite && disk_->read_only) {
          return std::unexpected(Failure(StatusCode::kReadOnly, "open", path, "read-only"));
        }
        return memory::MakeMemoryFile(path.native(), InodeUse(disk_, *std::move(inode)),
                                      mode != OpenMode::kRead);
      });
}

Status MemoryFileSystem::Rename(const fs::path& from, const fs::path& to) {
  return memory::FaultPlan::Finish(disk_->faults.Begin(Operation::kRename, to, from), [&] {
    base::MutexLock lock(disk_->mutex);
    return RenameEntry(*disk_, from, to);
  });
}

Status MemoryFileSystem::Unlink(const fs::path& path) {
  return disk_->faults.Run(Operation::kUnlink, path, [&]() -> Status {
    base::MutexLock lock(disk_->mutex);
    const std::string key = KeyOf(path);
    FREYJA_RETURN_IF_ERROR(CheckChange(*disk_, "unlink", path, key));
    FREYJA_ASSIGN_OR_RETURN(const auto inode, FindFile(*disk_, "unlink", path));
    disk_->names->Commit({{key, std::nullopt}});
    return Status::Ok();
  });
}

Status MemoryFileSystem::CreateDirectory(const fs::path& path) {
  return disk_->faults.Run(Operation::kCreateDirectory, path, [&]() -> Status {
    base::MutexLock lock(disk_->mutex);
    const std::string key = KeyOf(path);
    if (const Node* const node = disk_->names->Find(key); node != nullptr) {
      return node->is_directory()
                 ? Status::Ok()
                 : Failure(StatusCode::kAlreadyExists, "create directory", path, "is a file");
    }
    FREYJA_RETURN_IF_ERROR(CheckChange(*disk_, "create directory", path, key));
    disk_->names->Commit({{key, Node{}}});
    return Status::Ok();
  });
}

Result<std::vector<std::string>> MemoryFileSystem::List(const fs::path& directory) {
  return disk_->faults.Run(Operation::kList, directory, [&]() -> Result<std::vector<std::string>> {
    base::MutexLock lock(disk_->mutex);
    const std::string key = KeyOf(directory);
    FREYJA_RETURN_IF_ERROR(CheckDirectory(*disk_, "list", directory, key));
    return disk_->names->List(key);
  });
}

Result<bool> MemoryFileSystem::Exists(const fs::path& path) {
  return disk_->faults.Run(Operation::kStat, path, [&]() -> Result<bool> {
    base::MutexLock lock(disk_->mutex);
    return disk_->names->Find(KeyOf(path)) != nullptr;
  });
}

Status MemoryFileSystem::SyncDirectory(const fs::path& directory) {
  return disk_->faults.Run(Operation::kSyncDirectory, directory, [&]() -> Status {
    base::MutexLock lock(disk_->mutex);
    const std::string key = KeyOf(directory);
    FREYJA_RETURN_IF_ERROR(CheckDirectory(*disk_, "sync directory", directory, key));
    disk_->names->SyncDirectory(key);
    return Status::Ok();
  });
}

Result<std::unique_ptr<FileLock>> MemoryFileSystem::Lock(const fs::path& path, bool exclusive) {
  return disk_->faults.Run(Operation::kLock, path, [&]() -> Result<std::unique_ptr<FileLock>> {
    base::MutexLock lock(disk_->mutex);
    if (exclusive && disk_->read_only) {
      return std::unexpected(Failure(StatusCode::kReadOnly, "lock", path, "read-only"));
    }
    auto inode = FindFile(*disk_, "lock", path);
    if (!inode && inode.error().code() == StatusCode::kNotFound) {
      if (!exclusive) return std::make_unique<EmptyLock>();
      inode = CreateFile(*disk_, path);
    }
    if (!inode) return std::unexpected(std::move(inode).error());
    if (!(*inode)->TryLock(exclusive)) {
      return std::unexpected(Failure(StatusCode::kBusy, "lock", path, "held elsewhere"));
    }
    return std::make_unique<MemoryLock>(InodeUse(disk_, *std::move(inode)), exclusive);
  });
}

Result<std::uint64_t> MemoryFileSystem::FreeSpace(const fs::path& directory) {
  return disk_->faults.Run(Operation::kStat, directory, [&]() -> Result<std::uint64_t> {
    base::MutexLock lock(disk_->mutex);
    FREYJA_RETURN_IF_ERROR(CheckDirectory(*disk_, "statvfs", directory, KeyOf(directory)));
    return disk_->space.free_blocks() * memory::kBlockBytes;
  });
}

Result<std::uint64_t> MemoryFileSystem::Capacity(const fs::path& directory) {
  return disk_->faults.Run(Operation::kStat, directory, [&]() -> Result<std::uint64_t> {
    base::MutexLock lock(disk_->mutex);
    FREYJA_RETURN_IF_ERROR(CheckDirectory(*disk_, "statvfs", directory, KeyOf(directory)));
    return disk_->space.capacity_blocks * memory::kBlockBytes;
  });
}

Result<bool> MemoryFileSystem::SameFileSystem(const fs::path& a, const fs::path& b) {
  return disk_->faults.Run(Operation::kStat, a, [&]() -> Result<bool> {
    base::MutexLock lock(disk_->mutex);
    for (const fs::path& path : {a, b}) {
      if (disk_->names->Find(KeyOf(path)) != nullptr) continue;
      return std::unexpected(Failure(StatusCode::kNotFound, "stat", path, "no such file"));
    }
    return MountOf(*disk_, KeyOf(a)) == MountOf(*disk_, KeyOf(b));
  });
}

std::vector<FiredFault> MemoryFileSystem::FirstFaultsFired() const {
  return disk_->faults.first_fired();
}

Status MemoryFileSystem::FailWriteBack(const fs::path& path, Status error) {
  // Under the lock of the disk: a sync that is under way comes before it or learns of it.
  base::MutexLock lock(disk_->mutex);
  FREYJA_ASSIGN_OR_RETURN(const auto inode, FindFile(*disk_, "write back", path));
  inode->FailWriteBack(std::move(error));
  return Status::Ok();
}

}  // namespace freyja::io
