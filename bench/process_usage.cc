#include "process_usage.h"

#include <ctime>
#include <fstream>
#include <limits>
#include <string>
#include <string_view>

namespace freyja::bench {

namespace {

// The number behind `name` at the beginning of a line.
std::uint64_t ReadNumber(const char* path, std::string_view name) {
  std::ifstream in(path);
  std::string word;
  while (in >> word) {
    if (word == name) {
      std::uint64_t value = 0;
      in >> value;
      return value;
    }
    in.ignore(std::numeric_limits<std::streamsize>::max(), '\n');
  }
  return 0;
}

constexpr std::uint64_t kKibibyte = 1024;

}  // namespace

MemoryUsage ReadMemoryUsage() {
  constexpr const char* kRollup = "/proc/self/smaps_rollup";
  return {.anonymous = ReadNumber(kRollup, "Anonymous:") * kKibibyte,
          .page_tables = ReadNumber("/proc/self/status", "VmPTE:") * kKibibyte,
          .resident = ReadNumber(kRollup, "Rss:") * kKibibyte};
}

std::uint64_t ReadWrittenBytes() { return ReadNumber("/proc/self/io", "write_bytes:"); }

double ReadCpuSeconds() {
  timespec now = {};
  ::clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) * 1e-9;
}

}  // namespace freyja::bench
