// What this process holds and has used, by /proc.
#pragma once

#include <cstdint>

namespace freyja::bench {

// Bytes now. Pages of mapped files are the page cache's, not the process's, and are in
// `resident` alone.
struct MemoryUsage {
  std::uint64_t anonymous = 0;
  std::uint64_t page_tables = 0;
  std::uint64_t resident = 0;
};
// Zeros where /proc has no such files.
MemoryUsage ReadMemoryUsage();

// Bytes that this process caused to be written to disks, counted when a page becomes dirty: one
// that is overwritten before the kernel wrote it back counts once. 0: unknown, or a file system
// in memory.
std::uint64_t ReadWrittenBytes();

// CPU time of all threads.
double ReadCpuSeconds();

}  // namespace freyja::bench
