// One file of the in-memory file system: what programs see of it, and what the disk
// would still have after a power cut.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <random>
#include <set>
#include <span>
#include <utility>
#include <vector>

#include "freyja/status.h"
#include "io/memory_region.h"
#include "io/memory_versions.h"

namespace freyja::io::memory {

// What the files of a disk share: its blocks, and whether their versions are kept.
struct Space {
  std::uint64_t capacity_blocks = 0;
  std::uint64_t used_blocks = 0;
  bool keep_versions = false;
  std::uint64_t last_stamp = 0;  // of a version

  // A shrunken disk, or a crash image, may use more than it has.
  std::uint64_t free_blocks() const {
    return capacity_blocks > used_blocks ? capacity_blocks - used_blocks : 0;
  }
};

// Decides what survives a crash.
class Coin {
 public:
  Coin(std::uint64_t seed, double keep_probability) : random_(seed), keep_(keep_probability) {}
  bool Keep() { return keep_(random_); }

 private:
  std::mt19937_64 random_;
  std::bernoulli_distribution keep_;
};

// Guarded as a whole by the mutex of the file system it belongs to, except that stores
// into mappings come at any time and faults() may be read at any time.
//
// "Current" is the page cache, "durable" the disk; in between are the versions that Observe
// took note of, each of which may have been written back. Stores into mappings can't be seen
// happening, so Sync compares the blocks that a writable mapping has covered since the
// last one; blocks written by calls are tracked. Bytes past the size are zero in both.
class Inode {
 public:
  explicit Inode(Space& space) : space_(space) {}
  Inode(const Inode&) = delete;
  Inode& operator=(const Inode&) = delete;

  std::uint64_t size() const { return size_; }
  std::uint64_t disk_bytes() const;

  std::size_t Read(std::uint64_t offset, std::span<std::byte> out) const;
  // `offset`, if it is in a block that the disk has, or where the next such block begins; the size,
  // or more, if there is none.
  std::uint64_t NextData(std::uint64_t offset) const;
  // All of it; stores into mappings may go on meanwhile.
  std::vector<std::byte> Contents() const;
  // kNoSpace writes or, as on ext4, allocates what fits. kUnsupported: growth past the reserve
  // of a mapped file, which is at least four times the size it had when it was mapped.
  StatusCode Write(std::uint64_t offset, std::span<const std::byte> data);
  StatusCode Allocate(std::uint64_t size);
  StatusCode Truncate(std::uint64_t size);
  void ReleaseTail(std::uint64_t offset);

  StatusCode Sync();
  // The blocks that hold the first `end` bytes. kUnsupported if the size is not synced: no disk
  // promises it then.
  StatusCode SyncStart(std::uint64_t end);
  // Takes a version of each sector and of the size that has changed since the last one was
  // taken, if the disk keeps versions. The calls above do it by themselves, so this is for
  // stores into mappings. Returns the stamp of what it took.
  std::uint64_t Observe();
  // A failed sync that leaves its pages marked clean: what was dirty never reaches the
  // disk, unless it is changed once more, although later syncs succeed.
  void DropDirty();
  // The same with nobody asking: the next sync has to say so.
  void FailWriteBack(Status error) {
    DropDirty();
    write_back_error_ = std::move(error);
  }
  Status TakeWriteBackError() { return std::exchange(write_back_error_, Status::Ok()); }

  // The address of the content, stable until the matching Unmap. `size` <= size().
  Result<std::byte*> Map(std::uint64_t size, bool writable);
  void Unmap(std::uint64_t size, bool writable);
  // How often blocks under mappings have been lost; a mapping is faulted when this has
  // grown since it was made.
  const std::atomic<std::uint64_t>& faults() const { return faults_; }
  // Loses the block at `offset`, which is less than size().
  void LoseBlock(std::uint64_t offset);
  // Damages one byte, on the disk too. False past the end.
  bool FlipBits(std::uint64_t offset, std::byte mask);

  // Users are directory entries, open files, mappings and locks. The last one to go
  // gives the disk space back.
  void AddUser() { ++users_; }
  void RemoveUser();

  bool TryLock(bool exclusive);
  void Unlock(bool exclusive);

  // Copies for crash images; no users, no mappings. Null if memory ran out.
  std::shared_ptr<Inode> Clone(Space& space) const;
  // `coin` null: everything unsynced is lost.
  std::shared_ptr<Inode> AfterPowerLoss(Coin* coin, Space& space) const;

  // With everything that was observed.
  FrozenInode Freeze();
  // A file whose synced content is that of `frozen` with `sectors` in place of some of its
  // own, all of it durable. Null if memory ran out.
  static std::shared_ptr<Inode> Thaw(
      const FrozenInode& frozen, std::uint64_t size,
      std::span<const std::pair<std::uint64_t, const SectorVersion*>> sectors, Space& space);
  // The file as it was, nothing lost: what wasn't synced still isn't.
  static std::shared_ptr<Inode> ThawUnsynced(const FrozenInode& frozen, Space& space);

 private:
  struct Range {
    std::uint64_t begin = 0;
    std::uint64_t end = 0;
  };

  // As Observe; `written`: a new size is that of a write.
  void TakeVersions(bool written);
  void TakeVersionsOfBlock(std::uint64_t offset);
  StatusCode Reserve(std::uint64_t bytes);
  bool GrowDurable(std::uint64_t bytes);  // `bytes` within the content
  // Takes disk space for blocks [begin, end); false if a block is missing, with those
  // before it taken.
  bool TakeBlocks(std::uint64_t begin, std::uint64_t end, bool beyond_capacity = false);
  void GiveBlocksFrom(std::uint64_t begin);
  // False if there is no memory for it.
  bool CopyToDisk(Range range);
  void MarkDirty(std::uint64_t begin, std::uint64_t end);
  Range DirtyRange() const;
  void ForgetDirty();
  // Whether the page cache holds the block clean, at this content, by a dropped sync.
  bool IsDropped(std::uint64_t offset) const;

  Space& space_;
  std::uint64_t size_ = 0;
  Region content_;
  std::vector<bool> blocks_;  // taken on the disk
  std::uint64_t users_ = 0;

  std::uint64_t durable_size_ = 0;
  Region durable_;
  FileVersions versions_;
  std::shared_ptr<const SyncedContent> synced_;  // as durable_; null: to be made when needed
  Range dirty_;
  std::map<std::uint64_t, std::unique_ptr<Region>> dropped_;  // offset -> block, then clean
  Status write_back_error_;

  std::multiset<std::uint64_t> mapped_;    // sizes of the live mappings
  std::multiset<std::uint64_t> writable_;  // those of them that can be stored to
  std::uint64_t stored_end_ = 0;           // furthest a store can have reached since a sync
  std::atomic<std::uint64_t> faults_ = 0;

  std::uint64_t shared_locks_ = 0;
  bool exclusive_lock_ = false;
};

}  // namespace freyja::io::memory
