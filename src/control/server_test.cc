// The server with a handler that does nothing: connections, limits, misbehaving clients.
#include "control/server.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <chrono>
#include <fstream>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <thread>
#include <vector>

#include "control/testing.h"

namespace freyja::control {
namespace {

using io::testing::CodeOf;
using io::testing::Must;
using io::testing::TemporaryDirectory;
using std::chrono::milliseconds;
using testing::RawClient;

// "echo" answers with its arguments, "big" with 8 MiB, "throw" throws, "slow" waits for Release.
class TestHandler final : public RequestHandler {
 public:
  bool IsSlow(std::string_view command) const override { return command == "slow"; }
  Result<Json> Handle(const std::string& command, const Json& arguments) override {
    if (command == "throw") throw std::runtime_error("thrown");
    if (command == "big") return Json(std::string(8 << 20, 'x'));
    if (command != "slow") return arguments;
    base::MutexLock lock(mutex_);
    ++slow_;
    changed_.NotifyAll();
    while (!released_) changed_.Wait(mutex_);
    return Json("slow");
  }
  void AwaitSlow() {
    base::MutexLock lock(mutex_);
    while (slow_ == 0) changed_.Wait(mutex_);
  }
  void Release() {
    base::MutexLock lock(mutex_);
    released_ = true;
    changed_.NotifyAll();
  }

 private:
  base::Mutex mutex_;
  base::CondVar changed_;
  int slow_ FREYJA_GUARDED_BY(mutex_) = 0;
  bool released_ FREYJA_GUARDED_BY(mutex_) = false;
};

std::string Echo(int number) {
  return R"({"freyja":1,"command":"echo","arguments":{"n":)" + std::to_string(number) + "}}";
}
std::string Echoed(int number) {
  return R"({"freyja":1,"ok":true,"result":{"n":)" + std::to_string(number) + "}}";
}
StatusCode CodeIn(const std::string& reply) { return CodeOf(DecodeReply(reply)); }

class ServerTest : public ::testing::Test {
 protected:
  void Start(ServerLimits limits = {}) {
    server_ = Must(Server::Start(directory_.path(), handler_, limits));
  }
  RawClient NewClient() { return RawClient(directory_.path()); }
  std::filesystem::path SocketPath() const { return directory_.path() / "CONTROL"; }

  TemporaryDirectory directory_;
  TestHandler handler_;
  std::unique_ptr<Server> server_;
};

TEST_F(ServerTest, AnswersManyRequestsOfManyClients) {
  Start();
  std::vector<std::unique_ptr<RawClient>> clients;
  for (int i = 0; i < 20; ++i) clients.push_back(std::make_unique<RawClient>(directory_.path()));
  for (int round = 0; round < 5; ++round) {
    for (int i = 0; i < 20; ++i) EXPECT_EQ(clients[i]->Ask(Echo(i)), Echoed(i));
  }
}

TEST_F(ServerTest, PipelinedRequestsAreAnsweredInOrderAndAfterTheLastByte) {
  Start();
  RawClient client = NewClient();
  std::string text;
  for (int i = 0; i < 100; ++i) text += Echo(i) + '\n';
  ASSERT_TRUE(client.Send(text));
  client.SendNoMore();
  for (int i = 0; i < 100; ++i) EXPECT_EQ(client.ReadLine(), Echoed(i));
  EXPECT_TRUE(client.Ended());
}

TEST_F(ServerTest, RequestInPiecesIsOneRequest) {
  Start();
  RawClient client = NewClient();
  for (const char c : Echo(3)) ASSERT_TRUE(client.Send(std::string(1, c)));
  EXPECT_EQ(client.Ask(""), Echoed(3));
}

TEST_F(ServerTest, WrongRequestsAreAnsweredAndTheConnectionStays) {
  Start();
  RawClient client = NewClient();
  EXPECT_EQ(CodeIn(client.Ask("nonsense")), StatusCode::kInvalidArgument);
  EXPECT_EQ(CodeIn(client.Ask(R"({"freyja":99,"command":"echo"})")), StatusCode::kUnsupported);
  EXPECT_EQ(CodeIn(client.Ask(R"({"freyja":1,"command":"throw"})")), StatusCode::kOutOfMemory);
  EXPECT_EQ(client.Ask(Echo(1)), Echoed(1));
}

TEST_F(ServerTest, LineOverTheLimitIsRefusedAndTheConnectionEnds) {
  Start({.line_bytes = 1000});
  RawClient client = NewClient();
  client.Send(std::string(100'000, 'x'));
  EXPECT_EQ(CodeIn(client.ReadLine()), StatusCode::kInvalidArgument);
  EXPECT_TRUE(client.Ended());
  RawClient other = NewClient();
  EXPECT_EQ(CodeIn(other.Ask(std::string(1001, 'x'))), StatusCode::kInvalidArgument);
  EXPECT_EQ(other.Ask(Echo(1)), Echoed(1));  // that one was whole
}

TEST_F(ServerTest, MoreClientsThanTheLimitAreToldSo) {
  Start({.clients = 4});
  std::vector<std::unique_ptr<RawClient>> clients;
  for (int i = 0; i < 4; ++i) {
    clients.push_back(std::make_unique<RawClient>(directory_.path()));
    EXPECT_EQ(clients.back()->Ask(Echo(i)), Echoed(i));
  }
  for (int i = 0; i < 100; ++i) {
    RawClient refused = NewClient();
    EXPECT_EQ(CodeIn(refused.ReadLine()), StatusCode::kBusy);
    EXPECT_TRUE(refused.Ended());
  }
  EXPECT_EQ(clients[0]->Ask(Echo(9)), Echoed(9));
  clients.pop_back();
  for (int i = 0; i < 100; ++i) {  // the server notices within a turn or two
    RawClient next = NewClient();
    if (next.Ask(Echo(7)) == Echoed(7)) return;
    std::this_thread::sleep_for(milliseconds(10));
  }
  FAIL() << "the place of the client that left was never free";
}

TEST_F(ServerTest, ClientsThatLeaveInTheMiddleDisturbNobody) {
  Start({.clients = 200});
  RawClient stays = NewClient();
  for (int i = 0; i < 50; ++i) {
    NewClient().Send("{\"freyja\":1,\"comm");
    NewClient().Send(Echo(i) + "\n");
    NewClient().Send("{\"freyja\":1,\"command\":\"big\"}\n");
    ASSERT_EQ(stays.Ask(Echo(i)), Echoed(i));
  }
}

TEST_F(ServerTest, ClientThatDoesNotReadItsReplyDelaysNobodyAndIsDropped) {
  Start({.idle = milliseconds(300)});
  RawClient hog = NewClient();
  ASSERT_TRUE(hog.Send("{\"freyja\":1,\"command\":\"big\"}\n"));
  RawClient other = NewClient();
  EXPECT_EQ(other.Ask(Echo(1)), Echoed(1));
  std::this_thread::sleep_for(milliseconds(900));
  // What the socket held is there, the rest isn't: the line has no end.
  EXPECT_TRUE(hog.Ended());
}

TEST_F(ServerTest, ClientThatTricklesBytesIsDropped) {
  Start({.idle = milliseconds(300)});
  RawClient client = NewClient();
  bool ended = false;
  for (int i = 0; i < 100 && !ended; ++i) {
    ended = !client.Send("x");
    std::this_thread::sleep_for(milliseconds(20));
  }
  EXPECT_TRUE(ended);
}

TEST_F(ServerTest, SlowRequestDelaysNobodyElse) {
  Start({.idle = milliseconds(300)});
  RawClient slow = NewClient();
  slow.Send("{\"freyja\":1,\"command\":\"slow\"}\n" + Echo(5) + "\n");
  handler_.AwaitSlow();
  RawClient other = NewClient();
  EXPECT_EQ(other.Ask(Echo(1)), Echoed(1));
  std::this_thread::sleep_for(milliseconds(600));  // who waits for an answer is not idle
  handler_.Release();
  EXPECT_EQ(slow.ReadLine(), R"({"freyja":1,"ok":true,"result":"slow"})");
  EXPECT_EQ(slow.ReadLine(), Echoed(5));
}

TEST_F(ServerTest, ClientOfASlowRequestMayLeave) {
  Start();
  {
    RawClient slow = NewClient();
    slow.Send("{\"freyja\":1,\"command\":\"slow\"}\n");
    handler_.AwaitSlow();
  }
  handler_.Release();
  RawClient other = NewClient();
  EXPECT_EQ(other.Ask(Echo(1)), Echoed(1));
}

TEST_F(ServerTest, ShutdownEndsConnectionsAndRemovesTheSocket) {
  Start();
  RawClient idle = NewClient();
  RawClient half = NewClient();
  half.Send("{\"freyja\"");
  EXPECT_EQ(idle.Ask(Echo(1)), Echoed(1));
  RawClient waiting = NewClient();
  RawClient queued = NewClient();
  waiting.Send("{\"freyja\":1,\"command\":\"slow\"}\n");
  handler_.AwaitSlow();
  queued.Send("{\"freyja\":1,\"command\":\"slow\"}\n");
  EXPECT_EQ(idle.Ask(Echo(2)), Echoed(2));
  std::thread shutdown([this] { server_->Shutdown(); });
  // No connection waits for the slow request that still runs.
  EXPECT_TRUE(idle.Ended());
  EXPECT_TRUE(half.Ended());
  EXPECT_TRUE(waiting.Ended());
  EXPECT_TRUE(queued.Ended());
  handler_.Release();
  shutdown.join();
  EXPECT_FALSE(std::filesystem::exists(std::filesystem::symlink_status(SocketPath())));
  server_->Shutdown();  // once more does nothing
}

TEST_F(ServerTest, SocketIsItsOwnersWhateverTheUmask) {
  const mode_t before = ::umask(0);
  Start();
  ::umask(before);
  struct stat info;
  ASSERT_EQ(::lstat(SocketPath().c_str(), &info), 0);
  EXPECT_TRUE(S_ISSOCK(info.st_mode));
  EXPECT_EQ(info.st_mode & 07777, 0600U);
}

TEST_F(ServerTest, DirectoryWithALongPathWorks) {
  std::filesystem::path deep = directory_.path();
  for (int i = 0; i < 5; ++i) deep /= std::string(60, static_cast<char>('a' + i));
  std::filesystem::create_directories(deep);
  ASSERT_GT(deep.native().size(), 300U);
  const auto server = Must(Server::Start(deep, handler_));
  RawClient client(deep);
  EXPECT_EQ(client.Ask(Echo(1)), Echoed(1));
}

TEST_F(ServerTest, LeftOverSocketIsReplacedAndAForeignFileIsNot) {
  // A name without a listener, as after kill -9.
  std::filesystem::path moved = directory_.path() / "moved";
  Start();
  std::filesystem::rename(SocketPath(), moved);
  server_.reset();
  std::filesystem::rename(moved, SocketPath());
  EXPECT_EQ(CodeOf(Connect(directory_.path())), StatusCode::kNotFound);
  Start();
  EXPECT_EQ(NewClient().Ask(Echo(1)), Echoed(1));
  server_.reset();
  std::ofstream(SocketPath()) << "mine";
  EXPECT_EQ(CodeOf(Server::Start(directory_.path(), handler_)), StatusCode::kAlreadyExists);
  EXPECT_TRUE(std::filesystem::is_regular_file(SocketPath()));
  EXPECT_EQ(CodeOf(Connect(directory_.path())), StatusCode::kNotFound);
}

}  // namespace
}  // namespace freyja::control
