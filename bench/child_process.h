// This program, run once more with other arguments.
#pragma once

#include <sys/types.h>

#include <atomic>
#include <string>
#include <utility>
#include <vector>

#include "freyja/status.h"

namespace freyja::bench {

// Its standard output comes through a pipe; the rest it shares. Killed at the end, if it still
// runs.
class ChildProcess {
 public:
  // `program`: usually "/proc/self/exe". kIoError.
  [[nodiscard]] static Result<ChildProcess> Start(const std::string& program,
                                                  const std::vector<std::string>& arguments);
  ChildProcess(ChildProcess&& other) noexcept
      : pid_(std::exchange(other.pid_, -1)), output_(std::exchange(other.output_, -1)) {}
  ChildProcess& operator=(ChildProcess&&) = delete;
  ~ChildProcess() { Kill(); }

  // Up to and with the next newline, or all that is left. kCancelled: `stop` was set meanwhile.
  [[nodiscard]] Result<std::string> ReadLine(const std::atomic<bool>& stop);
  // Waits for its end. Its exit status; 128 and the signal's number if one ended it.
  [[nodiscard]] int Wait();
  // SIGKILL, and waits for its end.
  void Kill();

 private:
  ChildProcess(pid_t pid, int output) : pid_(pid), output_(output) {}

  pid_t pid_;
  int output_;
};

}  // namespace freyja::bench
