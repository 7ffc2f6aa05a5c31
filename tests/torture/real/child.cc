#include "torture/real/child.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cstdlib>
#include <cstring>
#include <sstream>
#include <system_error>
#include <utility>

#include "torture/real/child_work.h"

namespace freyja::torture::real {

namespace {

constexpr char kEnvironmentName[] = "FREYJA_TORTURE_CHILD";
constexpr int kMessageDescriptor = 100;  // in the child; none of the low ones, which it opens
constexpr int kGoDescriptor = 101;
constexpr unsigned kLongestSilenceSeconds = 150;  // twice that is less than a test may take

// Counts what was sent, for the alarm. A child that says nothing between two alarms hangs and
// ends itself with SIGALRM; one that is only slow, on a busy machine, goes on.
std::atomic<std::uint64_t> messages_sent = 0;
static_assert(std::atomic<std::uint64_t>::is_always_lock_free);

extern "C" void EndIfSilent(int signal) {
  static std::uint64_t sent_before = 0;  // of the handler alone
  const std::uint64_t sent = messages_sent.load();
  if (sent == std::exchange(sent_before, sent)) {
    ::signal(signal, SIG_DFL);
    ::raise(signal);
    return;
  }
  ::alarm(kLongestSilenceSeconds);
}

void WatchForSilence() {
  struct sigaction action = {};
  action.sa_handler = EndIfSilent;
  action.sa_flags = SA_RESTART;
  ::sigaction(SIGALRM, &action, nullptr);
  ::alarm(kLongestSilenceSeconds);
}

struct Header {
  std::uint32_t kind = 0;
  std::uint32_t writer = 0;
  std::uint64_t number = 0;
  std::uint64_t text_bytes = 0;
};
constexpr std::size_t kMostTextBytes = 2000;  // a message is written in one piece (PIPE_BUF)

std::string Encode(const ChildSpec& spec) {
  std::ostringstream out;
  out << static_cast<std::uint64_t>(spec.task) << ' ' << spec.shape.seed << ' '
      << spec.shape.writers << ' ' << spec.shape.keys << ' ' << spec.shape.value_bytes << ' '
      << spec.first_number << ' ' << spec.writes << ' ' << static_cast<unsigned>(spec.sync) << ' '
      << spec.segment_bytes << ' ' << spec.reserve_bytes << ' ' << spec.compact_always << ' '
      << spec.compact_every << ' ' << spec.sync_every << ' ' << spec.file_size_limit << ' '
      << spec.directory.native();
  return std::move(out).str();
}

ChildSpec Decode(const std::string& text) {
  std::istringstream in(text);
  ChildSpec spec;
  std::uint64_t task = 0;
  unsigned sync = 0;
  std::string directory;
  in >> task >> spec.shape.seed >> spec.shape.writers >> spec.shape.keys >>
      spec.shape.value_bytes >> spec.first_number >> spec.writes >> sync >> spec.segment_bytes >>
      spec.reserve_bytes >> spec.compact_always >> spec.compact_every >> spec.sync_every >>
      spec.file_size_limit;
  in.get();
  std::getline(in, directory);
  spec.task = static_cast<Task>(task);
  spec.sync = static_cast<Sync>(sync);
  spec.directory = directory;
  return spec;
}

[[gnu::constructor]] void BecomeChildIfMeant() {
  const char* text = std::getenv(kEnvironmentName);
  if (text == nullptr) return;
  const ChildSpec spec = Decode(text);
  ::unsetenv(kEnvironmentName);
  WatchForSilence();
  char go = 0;
  while (::read(kGoDescriptor, &go, 1) < 0 && errno == EINTR) {
  }
  if (go != 0) RunChild(spec);
  ::_exit(0);
}

Status Failure(const char* what, int error) {
  return {StatusCode::kIoError, std::string(what) + ": " + std::system_category().message(error)};
}

}  // namespace

Options ChildSpec::StoreOptions() const {
  Options options;
  options.create_if_missing = true;
  options.scheduler.enabled = false;
  options.sync = sync;
  options.sync_interval = std::chrono::milliseconds(5);
  options.segment_bytes = segment_bytes;
  options.reserve_bytes = reserve_bytes;
  return options;
}

void Send(const Message& message) {
  const std::string text = message.text.substr(0, kMostTextBytes);
  const Header header{static_cast<std::uint32_t>(message.kind), message.writer, message.number,
                      text.size()};
  std::string bytes(sizeof(header), '\0');
  std::memcpy(bytes.data(), &header, sizeof(header));
  bytes += text;
  // A parent that is gone has no use for the rest.
  if (::write(kMessageDescriptor, bytes.data(), bytes.size()) < 0) ::_exit(1);
  messages_sent.fetch_add(1);
}

Result<Child> Child::Start(const ChildSpec& spec) {
  std::array<int, 2> messages{};
  std::array<int, 2> go{};
  if (::pipe2(messages.data(), O_CLOEXEC) != 0) return std::unexpected(Failure("pipe", errno));
  if (::pipe2(go.data(), O_CLOEXEC) != 0) {
    const int error = errno;
    ::close(messages[0]);
    ::close(messages[1]);
    return std::unexpected(Failure("pipe", error));
  }
  std::vector<std::string> environment;
  for (char** entry = environ; *entry != nullptr; ++entry) environment.emplace_back(*entry);
  environment.push_back(std::string(kEnvironmentName) + "=" + Encode(spec));
  std::vector<char*> pointers;
  for (std::string& entry : environment) pointers.push_back(entry.data());
  pointers.push_back(nullptr);
  std::string name = "freyja-torture-child";
  std::array<char*, 2> arguments = {name.data(), nullptr};

  posix_spawn_file_actions_t actions;
  ::posix_spawn_file_actions_init(&actions);
  ::posix_spawn_file_actions_adddup2(&actions, messages[1], kMessageDescriptor);
  ::posix_spawn_file_actions_adddup2(&actions, go[0], kGoDescriptor);
  pid_t pid = -1;
  const int error =
      ::posix_spawn(&pid, "/proc/self/exe", &actions, nullptr, arguments.data(), pointers.data());
  ::posix_spawn_file_actions_destroy(&actions);
  ::close(messages[1]);
  ::close(go[0]);
  if (error != 0) {
    ::close(messages[0]);
    ::close(go[1]);
    return std::unexpected(Failure("start a child", error));
  }
  ::fcntl(messages[0], F_SETFL, O_NONBLOCK);
  return Child(pid, messages[0], go[1]);
}

Child::Child(Child&& other) noexcept
    : pid_(std::exchange(other.pid_, -1)),
      messages_(std::exchange(other.messages_, -1)),
      go_(std::exchange(other.go_, -1)),
      received_(std::move(other.received_)) {}

Child::~Child() {
  if (pid_ > 0) {
    Kill();
    Reap();
  }
  if (messages_ >= 0) ::close(messages_);
  if (go_ >= 0) ::close(go_);
}

void Child::Go() {
  const char go = 1;
  // The child is there and has read nothing yet: the pipe has room for a byte.
  [[maybe_unused]] const ssize_t written = ::write(go_, &go, 1);
}

bool Child::Receive(std::chrono::milliseconds wait, std::vector<Message>& messages) {
  struct pollfd poll{.fd = messages_, .events = POLLIN, .revents = 0};
  ::poll(&poll, 1, static_cast<int>(wait.count()));
  std::array<char, 16384> buffer;
  bool ended = false;
  for (;;) {
    const ssize_t count = ::read(messages_, buffer.data(), buffer.size());
    if (count > 0) {
      received_.append(buffer.data(), static_cast<std::size_t>(count));
      continue;
    }
    if (count < 0 && errno == EINTR) continue;
    ended = count == 0 || errno != EAGAIN;
    break;
  }
  std::size_t at = 0;
  Header header;
  while (received_.size() - at >= sizeof(header)) {
    std::memcpy(&header, received_.data() + at, sizeof(header));
    if (received_.size() - at - sizeof(header) < header.text_bytes) break;
    at += sizeof(header);
    messages.push_back({.kind = static_cast<Message::Kind>(header.kind),
                        .writer = header.writer,
                        .number = header.number,
                        .text = received_.substr(at, header.text_bytes)});
    at += header.text_bytes;
  }
  received_.erase(0, at);
  return !ended;
}

std::vector<Message> Child::ReceiveRest() {
  std::vector<Message> messages;
  while (Receive(std::chrono::seconds(1), messages)) {
  }
  return messages;
}

void Child::Kill() {
  if (pid_ > 0) ::kill(pid_, SIGKILL);
}

int Child::Reap() {
  int status = 0;
  while (::waitpid(pid_, &status, 0) < 0 && errno == EINTR) {
  }
  pid_ = -1;
  return status;
}

std::string DescribeEnd(int wait_status) {
  if (WIFEXITED(wait_status)) return "exited with " + std::to_string(WEXITSTATUS(wait_status));
  if (!WIFSIGNALED(wait_status)) return "wait status " + std::to_string(wait_status);
  if (WTERMSIG(wait_status) == SIGALRM) return "hung and was ended by its alarm";
  return "killed by signal " + std::to_string(WTERMSIG(wait_status));
}

std::optional<std::string> Enter(const std::vector<Message>& messages, Ledger& ledger) {
  for (const Message& message : messages) {
    switch (message.kind) {
      case Message::Kind::kReturned:
      case Message::Kind::kReturnedDurable:
        ledger.Returned(message.writer, message.number,
                        message.kind == Message::Kind::kReturnedDurable);
        break;
      case Message::Kind::kSynced:
        ledger.Synced(message.writer);
        break;
      case Message::Kind::kFailed:
        return message.text;
      default:
        break;
    }
  }
  return std::nullopt;
}

}  // namespace freyja::torture::real
