// Files as the commands use them: a buffered output that knows when its reader has
// gone, a replacement of a file that is seen whole or not at all, and input with
// its size. None of them is thread-safe.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>

#include "freyja/status.h"

namespace freyja::cli {

// "<subject>: No space left on device" with the code that fits `error_number`.
Status SystemError(std::string_view subject, int error_number);

// Buffers what is appended and writes it to a descriptor it does not own. The first
// failure sticks: later calls return it and write nothing.
class OutputStream {
 public:
  OutputStream(int descriptor, std::string name);
  [[nodiscard]] Status Append(std::string_view bytes);
  [[nodiscard]] Status Flush();
  const Status& status() const { return status_; }
  // The other end of the pipe was closed: nothing more is wanted. The status then is
  // kCancelled.
  bool reader_gone() const { return reader_gone_; }

 private:
  int descriptor_;
  std::string name_;
  std::string buffer_;
  Status status_;
  bool reader_gone_ = false;
};

// Writes `text` to standard output and returns an exit code: kExitOk, also if the
// reader has gone, or kExitFailure after printing why.
[[nodiscard]] int PrintOut(std::string_view text);

// A file that appears under its name only at Commit, complete and durable; until then
// it is written beside it and removed by the destructor. What was there before is
// replaced (a symbolic link is followed). A target that exists and is no regular file,
// such as a pipe or /dev/null, is written directly.
class ReplacementFile {
 public:
  static Result<ReplacementFile> Create(const std::filesystem::path& target);
  ReplacementFile(ReplacementFile&& other) noexcept;
  ReplacementFile& operator=(ReplacementFile&&) = delete;
  ~ReplacementFile();

  int descriptor() const { return descriptor_; }
  [[nodiscard]] Status Commit();

 private:
  ReplacementFile(std::filesystem::path target, std::filesystem::path temporary, int descriptor);

  std::filesystem::path target_;
  std::filesystem::path temporary_;  // empty: written directly
  int descriptor_ = -1;
};

// A file, or standard input if the path is "-".
class InputFile {
 public:
  static Result<InputFile> Open(const std::string& path);
  InputFile(InputFile&& other) noexcept;
  InputFile& operator=(InputFile&&) = delete;
  ~InputFile();

  const std::string& name() const { return name_; }  // "standard input" or the path
  // Known for regular files only.
  std::optional<std::uint64_t> size() const { return size_; }
  // 0 at the end. Interrupted by a signal while InterruptGuard is there: kCancelled.
  Result<std::size_t> Read(char* data, std::size_t size);
  // The rest; kInvalidArgument naming the limit if it is longer than `limit` bytes.
  Result<std::string> ReadAll(std::size_t limit);

 private:
  InputFile(std::string name, int descriptor);

  std::string name_;
  int descriptor_ = -1;
  std::optional<std::uint64_t> size_;
};

}  // namespace freyja::cli
