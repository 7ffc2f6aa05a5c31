// What of files is in memory.
#pragma once

#include <filesystem>

#include "freyja/status.h"

namespace freyja::bench {

// Drops all files below `directory` from the page cache, after writing back what is not on the
// disk. What somebody has mapped stays, and so does all of a file system in memory. kIoError.
[[nodiscard]] Status DropFromPageCache(const std::filesystem::path& directory);

}  // namespace freyja::bench
