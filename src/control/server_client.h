// One client of the server: its connection, and what was read and not written yet.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "io/posix_io.h"

namespace freyja::control {

// Never blocks. Thread-compatible.
class ServerClient {
 public:
  ServerClient(io::Descriptor socket, std::uint64_t client_id)
      : id(client_id), socket_(std::move(socket)) {}

  int descriptor() const { return socket_.get(); }
  bool dead() const { return dead_; }
  bool wants_input() const { return !dead_ && !ended_ && !waits_for_reply && out_.empty(); }
  bool wants_output() const { return !dead_ && !out_.empty(); }
  // Whether a complete line waits to be handled.
  bool has_line() const {
    return !dead_ && !waits_for_reply && out_.empty() && in_.find('\n') != std::string::npos;
  }

  // Reads what is there, up to a bound.
  void Receive();
  // The next line without its '\n', if nothing stands before it.
  std::optional<std::string> NextLine();
  std::size_t unfinished_bytes() const { return in_.size(); }
  void Send(std::string_view reply);
  // Writes what the socket takes. Whether that was the rest.
  bool Flush();
  // Goes away once what was sent is written.
  void FinishSoon() {
    ended_ = true;
    in_.clear();
  }
  void Drop() { dead_ = true; }
  // Nothing more can come of it.
  bool finished() const {
    return dead_ || (ended_ && !waits_for_reply && out_.empty() && !has_line());
  }

  const std::uint64_t id;
  bool waits_for_reply = false;
  std::chrono::steady_clock::time_point deadline{};

 private:
  const io::Descriptor socket_;
  std::string in_;
  std::string out_;
  std::size_t written_ = 0;
  bool ended_ = false;  // sends no more
  bool dead_ = false;
};

}  // namespace freyja::control
