// The end of the control socket in the process that has the store open.
#pragma once

#include <poll.h>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <deque>
#include <filesystem>
#include <list>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "base/mutex.h"
#include "control/protocol.h"
#include "control/server_client.h"
#include "control/socket.h"

namespace freyja::control {

// What the requests are for.
class RequestHandler {
 public:
  virtual ~RequestHandler() = default;
  // Whether the command reads files, or more: it is then handled on a second thread, one such
  // request at a time.
  virtual bool IsSlow(std::string_view command) const = 0;
  // The reply's result. From two threads at once.
  virtual Result<Json> Handle(const std::string& command, const Json& arguments) = 0;
};

struct ServerLimits {
  std::size_t clients = 32;  // more are told kBusy
  std::size_t line_bytes = std::size_t{256} << 10;
  // Without a complete request, or without taking a reply, for this long a client is dropped.
  std::chrono::milliseconds idle = std::chrono::seconds(60);
};

// One thread polls all clients and never waits for one of them; a client has one request under
// way at a time. A slow request that runs when Shutdown is called is waited for; those that wait
// for their turn are dropped.
//
// Thread safety: Shutdown from any thread, but one at a time.
class Server {
 public:
  // `handler` must outlive the server.
  static Result<std::unique_ptr<Server>> Start(const std::filesystem::path& directory,
                                               RequestHandler& handler, ServerLimits limits = {});
  ~Server() { Shutdown(); }
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  // Closes every connection, removes the socket, ends both threads.
  void Shutdown() FREYJA_EXCLUDES(mutex_);

 private:
  using Clock = std::chrono::steady_clock;
  struct SlowReply {
    std::uint64_t client_id = 0;
    std::string text;  // empty: there was no memory for it
  };
  struct SlowRequest {
    std::string command;
    std::shared_ptr<Json> arguments;
    std::list<SlowReply> reply;  // of one, made in advance: passing it on can't fail
  };

  Server(ListeningSocket socket, io::Descriptor wake, RequestHandler& handler, ServerLimits limits);
  Status StartThreads();

  // The polling thread.
  void Poll() FREYJA_EXCLUDES(mutex_);
  void Turn() FREYJA_EXCLUDES(mutex_);
  std::vector<pollfd> WhatToPoll() const;
  int PollTimeoutMs() const;
  void TakeSlowReplies() FREYJA_EXCLUDES(mutex_);
  void Accept();
  void Serve(ServerClient& client, short events) FREYJA_EXCLUDES(mutex_);
  void HandleLine(ServerClient& client, const std::string& line) FREYJA_EXCLUDES(mutex_);
  void Extend(ServerClient& client) const { client.deadline = Clock::now() + limits_.idle; }

  // The thread of slow requests.
  void RunSlow() FREYJA_EXCLUDES(mutex_);
  std::string ReplyTo(const std::string& command, const Json& arguments);
  void Wake() const;

  RequestHandler& handler_;
  const ServerLimits limits_;
  const io::Descriptor wake_;  // an eventfd: a slow reply, or Shutdown
  std::atomic<bool> stopping_{false};

  // Of the polling thread, and of Shutdown when that has ended.
  std::optional<ListeningSocket> socket_;
  std::list<ServerClient> clients_;
  std::uint64_t next_client_id_ = 1;
  Clock::time_point accept_after_{};

  std::thread poll_thread_;
  std::thread slow_thread_;
  base::Mutex mutex_;
  base::CondVar changed_;
  std::deque<SlowRequest> slow_requests_ FREYJA_GUARDED_BY(mutex_);
  std::list<SlowReply> slow_replies_ FREYJA_GUARDED_BY(mutex_);
};

}  // namespace freyja::control
