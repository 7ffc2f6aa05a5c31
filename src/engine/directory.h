// The store's directory: names of its files, and its one way to be synced.
#pragma once

#include <exception>
#include <filesystem>
#include <memory>
#include <string>

#include "base/mutex.h"
#include "engine/health.h"
#include "format/ids.h"
#include "freyja/status.h"
#include "io/file_system.h"

namespace freyja::engine {

// Thread safety: all members may be called from any thread.
class Directory {
 public:
  Directory(io::FileSystem& file_system, std::filesystem::path path, Health& health)
      : file_system_(file_system), path_(std::move(path)), health_(health) {}

  io::FileSystem& file_system() const { return file_system_; }
  const std::filesystem::path& path() const { return path_; }
  std::filesystem::path DataPath(std::uint64_t id) const {
    return path_ / format::DataFileName(id);
  }
  std::filesystem::path HintPath(std::uint64_t id) const {
    return path_ / format::HintFileName(id);
  }
  Health& health() const { return health_; }
  std::filesystem::path ManifestPath() const { return path_ / format::kManifestName; }
  std::filesystem::path IndexImagePath() const { return path_ / format::kIndexImageName; }

  // Makes every creation, rename and removal in the directory so far durable. The kernel
  // reports an error to one caller only, which may not be the one it concerns: so calls
  // are serialised, a failure poisons whoever asked, and nobody asks again after it.
  Status Sync() FREYJA_EXCLUDES(mutex_) {
    base::MutexLock lock(mutex_);
    if (Status status = health_.CheckWritable(); !status.ok()) return status;
    try {
      Status status = file_system_.SyncDirectory(path_);
      if (!status.ok()) health_.Poison(status);
      return status;
    } catch (const std::exception&) {
      // It may have failed, with no memory to say so.
      return health_.PoisonWith(StatusCode::kIoError, [] { return "failed sync"; });
    }
  }

  // Creates a file in place of one that an earlier attempt may have left. If that can't be
  // removed, the error says why.
  Result<std::unique_ptr<io::File>> CreateAnew(const std::filesystem::path& path) const {
    auto file = file_system_.Open(path, io::OpenMode::kCreateNew);
    if (file || file.error().code() != StatusCode::kAlreadyExists) return file;
    Status removed = file_system_.Unlink(path);
    file = file_system_.Open(path, io::OpenMode::kCreateNew);
    const bool in_the_way = !file && file.error().code() == StatusCode::kAlreadyExists;
    if (in_the_way && !removed.ok()) return std::unexpected(std::move(removed));
    return file;
  }

  // Removes a file of an abandoned or replaced segment. What stays behind is unlisted, and
  // the next open removes it.
  void RemoveBestEffort(const std::filesystem::path& path) const {
    const Status ignored = file_system_.Unlink(path);
    static_cast<void>(ignored);
  }

 private:
  io::FileSystem& file_system_;
  const std::filesystem::path path_;
  Health& health_;
  base::Mutex mutex_;
};

}  // namespace freyja::engine
