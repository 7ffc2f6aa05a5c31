#include "scratch_directory.h"

#include <fmt/format.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <string>
#include <system_error>

namespace freyja::bench {

Result<ScratchDirectory> ScratchDirectory::Make(const std::filesystem::path& parent) {
  std::string name = (parent / "freyja-bench-XXXXXX").string();
  if (::mkdtemp(name.data()) == nullptr) {
    return std::unexpected(
        Status(StatusCode::kIoError,
               fmt::format("making a directory in {}: {}", parent.string(), std::strerror(errno))));
  }
  return ScratchDirectory(name);
}

ScratchDirectory::~ScratchDirectory() {
  std::error_code ignored;
  if (!path_.empty()) std::filesystem::remove_all(path_, ignored);
}

}  // namespace freyja::bench
