#include "control/server_client.h"

#include <errno.h>
#include <sys/socket.h>

#include <array>

namespace freyja::control {

void ServerClient::Receive() {
  std::array<char, 16 << 10> buffer;
  const ssize_t count = ::recv(socket_.get(), buffer.data(), buffer.size(), MSG_DONTWAIT);
  if (count > 0) {
    in_.append(buffer.data(), static_cast<std::size_t>(count));
  } else if (count == 0) {
    ended_ = true;  // what it has asked before is still answered
  } else if (errno != EAGAIN && errno != EINTR) {
    dead_ = true;
  }
}

std::optional<std::string> ServerClient::NextLine() {
  if (!has_line()) return std::nullopt;
  const std::size_t end = in_.find('\n');
  std::string line = in_.substr(0, end);
  in_.erase(0, end + 1);
  return line;
}

void ServerClient::Send(std::string_view reply) { out_ += reply; }

bool ServerClient::Flush() {
  while (!dead_ && written_ < out_.size()) {
    const ssize_t count = ::send(socket_.get(), out_.data() + written_, out_.size() - written_,
                                 MSG_NOSIGNAL | MSG_DONTWAIT);
    if (count > 0) {
      written_ += static_cast<std::size_t>(count);
    } else if (errno == EAGAIN) {
      return false;
    } else if (errno != EINTR) {
      dead_ = true;
      return false;
    }
  }
  std::string().swap(out_);  // a long reply's memory goes
  written_ = 0;
  return !dead_;
}

}  // namespace freyja::control
