#include "engine/reserve.h"

#include <algorithm>
#include <string>

namespace freyja::engine {

namespace {

constexpr std::uint64_t kSmallestReserve = std::uint64_t{256} << 10;

// One segment for the outputs of a compaction or for recovery's copy, half of one for
// tombstones, and a little for manifests.
std::uint64_t ChooseBytes(std::uint64_t asked, std::uint64_t segment_bytes) {
  if (asked != 0) return std::max(asked, kSmallestReserve);
  return segment_bytes + segment_bytes / 2 + kSmallestReserve;
}

}  // namespace

Reserve::Reserve(Directory& directory, std::uint64_t bytes, std::uint64_t segment_bytes)
    : directory_(directory), bytes_(ChooseBytes(bytes, segment_bytes)) {}

Status Reserve::Establish() {
  base::MutexLock lock(mutex_);
  if (whole_.load()) return Status::Ok();
  if (loans_ != 0) return Status(StatusCode::kNoSpace, "the disk's reserve is in use");
  const auto path = directory_.path() / format::kReserveName;
  auto file = directory_.file_system().Open(path, io::OpenMode::kReadWrite);
  if (!file && file.error().code() == StatusCode::kNotFound) {
    file = directory_.file_system().Open(path, io::OpenMode::kCreateNew);
  }
  if (!file) return file.error();
  const auto had = (*file)->DiskUsage();
  const auto free = directory_.file_system().FreeSpace(directory_.path());
  // An attempt that can't succeed may still take all that is free until it gives up. Whoever
  // asks for room meanwhile (a delete, a compaction) would be refused for nothing.
  const bool hopeless = had && free && *had + *free < bytes_;
  Status status = hopeless ? Status(StatusCode::kNoSpace,
                                    "the disk's reserve does not fit: " + std::to_string(*free) +
                                        " bytes are free, it needs " + std::to_string(bytes_))
                           : (*file)->Allocate(bytes_);
  if (status.ok() && had && *had < bytes_) status = CheckRootsBlocksAreLeft();
  if (!status.ok()) {
    directory_.RemoveBestEffort(path);
    return status;
  }
  whole_.store(true);
  return Status::Ok();
}

Status Reserve::CheckRootsBlocksAreLeft() const {
  const auto free = directory_.file_system().FreeSpace(directory_.path());
  if (!free || *free != 0) return Status::Ok();
  return Status(StatusCode::kNoSpace, "the disk is full, or only what it keeps for root is left");
}

void Reserve::EndLoan() {
  base::MutexLock lock(mutex_);
  --loans_;
}

bool Reserve::Lend() {
  base::MutexLock lock(mutex_);
  ++loans_;
  if (!whole_.load()) return loans_ > 1;  // another loan's blocks may not be used up
  whole_.store(false);
  directory_.RemoveBestEffort(directory_.path() / format::kReserveName);
  return true;
}

}  // namespace freyja::engine
