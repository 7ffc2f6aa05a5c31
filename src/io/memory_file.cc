// Open files and mappings of the in-memory file system.
#include <algorithm>
#include <string_view>

#include "io/memory_disk.h"

namespace freyja::io::memory {
namespace {

class MemoryMapping final : public Mapping {
 public:
  MemoryMapping(InodeUse use, std::byte* data, std::uint64_t size, bool writable)
      : use_(std::move(use)), writable_(writable), faults_before_(use_.inode().faults()) {
    data_ = size > 0 ? data : nullptr;
    size_ = size;
  }

  ~MemoryMapping() override {
    base::MutexLock lock(use_.disk().mutex);
    use_.inode().Unmap(size_, writable_);
  }

  bool faulted() const override { return use_.inode().faults() != faults_before_; }
  void Populate(std::uint64_t, std::uint64_t) override {}
  void WillNeed(std::uint64_t, std::uint64_t) override {}
  void Detach(std::uint64_t, std::uint64_t) override {}
  void AdviseHuge(bool) override {}
  void AdviseRandom() override {}
  std::uint64_t ResidentBytes() const override { return size_; }

 private:
  const InodeUse use_;
  const bool writable_;
  const std::uint64_t faults_before_;
};

class MemoryFile final : public File {
 public:
  MemoryFile(std::string path, InodeUse use, bool writable)
      : path_(std::move(path)), use_(std::move(use)), writable_(writable) {}

  const std::string& path() const override { return path_; }

  Result<std::uint64_t> Size() override {
    return Run(Operation::kStat, [this]() -> Result<std::uint64_t> {
      base::MutexLock lock(disk().mutex);
      return inode().size();
    });
  }

  Result<std::size_t> ReadAt(std::uint64_t offset, std::span<std::byte> out) override {
    auto fault = disk().faults.Begin(Operation::kRead, path_);
    if (fault && fault->short_read_bytes) {
      // Whoever looks at the buffer all the same finds a beginning that is right.
      std::ranges::fill(out, std::byte{0xa5});
      base::MutexLock lock(disk().mutex);
      inode().Read(offset,
                   out.first(std::min<std::uint64_t>(*fault->short_read_bytes, out.size())));
    }
    return FaultPlan::Finish(std::move(fault), [&]() -> Result<std::size_t> {
      base::MutexLock lock(disk().mutex);
      return inode().Read(offset, out);
    });
  }

  Status WriteAt(std::uint64_t offset, std::span<const std::byte> data) override {
    auto fault = disk().faults.Begin(Operation::kWrite, path_);
    if (fault && !fault->after_effect && fault->short_write_bytes) {
      const auto written = std::min<std::uint64_t>(*fault->short_write_bytes, data.size());
      // Whether these bytes arrive or run out of space too, the fault is what is reported.
      const Status outcome =
          Change("write", [&](Inode& file) { return file.Write(offset, data.first(written)); });
      static_cast<void>(outcome);
    }
    return FaultPlan::Finish(std::move(fault), [&] {
      return Change("write", [&](Inode& file) { return file.Write(offset, data); });
    });
  }

  Status Sync() override {
    return SyncBy([](Inode& file) { return file.Sync(); });
  }
  Status SyncMapped(const Mapping& /*mapping*/, std::uint64_t end) override {
    return SyncBy([end](Inode& file) { return file.SyncStart(end); });
  }

  Status Allocate(std::uint64_t size) override {
    return Run(Operation::kAllocate, [&] {
      return Change("allocate", [&](Inode& file) { return file.Allocate(size); });
    });
  }

  Status Truncate(std::uint64_t size) override {
    return Run(Operation::kTruncate, [&] {
      return Change("truncate", [&](Inode& file) { return file.Truncate(size); });
    });
  }

  Status ReleaseTail(std::uint64_t offset) override {
    return Run(Operation::kReleaseTail, [&] {
      return Change("release tail of", [&](Inode& file) {
        file.ReleaseTail(offset);
        return StatusCode::kOk;
      });
    });
  }

  std::uint64_t NextData(std::uint64_t offset) override {
    base::MutexLock lock(disk().mutex);
    return inode().NextData(offset);
  }

  Result<std::uint64_t> DiskUsage() override {
    return Run(Operation::kStat, [this]() -> Result<std::uint64_t> {
      base::MutexLock lock(disk().mutex);
      return inode().disk_bytes();
    });
  }

  Status StartWriteOut(std::uint64_t, std::uint64_t) override { return Status::Ok(); }
  void DropCache() override {}

  Result<std::unique_ptr<Mapping>> Map(std::uint64_t size, bool writable) override {
    return Run(Operation::kMap, [&]() -> Result<std::unique_ptr<Mapping>> {
      base::MutexLock lock(disk().mutex);
      if (writable && (!writable_ || disk().read_only)) {
        return std::unexpected(Outcome("map", StatusCode::kReadOnly));
      }
      if (size > inode().size()) {
        return std::unexpected(Outcome("map", StatusCode::kInvalidArgument));
      }
      auto data = inode().Map(size, writable);
      if (!data) return std::unexpected(Outcome("map", data.error().code()));
      return std::make_unique<MemoryMapping>(use_.Again(), *data, size, writable);
    });
  }

 private:
  Disk& disk() const { return use_.disk(); }
  Inode& inode() const { return use_.inode(); }

  template <typename Effect>
  std::invoke_result_t<Effect> Run(Operation operation, Effect&& effect) {
    return disk().faults.Run(operation, path_, std::forward<Effect>(effect));
  }

  template <typename Effect>
  Status SyncBy(Effect&& effect) {
    auto fault = disk().faults.Begin(Operation::kSync, path_);
    if (fault && !fault->after_effect && fault->sync_drops_dirty) {
      base::MutexLock lock(disk().mutex);
      inode().DropDirty();
    }
    return FaultPlan::Finish(std::move(fault), [&] {
      base::MutexLock lock(disk().mutex);
      Status lost = inode().TakeWriteBackError();
      const StatusCode synced = effect(inode());
      return lost.ok() ? Outcome("sync", synced) : lost;
    });
  }

  template <typename Effect>
  Status Change(std::string_view operation, Effect&& effect) {
    base::MutexLock lock(disk().mutex);
    if (!writable_ || disk().read_only) return Outcome(operation, StatusCode::kReadOnly);
    return Outcome(operation, effect(inode()));
  }

  Status Outcome(std::string_view operation, StatusCode code) const {
    if (code == StatusCode::kOk) return Status::Ok();
    std::string_view reason = "I/O error";
    if (code == StatusCode::kNoSpace) reason = "no space left";
    if (code == StatusCode::kReadOnly) reason = "read-only";
    if (code == StatusCode::kInvalidArgument) reason = "the file is shorter than that";
    if (code == StatusCode::kUnsupported) reason = "grows too far while it is mapped";
    if (code == StatusCode::kOutOfMemory) reason = "out of memory";
    return {code, std::string(operation) + " " + path_ + ": " + std::string(reason)};
  }

  const std::string path_;
  const InodeUse use_;
  const bool writable_;
};

}  // namespace

std::unique_ptr<File> MakeMemoryFile(std::string path, InodeUse use, bool writable) {
  return std::make_unique<MemoryFile>(std::move(path), std::move(use), writable);
}

}  // namespace freyja::io::memory
