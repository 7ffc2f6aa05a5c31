#include "disk_space.h"

#include <sys/stat.h>

#include <algorithm>
#include <condition_variable>
#include <mutex>
#include <stop_token>
#include <system_error>
#include <utility>

namespace freyja::bench {

std::uint64_t AllocatedBytes(const std::filesystem::path& directory) {
  std::uint64_t bytes = 0;
  std::error_code ignored;
  std::filesystem::recursive_directory_iterator at(directory, ignored);
  while (!ignored && at != std::filesystem::recursive_directory_iterator()) {
    struct stat info = {};
    if (::lstat(at->path().c_str(), &info) == 0 && S_ISREG(info.st_mode)) {
      bytes += static_cast<std::uint64_t>(info.st_blocks) * 512;
    }
    at.increment(ignored);
  }
  return bytes;
}

DiskSampler::DiskSampler(std::filesystem::path directory, std::chrono::milliseconds every)
    : directory_(std::move(directory)), thread_([this, every](const std::stop_token& stop) {
        std::mutex mutex;
        std::condition_variable_any stopped;
        std::unique_lock lock(mutex);
        while (!stop.stop_requested()) {
          Look();
          stopped.wait_for(lock, stop, every, [] { return false; });
        }
      }) {}

SpaceUse DiskSampler::Stop() {
  thread_.request_stop();
  thread_.join();
  Look();
  return {.mean_bytes = sum_ / static_cast<double>(looks_), .highest_bytes = highest_};
}

void DiskSampler::Look() {
  const std::uint64_t bytes = AllocatedBytes(directory_);
  ++looks_;
  sum_ += static_cast<double>(bytes);
  highest_ = std::max(highest_, bytes);
}

}  // namespace freyja::bench
