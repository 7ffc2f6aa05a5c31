#include "control/server.h"

#include <errno.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <exception>
#include <nlohmann/json.hpp>
#include <system_error>
#include <utility>

#include "base/status_macros.h"

namespace freyja::control {
namespace {

constexpr std::chrono::milliseconds kAcceptPause{1000};

Result<Json> Refusal(StatusCode code, const char* message) {
  return std::unexpected(Status(code, message));
}

}  // namespace

Server::Server(ListeningSocket socket, io::Descriptor wake, RequestHandler& handler,
               ServerLimits limits)
    : handler_(handler), limits_(limits), wake_(std::move(wake)) {
  socket_.emplace(std::move(socket));
}

Result<std::unique_ptr<Server>> Server::Start(const std::filesystem::path& directory,
                                              RequestHandler& handler, ServerLimits limits) {
  io::Descriptor wake(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!wake.valid()) {
    return std::unexpected(io::ErrnoStatus(errno, "eventfd", directory.native()));
  }
  FREYJA_ASSIGN_OR_RETURN(ListeningSocket socket, ListeningSocket::Open(directory));
  std::unique_ptr<Server> server(new Server(std::move(socket), std::move(wake), handler, limits));
  FREYJA_RETURN_IF_ERROR(server->StartThreads());
  return server;
}

Status Server::StartThreads() {
  try {
    slow_thread_ = std::thread([this] { RunSlow(); });
    poll_thread_ = std::thread([this] { Poll(); });
    return Status::Ok();
  } catch (const std::system_error&) {
    return Status(StatusCode::kOutOfMemory, "no thread for the control socket");
  }
}

void Server::Shutdown() {
  {
    base::MutexLock lock(mutex_);
    stopping_.store(true);
    slow_requests_.clear();
    changed_.NotifyAll();
  }
  Wake();
  if (poll_thread_.joinable()) poll_thread_.join();
  clients_.clear();
  socket_.reset();
  if (slow_thread_.joinable()) slow_thread_.join();
}

void Server::Wake() const {
  const std::uint64_t one = 1;
  // It fails only when the counter is full, and then the thread wakes as well.
  [[maybe_unused]] const ssize_t ignored = ::write(wake_.get(), &one, sizeof(one));
}

// --- The polling thread ---------------------------------------------------------------

void Server::Poll() {
  while (!stopping_.load()) {
    try {
      Turn();
    } catch (const std::exception&) {
      // Out of memory: whoever holds most of it is one of the clients.
      clients_.clear();
    }
  }
}

std::vector<pollfd> Server::WhatToPoll() const {
  std::vector<pollfd> polled;
  polled.push_back({.fd = wake_.get(), .events = POLLIN, .revents = 0});
  const bool accepts = Clock::now() >= accept_after_;
  polled.push_back({.fd = accepts ? socket_->descriptor() : -1, .events = POLLIN, .revents = 0});
  for (const ServerClient& client : clients_) {
    const int events = (client.wants_input() ? POLLIN : 0) | (client.wants_output() ? POLLOUT : 0);
    polled.push_back(
        {.fd = client.descriptor(), .events = static_cast<short>(events), .revents = 0});
  }
  return polled;
}

int Server::PollTimeoutMs() const {
  if (std::ranges::any_of(clients_, &ServerClient::has_line)) return 0;
  const auto now = Clock::now();
  auto until = Clock::time_point::max();
  for (const ServerClient& client : clients_) {
    if (!client.waits_for_reply) until = std::min(until, client.deadline);
  }
  if (accept_after_ > now) until = std::min(until, accept_after_);
  if (until == Clock::time_point::max()) return -1;
  const auto rest = std::chrono::ceil<std::chrono::milliseconds>(until - now).count();
  return static_cast<int>(std::clamp<std::int64_t>(rest, 0, 60'000));
}

void Server::Turn() {
  std::vector<pollfd> polled = WhatToPoll();
  if (::poll(polled.data(), polled.size(), PollTimeoutMs()) < 0) {
    // Interrupted, or no memory in the kernel, which must not turn into a busy loop.
    if (errno != EINTR) std::this_thread::sleep_for(std::chrono::milliseconds(10));
    return;
  }
  if (stopping_.load()) return;
  if (polled[0].revents != 0) TakeSlowReplies();
  auto seen = polled.begin() + 2;
  for (ServerClient& client : clients_) {
    try {
      Serve(client, (seen++)->revents);
    } catch (const std::exception&) {
      client.Drop();
    }
  }
  const auto now = Clock::now();
  std::erase_if(clients_, [now](const ServerClient& client) {
    return client.finished() || (!client.waits_for_reply && client.deadline <= now);
  });
  if (polled[1].revents != 0) Accept();
}

void Server::TakeSlowReplies() {
  std::uint64_t count = 0;
  [[maybe_unused]] const ssize_t ignored = ::read(wake_.get(), &count, sizeof(count));
  std::list<SlowReply> replies;
  {
    base::MutexLock lock(mutex_);
    replies.swap(slow_replies_);
  }
  for (const SlowReply& reply : replies) {
    const auto client = std::ranges::find(clients_, reply.client_id, &ServerClient::id);
    if (client == clients_.end()) continue;
    client->waits_for_reply = false;
    if (reply.text.empty()) client->Drop();
    client->Send(reply.text);
    Extend(*client);
  }
}

void Server::Accept() {
  io::Descriptor socket(
      ::accept4(socket_->descriptor(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
  if (!socket.valid()) {
    // Without descriptors or memory the connection would stay and be reported at once again.
    if (errno != EAGAIN && errno != EINTR && errno != ECONNABORTED) {
      accept_after_ = Clock::now() + kAcceptPause;
    }
    return;
  }
  if (!PeerIsTrusted(socket.get())) return;
  if (clients_.size() >= limits_.clients) {
    ServerClient refused(std::move(socket), 0);
    refused.Send(EncodeReply(Refusal(StatusCode::kBusy, "too many connections to the store")));
    refused.Flush();
    return;
  }
  Extend(clients_.emplace_back(std::move(socket), next_client_id_++));
}

void Server::Serve(ServerClient& client, short events) {
  if ((events & (POLLERR | POLLNVAL)) != 0) return client.Drop();
  // Both directions are closed: a reply would reach nobody.
  if ((events & POLLHUP) != 0 && (events & POLLIN) == 0 && !client.has_line()) {
    return client.Drop();
  }
  if (client.wants_input() && (events & POLLIN) != 0) client.Receive();
  if (client.wants_output()) {
    if (client.Flush()) Extend(client);
    return;
  }
  if (const auto line = client.NextLine()) {
    Extend(client);
    HandleLine(client, *line);
    client.Flush();
  } else if (client.unfinished_bytes() > limits_.line_bytes) {
    client.Send(EncodeReply(Refusal(StatusCode::kInvalidArgument, "the request is too long")));
    client.FinishSoon();
    client.Flush();
  }
}

void Server::HandleLine(ServerClient& client, const std::string& line) {
  SlowRequest request{.command = {}, .arguments = std::make_shared<Json>(), .reply = {}};
  Status decoded(StatusCode::kInvalidArgument, "the request is too long");
  if (line.size() <= limits_.line_bytes) {
    decoded = DecodeRequest(line, &request.command, request.arguments.get());
  }
  if (!decoded.ok()) return client.Send(EncodeReply(std::unexpected(std::move(decoded))));
  if (!handler_.IsSlow(request.command)) {
    return client.Send(ReplyTo(request.command, *request.arguments));
  }
  request.reply.push_back({.client_id = client.id, .text = {}});
  base::MutexLock lock(mutex_);
  slow_requests_.push_back(std::move(request));
  client.waits_for_reply = true;
  changed_.NotifyAll();
}

std::string Server::ReplyTo(const std::string& command, const Json& arguments) {
  try {
    return EncodeReply(handler_.Handle(command, arguments));
  } catch (const std::exception& error) {
    return EncodeReply(Refusal(StatusCode::kOutOfMemory, error.what()));
  }
}

// --- The thread of slow requests ------------------------------------------------------

void Server::RunSlow() {
  for (;;) {
    SlowRequest request;
    {
      base::MutexLock lock(mutex_);
      while (slow_requests_.empty() && !stopping_.load()) changed_.Wait(mutex_);
      if (stopping_.load()) return;
      request = std::move(slow_requests_.front());
      slow_requests_.pop_front();
    }
    try {
      request.reply.front().text = ReplyTo(request.command, *request.arguments);
    } catch (const std::exception&) {
      request.reply.front().text.clear();  // no memory; the connection ends
    }
    {
      base::MutexLock lock(mutex_);
      slow_replies_.splice(slow_replies_.end(), request.reply);
    }
    Wake();
  }
}

}  // namespace freyja::control
