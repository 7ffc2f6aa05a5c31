#include "demo_view.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <string>

namespace freyja::cli {
namespace {

LiveState BusyState() {
  LiveState state;
  state.title = "FreyjaDB: rewriting, reading, compacting";
  state.seconds = 86399.9;
  state.seconds_in_all = 86400;
  state.round = 123456;
  state.reads = 99999999999;
  state.reads_during_swap = 9999999999;
  state.writes = 9999999999;
  state.live_bytes = std::uint64_t{999} << 20;
  state.dead_bytes = std::uint64_t{333} << 20;
  state.compactions = 12345;
  state.bytes_reclaimed = std::int64_t{1} << 40;
  state.job = CompactionProgress{.phase = "verifying", .bytes_total = 200, .bytes_done = 50};
  state.read_p99_us_idle = 12345.67;
  state.read_p99_us_compacting = 12345.67;
  return state;
}

// What `show` prints.
template <typename Show>
std::string Printed(bool terminal, const Show& show) {
  std::FILE* const file = std::tmpfile();
  LiveView view(file, terminal);
  show(view);
  EXPECT_EQ(std::fseek(file, 0, SEEK_SET), 0);
  std::string text(1 << 16, '\0');
  text.resize(std::fread(text.data(), 1, text.size(), file));
  std::fclose(file);
  return text;
}

TEST(LiveView, LinesOfTheScreenFitEightyColumns) {
  for (const std::string& line :
       RenderScreen(BusyState(), {.reads_per_second = 99999999, .writes_per_second = 9999999})) {
    EXPECT_LT(line.size(), 80U) << line;
    EXPECT_EQ(line.find('\n'), std::string::npos);
  }
}

TEST(LiveView, ScreenShowsTheRunningJob) {
  std::string screen;
  for (const std::string& line : RenderScreen(BusyState(), {})) screen += line + "\n";
  EXPECT_NE(screen.find("verifying 25.0 %"), std::string::npos) << screen;
  LiveState idle = BusyState();
  idle.job.reset();
  screen.clear();
  for (const std::string& line : RenderScreen(idle, {})) screen += line + "\n";
  EXPECT_NE(screen.find("held off"), std::string::npos) << screen;
}

TEST(LiveView, TerminalIsRedrawnInPlace) {
  const std::string text = Printed(true, [](LiveView& view) {
    view.Show(BusyState());
    view.Show(BusyState());
  });
  const std::size_t lines = RenderScreen(BusyState(), {}).size();
  EXPECT_NE(text.find("\x1b[" + std::to_string(lines) + "A"), std::string::npos);
}

TEST(LiveView, ElsewhereEachStateIsOnePlainLine) {
  const std::string text = Printed(false, [](LiveView& view) {
    LiveState state;
    state.seconds = 1;
    state.reads = 1000;
    view.Show(state);
    state.seconds = 3;
    state.reads = 5000;
    view.Show(state);
  });
  EXPECT_EQ(text.find('\x1b'), std::string::npos);
  EXPECT_EQ(std::count(text.begin(), text.end(), '\n'), 2);
  EXPECT_NE(text.find("reads 2,000/s"), std::string::npos) << text;
}

}  // namespace
}  // namespace freyja::cli
