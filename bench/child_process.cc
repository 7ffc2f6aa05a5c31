#include "child_process.h"

#include <fcntl.h>
#include <poll.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <cstring>

extern char** environ;

namespace freyja::bench {

Result<ChildProcess> ChildProcess::Start(const std::string& program,
                                         const std::vector<std::string>& arguments) {
  std::array<int, 2> ends = {};
  if (::pipe2(ends.data(), O_CLOEXEC) != 0) {
    return std::unexpected(Status(StatusCode::kIoError, std::strerror(errno)));
  }
  std::vector<std::string> words = {program};
  words.insert(words.end(), arguments.begin(), arguments.end());
  std::vector<char*> pointers;
  pointers.reserve(words.size() + 1);
  for (std::string& word : words) pointers.push_back(word.data());
  pointers.push_back(nullptr);

  posix_spawn_file_actions_t actions;
  ::posix_spawn_file_actions_init(&actions);
  ::posix_spawn_file_actions_adddup2(&actions, ends[1], STDOUT_FILENO);
  pid_t pid = -1;
  const int error =
      ::posix_spawn(&pid, program.c_str(), &actions, nullptr, pointers.data(), environ);
  ::posix_spawn_file_actions_destroy(&actions);
  ::close(ends[1]);
  if (error != 0) {
    ::close(ends[0]);
    return std::unexpected(
        Status(StatusCode::kIoError, "starting " + program + ": " + std::strerror(error)));
  }
  return ChildProcess(pid, ends[0]);
}

Result<std::string> ChildProcess::ReadLine(const std::atomic<bool>& stop) {
  constexpr int kLookMilliseconds = 50;
  std::string line;
  while (true) {
    if (stop.load()) return std::unexpected(Status(StatusCode::kCancelled, "interrupted"));
    pollfd wanted = {.fd = output_, .events = POLLIN, .revents = 0};
    if (::poll(&wanted, 1, kLookMilliseconds) <= 0) continue;
    char c = 0;
    const ssize_t count = ::read(output_, &c, 1);
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) return line;
    line += c;
    if (c == '\n') return line;
  }
}

int ChildProcess::Wait() {
  int status = 0;
  while (::waitpid(pid_, &status, 0) < 0 && errno == EINTR) {
  }
  ::close(output_);
  pid_ = -1;
  output_ = -1;
  constexpr int kBySignal = 128;
  return WIFEXITED(status) ? WEXITSTATUS(status) : kBySignal + WTERMSIG(status);
}

void ChildProcess::Kill() {
  if (pid_ < 0) return;
  ::kill(pid_, SIGKILL);
  static_cast<void>(Wait());
}

}  // namespace freyja::bench
