// What a store occupies on the disk, at one moment and over a time.
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <thread>

namespace freyja::bench {

// What the files in it occupy, not their length: LMDB's is sparse, others preallocate.
std::uint64_t AllocatedBytes(const std::filesystem::path& directory);

struct SpaceUse {
  double mean_bytes = 0;
  std::uint64_t highest_bytes = 0;
};

// Looks every so often, on a thread of its own, until it is stopped.
class DiskSampler {
 public:
  DiskSampler(std::filesystem::path directory, std::chrono::milliseconds every);

  // Of all looks, one at this moment included. Once.
  SpaceUse Stop();

 private:
  void Look();

  const std::filesystem::path directory_;
  std::uint64_t looks_ = 0;
  double sum_ = 0;
  std::uint64_t highest_ = 0;
  std::jthread thread_;  // last: it uses the others
};

}  // namespace freyja::bench
