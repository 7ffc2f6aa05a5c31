// The FileSystem of the machine.
//
// Allocate falls back to writing zeros past the end where the file system has no
// fallocate(2). Locks are flock(2) locks on descriptors of their own, so they exclude
// other stores in the same process too and end with the process.
#pragma once

#include <memory>

#include "io/file_system.h"

namespace freyja::io {

std::unique_ptr<FileSystem> NewPosixFileSystem();

}  // namespace freyja::io
