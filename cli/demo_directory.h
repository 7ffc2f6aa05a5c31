// DemoDirectory: where the demo's store lives, without harm to what was there before.
#pragma once

#include <filesystem>

#include "freyja/status.h"

namespace freyja::cli {

// A directory that is the demo's own: a fresh temporary one, a missing or empty one, or one
// of an earlier demo (it has the mark, nothing but a store's files, and nobody has it open),
// which is emptied. Move-only.
class DemoDirectory {
 public:
  // `wanted` empty: a fresh temporary directory. kAlreadyExists: something is there that
  // isn't a demo's; it stays untouched. kBusy: another process has that store open.
  [[nodiscard]] static Result<DemoDirectory> Prepare(const std::filesystem::path& wanted);

  const std::filesystem::path& path() const { return path_; }

  // Puts the mark beside the store's files; after the store was made.
  [[nodiscard]] Status Mark() const;
  // Removes the store's files and the mark, and the directory if Prepare made it. The store
  // must be closed. Anything else that is there by now stays.
  [[nodiscard]] Status Remove() const;

 private:
  DemoDirectory(std::filesystem::path path, bool made) : path_(std::move(path)), made_(made) {}

  std::filesystem::path path_;
  bool made_;
};

}  // namespace freyja::cli
