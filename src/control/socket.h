// The Unix socket in a store's directory, through which other processes reach the one that has
// the store open.
#pragma once

#include <filesystem>

#include "freyja/status.h"
#include "io/posix_io.h"

namespace freyja::control {

// The listening end and its name in the directory, which is removed again by the destructor.
class ListeningSocket {
 public:
  // The caller holds the store's lock: what a crashed process left under the name is replaced.
  // Only the owner may connect (0600), from the moment the name is there. kAlreadyExists:
  // something that is no socket has the name; kReadOnly, kUnsupported: it can't be made there.
  static Result<ListeningSocket> Open(const std::filesystem::path& directory);
  ListeningSocket(ListeningSocket&&) noexcept = default;
  ~ListeningSocket();

  // Non-blocking.
  int descriptor() const { return socket_.get(); }

 private:
  ListeningSocket(io::Descriptor directory, io::Descriptor socket)
      : directory_(std::move(directory)), socket_(std::move(socket)) {}

  io::Descriptor directory_;  // the host may go to another working directory meanwhile
  io::Descriptor socket_;
};

// A blocking connection to the process that has the store in `directory` open. kNotFound: there
// is no socket, or nobody listens any more.
Result<io::Descriptor> Connect(const std::filesystem::path& directory);

// Whether the process at the other end runs as the same user as this one, or as root.
bool PeerIsTrusted(int socket);

}  // namespace freyja::control
