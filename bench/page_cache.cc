#include "page_cache.h"

#include <system_error>

#include "base/status_macros.h"
#include "io/posix_file_system.h"

namespace freyja::bench {

Status DropFromPageCache(const std::filesystem::path& directory) {
  const auto fs = io::NewPosixFileSystem();
  std::error_code error;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(directory, error)) {
    if (!entry.is_regular_file(error)) continue;
    FREYJA_ASSIGN_OR_RETURN(const auto file, fs->Open(entry.path(), io::OpenMode::kRead));
    FREYJA_RETURN_IF_ERROR(file->Sync());
    file->DropCache();
  }
  if (error) return {StatusCode::kIoError, directory.string() + ": " + error.message()};
  return Status::Ok();
}

}  // namespace freyja::bench
