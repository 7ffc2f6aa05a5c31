#include "control/socket.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstring>
#include <string>
#include <utility>

#include "base/status_macros.h"
#include "format/ids.h"

namespace freyja::control {
namespace {

namespace fs = std::filesystem;
using io::Access;
using io::Descriptor;

constexpr int kBacklog = 64;
constexpr mode_t kOwnerOnly = S_IRUSR | S_IWUSR;

const std::string& Name() {
  static const std::string name(format::kControlName);
  return name;
}

std::string PathIn(const fs::path& directory) { return (directory / Name()).native(); }

Result<Descriptor> OpenDirectory(const fs::path& directory) {
  Descriptor opened = io::OpenDescriptor(directory.c_str(), O_PATH | O_DIRECTORY);
  if (opened.valid()) return opened;
  return std::unexpected(io::ErrnoStatus(errno, "open directory", directory.native()));
}

Result<Descriptor> NewSocket(int flags) {
  Descriptor made(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | flags, 0));
  if (made.valid()) return made;
  return std::unexpected(io::ErrnoStatus(errno, "socket", Name()));
}

// An address has room for 107 bytes; a longer path goes through the directory's descriptor.
sockaddr_un AddressIn(const fs::path& directory, const Descriptor& opened) {
  std::string path = PathIn(directory);
  sockaddr_un address{};
  if (path.size() >= sizeof(address.sun_path)) {
    path = "/proc/self/fd/" + std::to_string(opened.get()) + "/" + Name();
  }
  address.sun_family = AF_UNIX;
  std::memcpy(address.sun_path, path.c_str(), path.size() + 1);
  return address;
}

Status RemoveLeftOver(const fs::path& directory, const Descriptor& opened) {
  struct stat info;
  if (::fstatat(opened.get(), Name().c_str(), &info, AT_SYMLINK_NOFOLLOW) != 0) {
    return errno == ENOENT ? Status::Ok() : io::ErrnoStatus(errno, "stat", PathIn(directory));
  }
  if (!S_ISSOCK(info.st_mode)) {
    return Status(StatusCode::kAlreadyExists,
                  PathIn(directory) + ": is no socket, and in the way of the control socket");
  }
  if (::unlinkat(opened.get(), Name().c_str(), 0) == 0) return Status::Ok();
  return io::ErrnoStatus(errno, "unlink", PathIn(directory), Access::kChange);
}

// Some file systems have modes of their own.
Status CheckMode(const fs::path& directory, const Descriptor& opened) {
  struct stat info;
  if (::fstatat(opened.get(), Name().c_str(), &info, AT_SYMLINK_NOFOLLOW) != 0) {
    return io::ErrnoStatus(errno, "stat", PathIn(directory));
  }
  if ((info.st_mode & (S_IRWXG | S_IRWXO)) == 0) return Status::Ok();
  return Status(
      StatusCode::kUnsupported,
      PathIn(directory) + ": this file system can't keep the control socket to its owner");
}

Status ConnectTo(const Descriptor& socket, const sockaddr_un& address, const fs::path& directory) {
  int result;
  do {
    result = ::connect(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address));
  } while (result != 0 && errno == EINTR);
  if (result == 0) return Status::Ok();
  if (errno == ENOENT || errno == ECONNREFUSED || errno == ENOTSOCK) {
    return Status(StatusCode::kNotFound, PathIn(directory) + ": nobody listens here");
  }
  return io::ErrnoStatus(errno, "connect", PathIn(directory));
}

}  // namespace

Result<ListeningSocket> ListeningSocket::Open(const fs::path& directory) {
  FREYJA_ASSIGN_OR_RETURN(Descriptor opened, OpenDirectory(directory));
  FREYJA_RETURN_IF_ERROR(RemoveLeftOver(directory, opened));
  FREYJA_ASSIGN_OR_RETURN(Descriptor socket, NewSocket(SOCK_NONBLOCK));
  // Linux makes the name with the mode that the socket has when it is bound: at no moment can
  // others connect, and the umask of the process stays as it is.
  if (::fchmod(socket.get(), kOwnerOnly) != 0) {
    return std::unexpected(io::ErrnoStatus(errno, "chmod", PathIn(directory), Access::kChange));
  }
  const sockaddr_un address = AddressIn(directory, opened);
  if (::bind(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)) != 0) {
    return std::unexpected(
        io::ErrnoStatus(errno, "make the control socket", PathIn(directory), Access::kChange));
  }
  ListeningSocket listening(std::move(opened), std::move(socket));
  FREYJA_RETURN_IF_ERROR(CheckMode(directory, listening.directory_));
  if (::listen(listening.descriptor(), kBacklog) != 0) {
    return std::unexpected(io::ErrnoStatus(errno, "listen", PathIn(directory)));
  }
  return listening;
}

ListeningSocket::~ListeningSocket() {
  if (directory_.valid()) ::unlinkat(directory_.get(), Name().c_str(), 0);
}

Result<Descriptor> Connect(const fs::path& directory) {
  FREYJA_ASSIGN_OR_RETURN(const Descriptor opened, OpenDirectory(directory));
  FREYJA_ASSIGN_OR_RETURN(Descriptor socket, NewSocket(0));
  FREYJA_RETURN_IF_ERROR(ConnectTo(socket, AddressIn(directory, opened), directory));
  return socket;
}

bool PeerIsTrusted(int socket) {
  ucred peer{};
  socklen_t length = sizeof(peer);
  if (::getsockopt(socket, SOL_SOCKET, SO_PEERCRED, &peer, &length) != 0) return false;
  return peer.uid == ::geteuid() || peer.uid == 0;
}

}  // namespace freyja::control
