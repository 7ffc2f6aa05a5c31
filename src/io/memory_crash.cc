// Crash images and the other ways in which tests hurt a MemoryFileSystem.
#include <unordered_map>
#include <utility>

#include "base/status_macros.h"
#include "io/memory_crash_states.h"
#include "io/memory_disk.h"
#include "io/memory_file_system.h"

namespace freyja::io {

namespace fs = std::filesystem;
using memory::CreateFile;
using memory::Disk;
using memory::Failure;
using memory::FindFile;
using memory::Inode;
using memory::KeyOf;
using memory::Node;

std::unique_ptr<MemoryFileSystem> MemoryFileSystem::CrashImage(const CrashOptions& options) const {
  auto image = std::make_shared<Disk>();
  base::MutexLock lock(disk_->mutex);
  base::MutexLock image_lock(image->mutex);
  image->space.capacity_blocks = disk_->space.capacity_blocks;
  image->mounts = disk_->mounts;

  memory::Coin coin(options.seed, options.keep_probability);
  memory::Coin* const chance = options.mode == CrashOptions::Mode::kRandom ? &coin : nullptr;
  const bool power_lives = options.mode == CrashOptions::Mode::kProcessKill;
  bool out_of_memory = false;
  // By identity: one inode may be found under two names.
  std::unordered_map<const Inode*, std::shared_ptr<Inode>> copies;
  memory::Space* const space = &image->space;
  const auto convert = [&](const Inode& inode) {
    std::shared_ptr<Inode>& copy = copies[&inode];
    if (copy != nullptr) return copy;
    copy = power_lives ? inode.Clone(*space) : inode.AfterPowerLoss(chance, *space);
    if (copy == nullptr) {
      out_of_memory = true;
      copy = std::make_shared<Inode>(*space);
    }
    return copy;
  };
  image->names =
      power_lives ? disk_->names->Clone(convert) : disk_->names->AfterPowerLoss(chance, convert);
  if (out_of_memory) return nullptr;
  return std::unique_ptr<MemoryFileSystem>(new MemoryFileSystem(image));
}

void MemoryFileSystem::KeepVersions(bool keep) {
  base::MutexLock lock(disk_->mutex);
  disk_->space.keep_versions = keep;
}

void MemoryFileSystem::Observe() {
  base::MutexLock lock(disk_->mutex);
  if (!disk_->space.keep_versions) return;
  for (const auto& file : disk_->names->Files()) file->Observe();
}

std::shared_ptr<const CrashStates> MemoryFileSystem::Freeze() {
  base::MutexLock lock(disk_->mutex);
  const bool kept = std::exchange(disk_->space.keep_versions, true);
  auto states = std::make_shared<const CrashStates>(disk_->names->Freeze(), disk_->names->Files(),
                                                    disk_->space.capacity_blocks, disk_->mounts);
  disk_->space.keep_versions = kept;
  return states;
}

void MemoryFileSystem::InjectFault(Fault fault) { disk_->faults.Inject(std::move(fault)); }
void MemoryFileSystem::ClearFaults() { disk_->faults.Clear(); }
std::uint64_t MemoryFileSystem::FaultsFired() const { return disk_->faults.fired(); }

void MemoryFileSystem::SetOperationHook(memory::FaultPlan::Hook hook) {
  disk_->faults.SetHook(std::move(hook));
}

std::uint64_t MemoryFileSystem::OperationCount() const { return disk_->faults.operations(); }
std::uint64_t MemoryFileSystem::OperationCount(Operation operation) const {
  return disk_->faults.operations(operation);
}

void MemoryFileSystem::SetCapacity(std::uint64_t bytes) {
  base::MutexLock lock(disk_->mutex);
  disk_->space.capacity_blocks = bytes / memory::kBlockBytes;
}

void MemoryFileSystem::MakeReadOnly(bool read_only) {
  base::MutexLock lock(disk_->mutex);
  disk_->read_only = read_only;
}

void MemoryFileSystem::AddMount(const fs::path& path) {
  base::MutexLock lock(disk_->mutex);
  const std::string key = KeyOf(path);
  if (disk_->names->Find(key) == nullptr) {
    disk_->names->Commit({{key, Node{}}});
    disk_->names->SyncDirectory(memory::ParentOf(key));
  }
  disk_->mounts.insert(key);
}

Status MemoryFileSystem::Corrupt(const fs::path& path, std::uint64_t offset, std::byte xor_mask) {
  base::MutexLock lock(disk_->mutex);
  FREYJA_ASSIGN_OR_RETURN(const auto inode, FindFile(*disk_, "corrupt", path));
  if (!inode->FlipBits(offset, xor_mask)) {
    return Failure(StatusCode::kInvalidArgument, "corrupt", path, "the file is shorter");
  }
  return Status::Ok();
}

Result<std::vector<std::byte>> MemoryFileSystem::Contents(const fs::path& path) const {
  base::MutexLock lock(disk_->mutex);
  FREYJA_ASSIGN_OR_RETURN(const auto inode, FindFile(*disk_, "read", path));
  return inode->Contents();
}

Status MemoryFileSystem::Overwrite(const fs::path& path, std::span<const std::byte> bytes) {
  base::MutexLock lock(disk_->mutex);
  auto inode = FindFile(*disk_, "overwrite", path);
  if (!inode && inode.error().code() == StatusCode::kNotFound) {
    inode = CreateFile(*disk_, path);
    disk_->names->SyncDirectory(memory::ParentOf(KeyOf(path)));
  }
  if (!inode) return std::move(inode).error();
  for (const StatusCode code :
       {(*inode)->Truncate(0), (*inode)->Write(0, bytes), (*inode)->Sync()}) {
    if (code != StatusCode::kOk) return Failure(code, "overwrite", path, "failed");
  }
  return Status::Ok();
}

Status MemoryFileSystem::LoseBlock(const fs::path& path, std::uint64_t offset) {
  base::MutexLock lock(disk_->mutex);
  FREYJA_ASSIGN_OR_RETURN(const auto inode, FindFile(*disk_, "lose block of", path));
  if (offset >= inode->size()) {
    return Failure(StatusCode::kInvalidArgument, "lose block of", path, "the file is shorter");
  }
  inode->LoseBlock(offset);
  return Status::Ok();
}

}  // namespace freyja::io
