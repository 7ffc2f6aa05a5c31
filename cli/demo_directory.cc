#include "demo_directory.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <string>
#include <string_view>
#include <system_error>
#include <vector>

namespace freyja::cli {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kMarkName = "DEMO";
constexpr std::string_view kControlName = "CONTROL";  // left behind by a demo that was killed
constexpr std::string_view kMarkText =
    "This directory was made by 'freyja demo'. The next demo here replaces the store in it.\n";

Status ErrnoError(StatusCode code, const fs::path& path, std::string_view what, int error) {
  return Status(code, fmt::format("{}: {}: {}", path.string(), what, std::strerror(error)));
}

bool IsStoreFileName(std::string_view name) {
  const auto dot = name.find('.');
  const std::string_view stem = name.substr(0, dot);
  const std::string_view extension = dot == std::string_view::npos ? "" : name.substr(dot);
  const bool numbered = !stem.empty() && std::ranges::all_of(stem, [](char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
  });
  if (numbered) return extension.starts_with(".data") || extension.starts_with(".hint");
  static constexpr std::array<std::string_view, 6> kOthers = {"INDEX",   "LOCK",        "RESERVE",
                                                              "HISTORY", "HISTORY.tmp", kMarkName};
  return stem == "MANIFEST" || std::ranges::find(kOthers, name) != kOthers.end();
}

// The files in `directory`; kAlreadyExists if one of them isn't a demo store's.
Result<std::vector<fs::path>> DemoFiles(const fs::path& directory) {
  std::vector<fs::path> files;
  std::error_code error;
  for (fs::directory_iterator it(directory, error), end; !error && it != end; it.increment(error)) {
    std::error_code type_error;
    const fs::file_type type = it->symlink_status(type_error).type();
    const std::string name = it->path().filename().string();
    const bool ours = type == fs::file_type::regular  ? IsStoreFileName(name)
                      : type == fs::file_type::socket ? name == kControlName
                                                      : false;
    if (!ours) {
      return std::unexpected(
          Status(StatusCode::kAlreadyExists,
                 fmt::format("{}: holds '{}', which no demo has put there; name an empty or a new "
                             "directory",
                             directory.string(), name)));
    }
    files.push_back(it->path());
  }
  if (error) {
    return std::unexpected(
        ErrnoError(StatusCode::kIoError, directory, "can't be listed", error.value()));
  }
  return files;
}

bool IsMark(const fs::path& file) {
  if (file.filename() != kMarkName) return false;
  std::ifstream stream(file);
  std::string line;
  return std::getline(stream, line) && line + '\n' == kMarkText;
}

// Whether no process has the store in `directory` open; it stays so while the result lives.
class StoreLock {
 public:
  explicit StoreLock(const fs::path& directory)
      : descriptor_(open((directory / "LOCK").c_str(), O_RDWR | O_CLOEXEC)) {
    held_ = descriptor_ >= 0 ? flock(descriptor_, LOCK_EX | LOCK_NB) == 0 : errno == ENOENT;
  }
  ~StoreLock() {
    if (descriptor_ >= 0) close(descriptor_);
  }
  StoreLock(const StoreLock&) = delete;
  StoreLock& operator=(const StoreLock&) = delete;
  bool held() const { return held_; }

 private:
  int descriptor_;
  bool held_ = false;
};

// The mark goes last: what is left after a crash in between is still a demo's.
Status RemoveFiles(const fs::path& directory, std::vector<fs::path> files) {
  const StoreLock lock(directory);
  if (!lock.held()) {
    return Status(StatusCode::kBusy,
                  fmt::format("{}: another process has the store open", directory.string()));
  }
  std::ranges::partition(files, [](const fs::path& file) { return file.filename() != kMarkName; });
  for (const fs::path& file : files) {
    std::error_code error;
    fs::remove(file, error);
    if (error) return ErrnoError(StatusCode::kIoError, file, "can't be removed", error.value());
  }
  return Status::Ok();
}

Result<fs::path> MakeTemporary() {
  std::error_code error;
  const fs::path parent = fs::temp_directory_path(error);
  if (error) {
    return std::unexpected(
        ErrnoError(StatusCode::kIoError, "TMPDIR", "no temporary directory", error.value()));
  }
  std::string name = (parent / "freyja-demo-XXXXXX").string();
  if (mkdtemp(name.data()) == nullptr) {
    return std::unexpected(ErrnoError(StatusCode::kIoError, name, "can't be made", errno));
  }
  return fs::path(name);
}

}  // namespace

Result<DemoDirectory> DemoDirectory::Prepare(const fs::path& wanted) {
  if (wanted.empty()) {
    Result<fs::path> made = MakeTemporary();
    if (!made) return std::unexpected(made.error());
    return DemoDirectory(*std::move(made), true);
  }
  std::error_code error;
  const fs::file_status status = fs::status(wanted, error);
  if (status.type() == fs::file_type::not_found) {
    fs::create_directories(wanted, error);
    if (error) {
      return std::unexpected(
          ErrnoError(StatusCode::kIoError, wanted, "can't be made", error.value()));
    }
    return DemoDirectory(wanted, true);
  }
  if (status.type() != fs::file_type::directory) {
    return std::unexpected(
        Status(StatusCode::kAlreadyExists, fmt::format("{}: is not a directory", wanted.string())));
  }
  if (fs::is_empty(wanted, error) && !error) return DemoDirectory(wanted, false);
  const Result<std::vector<fs::path>> files = DemoFiles(wanted);
  if (!files) return std::unexpected(files.error());
  if (std::ranges::none_of(*files, IsMark)) {
    return std::unexpected(
        Status(StatusCode::kAlreadyExists,
               fmt::format("{}: holds a store that no demo has made; name an empty or a new "
                           "directory",
                           wanted.string())));
  }
  if (Status removed = RemoveFiles(wanted, *files); !removed.ok()) {
    return std::unexpected(std::move(removed));
  }
  return DemoDirectory(wanted, false);
}

Status DemoDirectory::Mark() const {
  const fs::path mark = path_ / kMarkName;
  std::ofstream stream(mark, std::ios::trunc);
  stream << kMarkText << std::flush;
  if (stream.good()) return Status::Ok();
  return Status(StatusCode::kIoError, fmt::format("{}: can't be written", mark.string()));
}

Status DemoDirectory::Remove() const {
  const Result<std::vector<fs::path>> files = DemoFiles(path_);
  if (!files) return files.error();
  if (Status removed = RemoveFiles(path_, *files); !removed.ok()) return removed;
  if (!made_) return Status::Ok();
  std::error_code error;
  fs::remove(path_, error);
  if (error) return ErrnoError(StatusCode::kIoError, path_, "can't be removed", error.value());
  return Status::Ok();
}

}  // namespace freyja::cli
