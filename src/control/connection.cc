#include "control/connection.h"

#include <errno.h>
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>
#include <utility>

#include "base/status_macros.h"
#include "control/socket.h"

namespace freyja::control {
namespace {

Status Closed() {
  return Status(StatusCode::kClosed, "the store was closed, or the process that had it has ended");
}

// Nothing is expected between two calls, so anything to read is the end.
bool OtherSideHasClosed(int socket) {
  pollfd polled{.fd = socket, .events = POLLIN, .revents = 0};
  return ::poll(&polled, 1, 0) != 0;
}

}  // namespace

Status Connection::Open() {
  base::MutexLock lock(mutex_);
  return OpenIfNeeded();
}

Status Connection::OpenIfNeeded() {
  if (socket_ && !OtherSideHasClosed(socket_->get())) return Status::Ok();
  socket_.reset();
  Result<io::Descriptor> made = Connect(directory_);
  if (!made && was_open_ && made.error().code() == StatusCode::kNotFound) return Closed();
  if (!made) return made.error();
  socket_.emplace(*std::move(made));
  was_open_ = true;
  return Status::Ok();
}

Result<Json> Connection::Call(std::string_view command, const Json& arguments) {
  base::MutexLock lock(mutex_);
  FREYJA_RETURN_IF_ERROR(OpenIfNeeded());
  Result<std::string> reply = Exchange(EncodeRequest(command, arguments));
  if (!reply) {
    socket_.reset();
    return std::unexpected(std::move(reply).error());
  }
  return DecodeReply(*reply);
}

Result<std::string> Connection::Exchange(const std::string& request) {
  const auto deadline = Clock::now() + answer_within_;
  FREYJA_RETURN_IF_ERROR(SendAll(request, deadline));
  return ReceiveLine(deadline);
}

Status Connection::WaitUntil(short events, Clock::time_point deadline) {
  for (;;) {
    const auto rest = std::chrono::ceil<std::chrono::milliseconds>(deadline - Clock::now()).count();
    if (rest <= 0) {
      return Status(StatusCode::kTimedOut, "the process that has the store open does not answer");
    }
    pollfd polled{.fd = socket_->get(), .events = events, .revents = 0};
    const int ready = ::poll(&polled, 1, static_cast<int>(std::min<std::int64_t>(rest, 60'000)));
    if (ready > 0) return Status::Ok();
    if (ready < 0 && errno != EINTR) {
      return io::ErrnoStatus(errno, "poll", directory_.native());
    }
  }
}

Status Connection::SendAll(std::string_view text, Clock::time_point deadline) {
  while (!text.empty()) {
    const ssize_t count =
        ::send(socket_->get(), text.data(), text.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
    if (count >= 0) {
      text.remove_prefix(static_cast<std::size_t>(count));
    } else if (errno == EAGAIN) {
      FREYJA_RETURN_IF_ERROR(WaitUntil(POLLOUT, deadline));
    } else if (errno == EPIPE || errno == ECONNRESET) {
      return Status::Ok();  // there may be an answer that says why
    } else if (errno != EINTR) {
      return io::ErrnoStatus(errno, "send", directory_.native());
    }
  }
  return Status::Ok();
}

Result<std::string> Connection::ReceiveLine(Clock::time_point deadline) {
  std::string line;
  std::array<char, 16 << 10> buffer;
  for (;;) {
    FREYJA_RETURN_IF_ERROR(WaitUntil(POLLIN, deadline));
    const ssize_t count = ::recv(socket_->get(), buffer.data(), buffer.size(), MSG_DONTWAIT);
    if (count == 0 || (count < 0 && errno == ECONNRESET)) return std::unexpected(Closed());
    if (count < 0 && (errno == EINTR || errno == EAGAIN)) continue;
    if (count < 0) return std::unexpected(io::ErrnoStatus(errno, "recv", directory_.native()));
    line.append(buffer.data(), static_cast<std::size_t>(count));
    if (!line.ends_with('\n')) continue;
    line.pop_back();
    return line;
  }
}

}  // namespace freyja::control
