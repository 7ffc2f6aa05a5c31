// InterruptGuard: turns the first Ctrl-C (SIGINT) or SIGTERM into a request to stop,
// so that a command can undo or finish what it has begun. A second one kills.
#pragma once

#include <csignal>

namespace freyja::cli {

// One at a time, made and destroyed by the main thread. The earlier handlers are put
// back by the destructor.
class InterruptGuard {
 public:
  InterruptGuard();
  ~InterruptGuard();
  InterruptGuard(const InterruptGuard&) = delete;
  InterruptGuard& operator=(const InterruptGuard&) = delete;

  // Whether a signal has come; from any thread.
  static bool Interrupted();

 private:
  struct sigaction old_interrupt_{};
  struct sigaction old_terminate_{};
};

}  // namespace freyja::cli
