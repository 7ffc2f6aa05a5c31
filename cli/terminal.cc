#include "terminal.h"

#include <poll.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <string_view>

namespace freyja::cli {
namespace {

constexpr std::string_view kEnter = "\x1b[?1049h\x1b[?25l";  // other screen, no cursor
constexpr std::string_view kLeave = "\x1b[?25h\x1b[?1049l";

// A terminal that takes no more is left as it is: there is nobody to tell.
void WriteAll(std::string_view text) {
  while (!text.empty()) {
    const ssize_t count = ::write(STDOUT_FILENO, text.data(), text.size());
    if (count <= 0) return;
    text.remove_prefix(static_cast<std::size_t>(count));
  }
}

void OnResize(int) {}  // only has to end the wait

}  // namespace

Terminal::Terminal() : reads_keys_(::isatty(STDIN_FILENO) == 1) {
  termios mode{};
  if (reads_keys_ && ::tcgetattr(STDIN_FILENO, &mode) == 0) {
    before_ = mode;
    mode.c_lflag &= ~static_cast<tcflag_t>(ICANON | ECHO);
    mode.c_cc[VMIN] = 0;
    mode.c_cc[VTIME] = 0;
    mode.c_cc[VSUSP] = _POSIX_VDISABLE;
    ::tcsetattr(STDIN_FILENO, TCSANOW, &mode);
  }
  struct sigaction action{};
  action.sa_handler = OnResize;
  sigemptyset(&action.sa_mask);
  ::sigaction(SIGWINCH, &action, &old_resize_);
  WriteAll(kEnter);
}

Terminal::~Terminal() {
  WriteAll(kLeave);
  ::sigaction(SIGWINCH, &old_resize_, nullptr);
  if (before_) ::tcsetattr(STDIN_FILENO, TCSANOW, &*before_);
}

Terminal::Size Terminal::CurrentSize() {
  winsize size{};
  if (::ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) != 0 || size.ws_col == 0 || size.ws_row == 0) {
    return {};
  }
  return {.columns = size.ws_col, .rows = size.ws_row};
}

void Terminal::Draw(const std::vector<std::string>& lines) {
  std::string screen = "\x1b[H";
  for (std::size_t i = 0; i < lines.size(); ++i) {
    screen += (i == 0 ? "" : "\r\n") + lines[i] + "\x1b[K";
  }
  WriteAll(screen + "\x1b[J");
}

Terminal::Event Terminal::Wait(std::chrono::milliseconds timeout, char* key) {
  pollfd input{.fd = reads_keys_ ? STDIN_FILENO : -1, .events = POLLIN, .revents = 0};
  const int ready = ::poll(&input, 1, static_cast<int>(timeout.count()));
  if (ready < 0) return Event::kInterrupted;
  if (ready == 0) return Event::kTimeout;
  if (::read(STDIN_FILENO, key, 1) == 1) return Event::kKey;
  reads_keys_ = false;  // the end of the input: no keys will come
  return Event::kInterrupted;
}

}  // namespace freyja::cli
