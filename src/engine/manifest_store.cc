#include "engine/manifest_store.h"

#include <new>
#include <string>
#include <vector>

#include "base/status_macros.h"

namespace freyja::engine {

namespace {

// A manifest is a few hundred bytes a segment; a million segments fit well below this.
constexpr std::uint64_t kMaxManifestBytes = std::uint64_t{1} << 30;

Status WriteTemporary(Directory& directory, const std::filesystem::path& path,
                      const format::Manifest& manifest) {
  FREYJA_ASSIGN_OR_RETURN(const auto file, directory.CreateAnew(path));
  const std::vector<std::byte> bytes = format::EncodeManifest(manifest);
  FREYJA_RETURN_IF_ERROR(file->WriteAt(0, bytes));
  return file->Sync();
}

}  // namespace

ManifestStore::CommitResult ManifestStore::Replace(Directory& directory, Health& health,
                                                   const format::Manifest& manifest) {
  if (Status status = health.CheckWritable(); !status.ok()) return {Outcome::kRefused, status};
  const auto temporary = directory.path() / format::kManifestTempName;
  const auto final_path = directory.ManifestPath();
  if (Status status = WriteTemporary(directory, temporary, manifest); !status.ok()) {
    directory.RemoveBestEffort(temporary);
    return {Outcome::kRefused, status};
  }
  try {
    Status status = directory.file_system().Rename(temporary, final_path);
    if (!status.ok()) {
      health.Poison(status);
      return {Outcome::kUnknown, status};
    }
    status = directory.Sync();
    return {status.ok() ? Outcome::kCommitted : Outcome::kUnknown, status};
  } catch (const std::bad_alloc&) {
    // No more room even for the message of what failed, and the rename may have happened.
    const Status no_memory(StatusCode::kOutOfMemory, "no memory");
    health.Poison(no_memory);
    return {Outcome::kUnknown, no_memory};
  }
}

Result<format::Manifest> ManifestStore::Read(Directory& directory) {
  FREYJA_ASSIGN_OR_RETURN(
      auto file, directory.file_system().Open(directory.ManifestPath(), io::OpenMode::kRead));
  FREYJA_ASSIGN_OR_RETURN(const std::uint64_t size, file->Size());
  if (size > kMaxManifestBytes) {
    return std::unexpected(Status(StatusCode::kCorruption, "MANIFEST: impossibly large"));
  }
  std::vector<std::byte> bytes(size);
  FREYJA_ASSIGN_OR_RETURN(const std::size_t read, file->ReadAt(0, bytes));
  bytes.resize(read);
  auto manifest = format::DecodeManifest(bytes);
  if (!manifest) {
    return std::unexpected(
        Status(manifest.error().code(), "MANIFEST: offset 0: " + manifest.error().message()));
  }
  return manifest;
}

ManifestStore::CommitResult ManifestStore::Commit(const Edit& edit) try {
  FREYJA_SCHEDULE_POINT("manifest.commit");
  base::MutexLock commit_lock(commit_mutex_);
  format::Manifest next = Current();
  const std::uint64_t watermark = next.watermark;
  if (Status status = edit(next); !status.ok()) return {Outcome::kRefused, status};
  next.watermark = std::max(next.watermark, watermark);
  ++next.generation;
  CommitResult result = Replace(directory_, health_, next);
  FREYJA_SCHEDULE_POINT("manifest.replaced");
  if (result.ok()) {
    base::MutexLock lock(mutex_);
    current_ = std::move(next);
  }
  return result;
} catch (const std::bad_alloc&) {
  // Before the rename: Replace throws nothing after it.
  return {Outcome::kRefused, Status(StatusCode::kOutOfMemory, "no memory")};
}

ManifestStore::CommitResult ManifestStore::Commit(const Edit& edit, Reserve& reserve) {
  CommitResult result = Commit(edit);
  if (result.outcome != Outcome::kRefused || result.status.code() != StatusCode::kNoSpace) {
    return result;
  }
  const Reserve::Loan loan(reserve);
  return loan.gave() ? Commit(edit) : result;
}

format::Manifest ManifestStore::Current() const {
  base::MutexLock lock(mutex_);
  return current_;
}

std::uint64_t ManifestStore::generation() const {
  base::MutexLock lock(mutex_);
  return current_.generation;
}

}  // namespace freyja::engine
