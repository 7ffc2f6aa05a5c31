#include "memory_cap.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <fstream>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>

#include "base/status_macros.h"

namespace freyja::bench {

namespace {

namespace fs = std::filesystem;

struct Controller {
  fs::path hierarchy;
  std::string_view limit_file;
  std::string_view mark;  // of its line in /proc/self/cgroup
};

std::optional<Controller> FindController(const fs::path& root) {
  std::error_code error;
  if (fs::exists(root / "cgroup.controllers", error)) return Controller{root, "memory.max", "0::"};
  if (fs::is_directory(root / "memory", error)) {
    return Controller{root / "memory", "memory.limit_in_bytes", ":memory:"};
  }
  return std::nullopt;
}

// The process's group in the hierarchy.
fs::path CurrentGroup(const Controller& controller) {
  std::ifstream in("/proc/self/cgroup");
  for (std::string line; std::getline(in, line);) {
    const std::size_t at = line.find(controller.mark);
    if (at == std::string::npos) continue;
    return controller.hierarchy /
           fs::path(line.substr(at + controller.mark.size())).relative_path();
  }
  return controller.hierarchy;
}

// The files are the kernel's: one write call each, and none is ever created.
Status WriteTo(const fs::path& path, const std::string& text) {
  const int fd = ::open(path.c_str(), O_WRONLY | O_CLOEXEC);
  const bool written =
      fd >= 0 && ::write(fd, text.data(), text.size()) == static_cast<ssize_t>(text.size());
  const int error = errno;
  if (fd >= 0) ::close(fd);
  if (written) return Status::Ok();
  return {StatusCode::kUnsupported, path.string() + ": " + std::strerror(error)};
}

Status Enter(const fs::path& group) {
  return WriteTo(group / "cgroup.procs", std::to_string(::getpid()));
}

}  // namespace

Result<MemoryCap> MemoryCap::Apply(std::uint64_t bytes, const fs::path& root) {
  const std::optional<Controller> controller = FindController(root);
  if (!controller) {
    return std::unexpected(Status(StatusCode::kUnsupported,
                                  root.string() + ": no memory controller is mounted there"));
  }
  const fs::path group = controller->hierarchy / fmt::format("freyja-bench-{}", ::getpid());
  std::error_code error;
  if (!fs::create_directory(group, error)) {
    return std::unexpected(
        Status(StatusCode::kUnsupported, group.string() + ": " + error.message()));
  }
  MemoryCap cap(group, CurrentGroup(*controller));  // removes it, whatever comes
  FREYJA_RETURN_IF_ERROR(WriteTo(group / controller->limit_file, std::to_string(bytes)));
  FREYJA_RETURN_IF_ERROR(Enter(group));
  return cap;
}

MemoryCap::MemoryCap(MemoryCap&& other) noexcept
    : group_(std::exchange(other.group_, {})), former_(std::exchange(other.former_, {})) {}

MemoryCap::~MemoryCap() {
  if (group_.empty()) return;
  const Status ignored = Enter(former_);  // a group that can't be left goes with the process
  static_cast<void>(ignored);
  std::error_code error;
  fs::remove(group_, error);
}

}  // namespace freyja::bench
