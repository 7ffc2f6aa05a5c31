// Shorthands for tests of files.
#pragma once

#include <gtest/gtest.h>

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>

#include "base/bytes.h"
#include "io/file_system.h"

// The operand is a Status; a failure shows its message.
#define EXPECT_OK(expression)                                     \
  do {                                                            \
    const ::freyja::Status io_test_status = (expression);         \
    EXPECT_TRUE(io_test_status.ok()) << io_test_status.message(); \
  } while (false)

namespace freyja::io::testing {

// The value, or a thrown failure of the test.
template <typename T>
T Must(Result<T> result) {
  if (!result) throw std::runtime_error(result.error().message());
  return *std::move(result);
}

inline StatusCode CodeOf(const Status& status) { return status.code(); }
template <typename T>
StatusCode CodeOf(const Result<T>& result) {
  return result ? StatusCode::kOk : result.error().code();
}

inline Status WriteText(File& file, std::uint64_t offset, std::string_view text) {
  return file.WriteAt(offset, base::AsBytes(text));
}

inline std::string ReadText(File& file, std::uint64_t offset, std::size_t count) {
  std::string text(count, '?');
  const std::size_t read = Must(file.ReadAt(offset, std::as_writable_bytes(std::span(text))));
  text.resize(read);
  return text;
}

inline std::string ReadAll(FileSystem& fs, const std::filesystem::path& path) {
  const auto file = Must(fs.Open(path, OpenMode::kRead));
  return ReadText(*file, 0, Must(file->Size()));
}

inline std::unique_ptr<File> CreateText(FileSystem& fs, const std::filesystem::path& path,
                                        std::string_view text) {
  auto file = Must(fs.Open(path, OpenMode::kCreateNew));
  EXPECT_OK(WriteText(*file, 0, text));
  return file;
}

// A directory of the machine's own, removed with everything in it.
class TemporaryDirectory {
 public:
  TemporaryDirectory() {
    std::string name = (std::filesystem::temp_directory_path() / "freyja-io-XXXXXX").native();
    if (::mkdtemp(name.data()) == nullptr) throw std::runtime_error("mkdtemp failed");
    path_ = name;
  }
  TemporaryDirectory(const TemporaryDirectory&) = delete;
  TemporaryDirectory& operator=(const TemporaryDirectory&) = delete;
  ~TemporaryDirectory() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

}  // namespace freyja::io::testing
