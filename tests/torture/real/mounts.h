// File systems of our own: in memory, or ext4 on a loop device.
//
// All of this needs the right to mount. Whoever has it gets a mount namespace for a thread of
// its own, so that nobody else sees the mounts and the kernel takes them back when the process
// ends, however it ends; loop devices are told to go with their mount.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "freyja/status.h"

namespace freyja::torture::real {

// Runs `work` on a new thread in a mount namespace of its own, and returns when it has ended.
// kUnsupported if this is not permitted here; then `work` did not run.
Status RunWithPrivateMounts(const std::function<void()>& work);

class Mount {
 public:
  // Both make the directory `path`.
  static Result<Mount> InMemory(const std::filesystem::path& path, std::uint64_t bytes);
  // `options` as after mount -o, for the file system alone.
  static Result<Mount> Ext4(const std::filesystem::path& image, const std::filesystem::path& path,
                            const std::string& options);
  Mount(Mount&& other) noexcept : path_(std::exchange(other.path_, {})) {}
  Mount& operator=(Mount&&) = delete;
  ~Mount() { (void)Unmount(); }

  const std::filesystem::path& path() const { return path_; }
  // One in memory only.
  Status Resize(std::uint64_t bytes);
  // Waits for nothing: what is still open keeps the file system until it is closed.
  Status Unmount();

 private:
  explicit Mount(std::filesystem::path path) : path_(std::move(path)) {}
  std::filesystem::path path_;  // empty: not mounted
};

// A sparse file of that size with a new ext4 in it.
Status MakeExt4(const std::filesystem::path& image, std::uint64_t bytes,
                const std::vector<std::string>& arguments = {});

// While it lives nothing is written to the file system that holds `path`: writers wait in the
// kernel. All that they had written before has been.
class Frozen {
 public:
  static Result<Frozen> Freeze(const std::filesystem::path& path);
  Frozen(Frozen&& other) noexcept : descriptor_(std::exchange(other.descriptor_, -1)) {}
  Frozen& operator=(Frozen&&) = delete;
  ~Frozen();

 private:
  explicit Frozen(int descriptor) : descriptor_(descriptor) {}
  int descriptor_;
};

// Copies what is not a hole.
Status CopySparse(const std::filesystem::path& from, const std::filesystem::path& to);

}  // namespace freyja::torture::real
