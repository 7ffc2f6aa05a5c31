#include "io/posix_mapping.h"

#include <errno.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "io/fault_guard.h"
#include "io/posix_io.h"

namespace freyja::io {
namespace {

class PosixMapping final : public Mapping {
 public:
  // Takes over the mapped range; `guard` covers it.
  PosixMapping(void* data, std::size_t size, bool writable, std::optional<FaultGuard> guard)
      : guard_(std::move(guard)), writable_(writable) {
    data_ = static_cast<std::byte*>(data);
    size_ = size;
  }

  ~PosixMapping() override {
    // In this order: once unmapped, the addresses may belong to somebody else's mapping.
    guard_.reset();
    if (size_ > 0) ::munmap(data_, size_);
  }

  bool faulted() const override { return guard_ && guard_->faulted(); }

  void Populate(std::uint64_t offset, std::uint64_t length) override {
    Advise(offset, length, writable_ ? MADV_POPULATE_WRITE : MADV_POPULATE_READ);
  }

  void WillNeed(std::uint64_t offset, std::uint64_t length) override {
    // More than the device's read-ahead is cut off, and that is rarely less than this.
    constexpr std::uint64_t kPiece = 128 << 10;
    const std::uint64_t end =
        offset + std::min<std::uint64_t>(length, size_ - std::min(offset, size_));
    for (; offset < end; offset += kPiece) {
      Advise(offset, std::min(kPiece, end - offset), MADV_WILLNEED);
    }
  }

  void Detach(std::uint64_t begin, std::uint64_t end) override {
    const std::uint64_t page = static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE));
    begin = begin / page * page;
    end = std::min<std::uint64_t>(end, size_) / page * page;
    if (begin < end) ::madvise(data_ + begin, end - begin, MADV_DONTNEED);
  }

  void AdviseHuge(bool huge) override {
    if (size_ == 0 || huge_.exchange(huge) == huge) return;
    ::madvise(data_, size_, huge ? MADV_HUGEPAGE : MADV_NOHUGEPAGE);
  }

  void AdviseRandom() override {
    if (size_ > 0) ::madvise(data_, size_, MADV_RANDOM);
  }

  std::uint64_t ResidentBytes() const override {
    const std::uint64_t page = static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE));
    std::vector<unsigned char> pages((size_ + page - 1) / page);
    if (size_ == 0 || ::mincore(data_, size_, pages.data()) != 0) return size_;
    const auto resident =
        std::ranges::count_if(pages, [](unsigned char p) { return (p & 1) != 0; });
    return std::min<std::uint64_t>(size_, static_cast<std::uint64_t>(resident) * page);
  }

 private:
  void Advise(std::uint64_t offset, std::uint64_t length, int advice) {
    if (offset >= size_) return;
    const std::uint64_t page = static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE));
    const std::uint64_t begin = offset / page * page;
    const std::uint64_t end = offset + std::min<std::uint64_t>(length, size_ - offset);
    ::madvise(data_ + begin, end - begin, advice);
  }

  std::optional<FaultGuard> guard_;  // absent only when nothing is mapped
  const bool writable_;
  std::atomic<bool> huge_{false};  // as advised last: the call takes a lock of the whole process
};

}  // namespace

Result<std::unique_ptr<Mapping>> MapDescriptor(int fd, std::string_view path, std::uint64_t size,
                                               bool writable) {
  struct stat info;
  if (::fstat(fd, &info) != 0) return std::unexpected(ErrnoStatus(errno, "stat", path));
  if (size > static_cast<std::uint64_t>(info.st_size)) {
    return std::unexpected(
        Status(StatusCode::kInvalidArgument, "map " + std::string(path) + ": the file has " +
                                                 std::to_string(info.st_size) + " bytes, not " +
                                                 std::to_string(size)));
  }
  if (size == 0) return std::make_unique<PosixMapping>(nullptr, 0, writable, std::nullopt);

  void* const data =
      ::mmap(nullptr, size, writable ? PROT_READ | PROT_WRITE : PROT_READ, MAP_SHARED, fd, 0);
  if (data == MAP_FAILED) {
    return std::unexpected(
        ErrnoStatus(errno, "map", path, writable ? Access::kChange : Access::kLook));
  }
  auto guard = FaultGuard::Protect(data, size, writable);
  if (!guard) {
    ::munmap(data, size);
    return std::unexpected(std::move(guard).error());
  }
  return std::make_unique<PosixMapping>(data, size, writable, *std::move(guard));
}

}  // namespace freyja::io
