// A fresh directory, removed with all its contents at the end.
#pragma once

#include <filesystem>
#include <utility>

#include "freyja/status.h"

namespace freyja::bench {

class ScratchDirectory {
 public:
  // In `parent`, which must exist. kIoError.
  [[nodiscard]] static Result<ScratchDirectory> Make(const std::filesystem::path& parent);
  ScratchDirectory(ScratchDirectory&& other) noexcept : path_(std::exchange(other.path_, {})) {}
  ScratchDirectory& operator=(ScratchDirectory&&) = delete;
  ~ScratchDirectory();

  const std::filesystem::path& path() const { return path_; }

 private:
  explicit ScratchDirectory(std::filesystem::path path) : path_(std::move(path)) {}

  std::filesystem::path path_;
};

}  // namespace freyja::bench
