// A bound on the memory of this process, so that data can be larger than memory.
#pragma once

#include <cstdint>
#include <filesystem>

#include "freyja/status.h"

namespace freyja::bench {

// Keeps this process, and those it starts, in a control group of its own. What is in the page
// cache because of them counts: more than fits is dropped from it, written back before where need
// be. Anonymous memory that does not fit gets a process killed.
class MemoryCap {
 public:
  // `root`: where the control groups are mounted, version 1 or 2.
  // kUnsupported: there is no memory controller, or no right to make a group in it.
  [[nodiscard]] static Result<MemoryCap> Apply(
      std::uint64_t bytes, const std::filesystem::path& root = "/sys/fs/cgroup");
  MemoryCap(MemoryCap&& other) noexcept;
  MemoryCap& operator=(MemoryCap&&) = delete;
  // Back to where the process was.
  ~MemoryCap();

  const std::filesystem::path& group() const { return group_; }

 private:
  MemoryCap(std::filesystem::path group, std::filesystem::path former)
      : group_(std::move(group)), former_(std::move(former)) {}

  std::filesystem::path group_;   // empty: moved from
  std::filesystem::path former_;  // the group that the process was in
};

}  // namespace freyja::bench
