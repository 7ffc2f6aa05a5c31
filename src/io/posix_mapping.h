// Memory mappings of POSIX files, each under a fault guard.
#pragma once

#include <cstdint>
#include <memory>
#include <string_view>

#include "io/file_system.h"

namespace freyja::io {

// Maps the first `size` bytes, shared. A mapping of 0 bytes has no address. The file must
// be that long already: kInvalidArgument otherwise.
Result<std::unique_ptr<Mapping>> MapDescriptor(int fd, std::string_view path, std::uint64_t size,
                                               bool writable);

}  // namespace freyja::io
