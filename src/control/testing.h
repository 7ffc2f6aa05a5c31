// A client of the control socket that can misbehave.
#pragma once

#include <gtest/gtest.h>
#include <poll.h>
#include <sys/socket.h>

#include <array>
#include <filesystem>
#include <string>
#include <string_view>
#include <utility>

#include "control/socket.h"
#include "io/test_support.h"

namespace freyja::control::testing {

class RawClient {
 public:
  explicit RawClient(const std::filesystem::path& directory)
      : socket_(io::testing::Must(Connect(directory))) {}

  // Whether all of it went out.
  bool Send(std::string_view text) {
    while (!text.empty()) {
      const ssize_t count = ::send(socket_.get(), text.data(), text.size(), MSG_NOSIGNAL);
      if (count <= 0) return false;
      text.remove_prefix(static_cast<std::size_t>(count));
    }
    return true;
  }
  // The next line without its '\n'; "" at the end of the connection or after ten seconds.
  std::string ReadLine() {
    while (in_.find('\n') == std::string::npos) {
      if (!ReceiveMore()) return "";
    }
    const std::size_t end = in_.find('\n');
    std::string line = in_.substr(0, end);
    in_.erase(0, end + 1);
    return line;
  }
  std::string Ask(std::string_view text) {
    Send(std::string(text) + '\n');
    return ReadLine();
  }
  // Whether the other side has closed the connection, within ten seconds.
  bool Ended() { return ReadLine().empty() && ended_; }
  void SendNoMore() const { ::shutdown(socket_.get(), SHUT_WR); }

 private:
  bool ReceiveMore() {
    pollfd polled{.fd = socket_.get(), .events = POLLIN, .revents = 0};
    if (::poll(&polled, 1, 10'000) != 1) return false;
    std::array<char, 4096> buffer;
    const ssize_t count = ::recv(socket_.get(), buffer.data(), buffer.size(), 0);
    ended_ = count <= 0;
    if (!ended_) in_.append(buffer.data(), static_cast<std::size_t>(count));
    return !ended_;
  }

  const io::Descriptor socket_;
  std::string in_;
  bool ended_ = false;
};

}  // namespace freyja::control::testing
