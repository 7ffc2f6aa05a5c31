#include "file_io.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <system_error>
#include <utility>

#include "exit_code.h"
#include "interrupt.h"

namespace freyja::cli {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kBufferBytes = std::size_t{256} << 10;
constexpr mode_t kFileMode = 0666;  // less the umask

StatusCode CodeOf(int error_number) {
  switch (error_number) {
    case ENOSPC:
    case EDQUOT:
      return StatusCode::kNoSpace;
    case ENOENT:
    case ENOTDIR:
    case EISDIR:
      return StatusCode::kInvalidArgument;
    default:
      return StatusCode::kIoError;
  }
}

// Makes the rename of `path` durable.
Status SyncDirectoryOf(const fs::path& path) {
  const fs::path directory = path.has_parent_path() ? path.parent_path() : fs::path(".");
  const int descriptor = ::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (descriptor < 0) return SystemError(directory.string(), errno);
  const int error = ::fsync(descriptor) == 0 ? 0 : errno;
  ::close(descriptor);
  return error == 0 ? Status::Ok() : SystemError(directory.string(), error);
}

}  // namespace

Status SystemError(std::string_view subject, int error_number) {
  return {CodeOf(error_number),
          fmt::format("{}: {}", subject, std::generic_category().message(error_number))};
}

OutputStream::OutputStream(int descriptor, std::string name)
    : descriptor_(descriptor), name_(std::move(name)) {}

Status OutputStream::Append(std::string_view bytes) {
  if (!status_.ok()) return status_;
  buffer_ += bytes;
  return buffer_.size() < kBufferBytes ? Status::Ok() : Flush();
}

Status OutputStream::Flush() {
  std::string_view rest = buffer_;
  while (status_.ok() && !rest.empty()) {
    const ssize_t count = ::write(descriptor_, rest.data(), rest.size());
    if (count >= 0) {
      rest.remove_prefix(static_cast<std::size_t>(count));
    } else if (errno == EPIPE) {
      reader_gone_ = true;
      status_ = {StatusCode::kCancelled, name_ + ": the reader has gone"};
    } else if (errno != EINTR) {
      status_ = SystemError(name_, errno);
    }
  }
  buffer_.clear();
  return status_;
}

int PrintOut(std::string_view text) {
  OutputStream out(STDOUT_FILENO, "standard output");
  Status status = out.Append(text);
  if (status.ok()) status = out.Flush();
  return status.ok() || out.reader_gone() ? kExitOk : Fail(status, "standard output");
}

ReplacementFile::ReplacementFile(fs::path target, fs::path temporary, int descriptor)
    : target_(std::move(target)), temporary_(std::move(temporary)), descriptor_(descriptor) {}

ReplacementFile::ReplacementFile(ReplacementFile&& other) noexcept
    : target_(std::move(other.target_)),
      temporary_(std::exchange(other.temporary_, {})),
      descriptor_(std::exchange(other.descriptor_, -1)) {}

ReplacementFile::~ReplacementFile() {
  if (descriptor_ >= 0) ::close(descriptor_);
  if (!temporary_.empty()) ::unlink(temporary_.c_str());
}

Result<ReplacementFile> ReplacementFile::Create(const fs::path& target) {
  std::error_code ignored;
  const fs::file_status there = fs::status(target, ignored);
  if (fs::exists(there) && !fs::is_regular_file(there)) {
    const int direct = ::open(target.c_str(), O_WRONLY | O_CLOEXEC);
    if (direct < 0) return std::unexpected(SystemError(target.string(), errno));
    return ReplacementFile(target, {}, direct);
  }
  const fs::path real = fs::exists(there) ? fs::canonical(target, ignored) : target;
  fs::path temporary = real;
  temporary += fmt::format(".{}.tmp", ::getpid());
  const int descriptor =
      ::open(temporary.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, kFileMode);
  if (descriptor < 0) return std::unexpected(SystemError(temporary.string(), errno));
  return ReplacementFile(real, std::move(temporary), descriptor);
}

Status ReplacementFile::Commit() {
  if (temporary_.empty()) return Status::Ok();
  if (::fsync(descriptor_) != 0) return SystemError(temporary_.string(), errno);
  if (::rename(temporary_.c_str(), target_.c_str()) != 0) {
    return SystemError(target_.string(), errno);
  }
  temporary_.clear();
  return SyncDirectoryOf(target_);
}

InputFile::InputFile(std::string name, int descriptor)
    : name_(std::move(name)), descriptor_(descriptor) {
  struct stat info{};
  if (::fstat(descriptor_, &info) == 0 && S_ISREG(info.st_mode)) {
    size_ = static_cast<std::uint64_t>(info.st_size);
  }
}

InputFile::InputFile(InputFile&& other) noexcept
    : name_(std::move(other.name_)),
      descriptor_(std::exchange(other.descriptor_, -1)),
      size_(other.size_) {}

InputFile::~InputFile() {
  if (descriptor_ > STDIN_FILENO) ::close(descriptor_);
}

Result<InputFile> InputFile::Open(const std::string& path) {
  if (path == "-") return InputFile("standard input", STDIN_FILENO);
  const int descriptor = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (descriptor < 0) return std::unexpected(SystemError(path, errno));
  return InputFile(path, descriptor);
}

Result<std::size_t> InputFile::Read(char* data, std::size_t size) {
  for (;;) {
    if (InterruptGuard::Interrupted()) {
      return std::unexpected(Status(StatusCode::kCancelled, name_ + ": interrupted"));
    }
    const ssize_t count = ::read(descriptor_, data, size);
    if (count >= 0) return static_cast<std::size_t>(count);
    if (errno != EINTR) return std::unexpected(SystemError(name_, errno));
  }
}

Result<std::string> InputFile::ReadAll(std::size_t limit) {
  std::string bytes;
  std::string piece(kBufferBytes, '\0');
  for (;;) {
    auto count = Read(piece.data(), piece.size());
    if (!count) return std::unexpected(count.error());
    if (*count == 0) return bytes;
    bytes.append(piece, 0, *count);
    if (bytes.size() > limit) {
      return std::unexpected(
          Status(StatusCode::kInvalidArgument,
                 fmt::format("{}: longer than the longest value, {} bytes", name_, limit)));
    }
  }
}

}  // namespace freyja::cli
