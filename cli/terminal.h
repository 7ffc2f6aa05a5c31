// Terminal: a screen of its own that is redrawn in place, and keys without Enter.
#pragma once

#include <termios.h>

#include <chrono>
#include <csignal>
#include <cstddef>
#include <optional>
#include <string>
#include <vector>

namespace freyja::cli {

// One at a time, made and destroyed by the main thread; the destructor puts everything back.
// Ctrl-C still raises SIGINT; Ctrl-Z does nothing. Standard output must be a terminal.
class Terminal {
 public:
  Terminal();
  ~Terminal();
  Terminal(const Terminal&) = delete;
  Terminal& operator=(const Terminal&) = delete;

  struct Size {
    std::size_t columns = 80;
    std::size_t rows = 24;
  };
  static Size CurrentSize();

  // Lines beyond the screen's size must not be passed.
  void Draw(const std::vector<std::string>& lines);
  enum class Event { kTimeout, kKey, kInterrupted };
  // Waits for a key (stored in `*key`), a signal (a new size is one), or the time.
  Event Wait(std::chrono::milliseconds timeout, char* key);

 private:
  std::optional<termios> before_;  // of standard input, if that is a terminal
  bool reads_keys_ = false;
  struct sigaction old_resize_{};
};

}  // namespace freyja::cli
