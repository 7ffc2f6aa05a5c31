// Regular files through POSIX calls.
#pragma once

#include <filesystem>
#include <memory>

#include "io/file_system.h"

namespace freyja::io {

// Anything but a regular file (a directory, a pipe) is an I/O error.
Result<std::unique_ptr<File>> OpenPosixFile(const std::filesystem::path& path, OpenMode mode);

}  // namespace freyja::io
