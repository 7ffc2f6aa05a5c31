#include "torture/real/mounts.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <linux/loop.h>
#include <sched.h>
#include <spawn.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <system_error>
#include <thread>

#include "base/status_macros.h"

namespace freyja::torture::real {

namespace {

Status Failure(const std::string& what, int error = errno) {
  return {StatusCode::kUnsupported, what + ": " + std::system_category().message(error)};
}

class Descriptor {
 public:
  Descriptor(const std::filesystem::path& path, int flags)
      : number_(::open(path.c_str(), flags | O_CLOEXEC, 0600)) {}
  explicit Descriptor(int number) : number_(number) {}
  Descriptor(Descriptor&& other) noexcept : number_(std::exchange(other.number_, -1)) {}
  Descriptor& operator=(Descriptor&&) = delete;
  ~Descriptor() {
    if (number_ >= 0) ::close(number_);
  }
  int get() const { return number_; }
  bool valid() const { return number_ >= 0; }
  int Release() { return std::exchange(number_, -1); }

 private:
  int number_;
};

struct Loop {
  Descriptor descriptor;
  std::string path;
};

// The device goes when the last who has it open, a mount included, closes it.
Result<Loop> AttachLoop(const std::filesystem::path& image) {
  const Descriptor file(image, O_RDWR);
  if (!file.valid()) return std::unexpected(Failure("open " + image.native()));
  const Descriptor control("/dev/loop-control", O_RDWR);
  if (!control.valid()) return std::unexpected(Failure("open /dev/loop-control"));
  for (int attempt = 0; attempt < 100; ++attempt) {
    const int number = ::ioctl(control.get(), LOOP_CTL_GET_FREE);
    if (number < 0) return std::unexpected(Failure("find a free loop device"));
    std::string path = "/dev/loop" + std::to_string(number);
    Descriptor device(path, O_RDWR);
    if (!device.valid()) return std::unexpected(Failure("open " + path));
    loop_config config{};
    config.fd = static_cast<__u32>(file.get());
    config.info.lo_flags = LO_FLAGS_AUTOCLEAR;
    if (::ioctl(device.get(), LOOP_CONFIGURE, &config) == 0) {
      return Loop{std::move(device), std::move(path)};
    }
    // EBUSY: somebody else was faster.
    if (errno != EBUSY) return std::unexpected(Failure("configure " + path));
  }
  return std::unexpected(Status(StatusCode::kUnsupported, "no loop device is free for long"));
}

Status MountAt(const std::string& source, const std::filesystem::path& path, const char* type,
               const std::string& options) {
  std::error_code error;
  std::filesystem::create_directories(path, error);
  if (::mount(source.c_str(), path.c_str(), type, MS_NOATIME, options.c_str()) == 0) {
    return Status::Ok();
  }
  return Failure(std::string("mount ") + type + " (" + options + ")");
}

Status RunProgram(std::vector<std::string> command) {
  std::vector<char*> pointers;
  for (std::string& word : command) pointers.push_back(word.data());
  pointers.push_back(nullptr);
  posix_spawn_file_actions_t actions;
  ::posix_spawn_file_actions_init(&actions);
  ::posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
  ::posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, "/dev/null", O_WRONLY, 0);
  pid_t pid = -1;
  const int error =
      ::posix_spawnp(&pid, pointers.front(), &actions, nullptr, pointers.data(), environ);
  ::posix_spawn_file_actions_destroy(&actions);
  if (error != 0) return Failure("run " + command.front(), error);
  int status = 0;
  while (::waitpid(pid, &status, 0) < 0 && errno == EINTR) {
  }
  if (status == 0) return Status::Ok();
  return {StatusCode::kUnsupported, command.front() + " failed"};
}

}  // namespace

Status RunWithPrivateMounts(const std::function<void()>& work) {
  Status status;
  std::thread thread([&] {
    if (::unshare(CLONE_NEWNS) != 0) {
      status = Failure("a mount namespace");
    } else if (::mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0) {
      status = Failure("private mounts");
    } else {
      work();
    }
  });
  thread.join();
  return status;
}

Result<Mount> Mount::InMemory(const std::filesystem::path& path, std::uint64_t bytes) {
  FREYJA_RETURN_IF_ERROR(MountAt("none", path, "tmpfs", "size=" + std::to_string(bytes)));
  return Mount(path);
}

Result<Mount> Mount::Ext4(const std::filesystem::path& image, const std::filesystem::path& path,
                          const std::string& options) {
  FREYJA_ASSIGN_OR_RETURN(const Loop loop, AttachLoop(image));
  FREYJA_RETURN_IF_ERROR(MountAt(loop.path, path, "ext4", options));
  return Mount(path);
}

Status Mount::Resize(std::uint64_t bytes) {
  const std::string options = "size=" + std::to_string(bytes);
  if (::mount("none", path_.c_str(), nullptr, MS_REMOUNT, options.c_str()) == 0) {
    return Status::Ok();
  }
  return Failure("resize " + path_.native());
}

Status Mount::Unmount() {
  if (path_.empty()) return Status::Ok();
  const std::filesystem::path path = std::exchange(path_, {});
  if (::umount2(path.c_str(), 0) == 0 || ::umount2(path.c_str(), MNT_DETACH) == 0) {
    return Status::Ok();
  }
  return Failure("unmount " + path.native());
}

Status MakeExt4(const std::filesystem::path& image, std::uint64_t bytes,
                const std::vector<std::string>& arguments) {
  {
    const Descriptor file(image, O_RDWR | O_CREAT | O_TRUNC);
    if (!file.valid() || ::ftruncate(file.get(), static_cast<off_t>(bytes)) != 0) {
      return Failure("make " + image.native());
    }
  }
  Status status;
  // Where it is if the path names no folders for administrators.
  for (const char* program : {"mkfs.ext4", "/usr/sbin/mkfs.ext4", "/sbin/mkfs.ext4"}) {
    std::vector<std::string> command = {program, "-q", "-F", "-E",
                                        "lazy_itable_init=0,lazy_journal_init=0,nodiscard"};
    command.insert(command.end(), arguments.begin(), arguments.end());
    command.push_back(image.native());
    status = RunProgram(std::move(command));
    if (status.ok()) break;
  }
  return status;
}

Result<Frozen> Frozen::Freeze(const std::filesystem::path& path) {
  Descriptor descriptor(path, O_RDONLY | O_DIRECTORY);
  if (!descriptor.valid()) return std::unexpected(Failure("open " + path.native()));
  if (::ioctl(descriptor.get(), FIFREEZE, 0) != 0) {
    return std::unexpected(Failure("freeze " + path.native()));
  }
  return Frozen(descriptor.Release());
}

Frozen::~Frozen() {
  if (descriptor_ < 0) return;
  ::ioctl(descriptor_, FITHAW, 0);
  ::close(descriptor_);
}

Status CopySparse(const std::filesystem::path& from, const std::filesystem::path& to) {
  const Descriptor in(from, O_RDONLY);
  const Descriptor out(to, O_WRONLY | O_CREAT | O_TRUNC);
  if (!in.valid() || !out.valid()) return Failure("copy " + from.native());
  const off_t size = ::lseek(in.get(), 0, SEEK_END);
  if (size < 0 || ::ftruncate(out.get(), size) != 0) return Failure("copy " + from.native());
  std::vector<char> buffer(std::size_t{1} << 20);
  off_t at = 0;
  while ((at = ::lseek(in.get(), at, SEEK_DATA)) >= 0) {
    const off_t end = ::lseek(in.get(), at, SEEK_HOLE);
    while (at < end) {
      const auto piece = std::min(buffer.size(), static_cast<std::size_t>(end - at));
      const ssize_t count = ::pread(in.get(), buffer.data(), piece, at);
      if (count <= 0) return Failure("read " + from.native());
      const auto bytes = static_cast<std::size_t>(count);
      if (::pwrite(out.get(), buffer.data(), bytes, at) != count) {
        return Failure("write " + to.native());
      }
      at += count;
    }
  }
  return Status::Ok();
}

}  // namespace freyja::torture::real
