#include "demo_view.h"

#include <fmt/format.h>

#include <algorithm>

#include "text.h"

namespace freyja::cli {
namespace {

constexpr std::size_t kBarWidth = 40;

std::string Count(double number) { return HumanCount(static_cast<std::uint64_t>(number)); }

std::string JobText(const std::optional<CompactionProgress>& job) {
  if (!job) return "held off";
  return fmt::format("{} {}", job->phase, Percent(job->bytes_done, job->bytes_total));
}

}  // namespace

std::vector<std::string> RenderScreen(const LiveState& state, const LiveRates& rates) {
  const std::uint64_t bytes = state.live_bytes + state.dead_bytes;
  const std::uint64_t job_total = state.job ? state.job->bytes_total : 0;
  const std::uint64_t job_done = state.job ? std::min(state.job->bytes_done, job_total) : 0;
  return {
      fmt::format("{:<44}{:>5.1f} of {:.0f} s   round {}", state.title, state.seconds,
                  state.seconds_in_all, state.round),
      fmt::format("reads      {:>11}/s  {:>14} in all, {} during swaps",
                  Count(rates.reads_per_second), HumanCount(state.reads),
                  HumanCount(state.reads_during_swap)),
      fmt::format("writes     {:>11}/s  {:>14} in all", Count(rates.writes_per_second),
                  HumanCount(state.writes)),
      fmt::format("live       [{}] {}", Bar(state.live_bytes, bytes, kBarWidth),
                  HumanBytes(state.live_bytes)),
      fmt::format("dead       [{}] {}", Bar(state.dead_bytes, bytes, kBarWidth),
                  HumanBytes(state.dead_bytes)),
      fmt::format("compaction [{}] {}", Bar(job_done, job_total, kBarWidth), JobText(state.job)),
      fmt::format("           {} done, {} reclaimed", HumanCount(state.compactions),
                  HumanSignedBytes(state.bytes_reclaimed)),
      fmt::format("read p99   {:.2f} us idle, {:.2f} us compacting", state.read_p99_us_idle,
                  state.read_p99_us_compacting),
      fmt::format("wrong      {} (missed, stale or corrupt)", HumanCount(state.wrong)),
  };
}

std::string RenderLine(const LiveState& state, const LiveRates& rates) {
  return fmt::format(
      "{:5.1f} s  reads {}/s  writes {}/s  live {}  dead {}  compactions {} ({})  "
      "read p99 {:.1f}/{:.1f} us idle/compacting  wrong {}",
      state.seconds, Count(rates.reads_per_second), Count(rates.writes_per_second),
      HumanBytes(state.live_bytes), HumanBytes(state.dead_bytes), state.compactions,
      JobText(state.job), state.read_p99_us_idle, state.read_p99_us_compacting, state.wrong);
}

void LiveView::Show(const LiveState& state) {
  if (out_ == nullptr) return;
  LiveRates rates;
  if (const double passed = state.seconds - before_.seconds; passed > 0) {
    rates.reads_per_second = static_cast<double>(state.reads - before_.reads) / passed;
    rates.writes_per_second = static_cast<double>(state.writes - before_.writes) / passed;
  }
  before_ = state;
  if (!terminal_) {
    fmt::print(out_, "{}\n", RenderLine(state, rates));
  } else {
    // Up to the first of the lines drawn before, then each line over the old one.
    std::string screen = lines_drawn_ == 0 ? "" : fmt::format("\x1b[{}A", lines_drawn_);
    const std::vector<std::string> lines = RenderScreen(state, rates);
    for (const std::string& line : lines) screen += "\r" + line + "\x1b[K\n";
    lines_drawn_ = lines.size();
    fmt::print(out_, "{}", screen);
  }
  std::fflush(out_);
}

void LiveView::Say(const std::string& line) {
  if (out_ == nullptr) return;
  lines_drawn_ = 0;
  fmt::print(out_, "{}\n", line);
  std::fflush(out_);
}

}  // namespace freyja::cli
