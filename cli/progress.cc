#include "progress.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>

#include "text.h"

namespace freyja::cli {
namespace {

constexpr std::chrono::milliseconds kRedrawInterval{100};
constexpr std::chrono::seconds kLineInterval{3};
constexpr std::size_t kBarWidth = 24;

}  // namespace

Progress::Progress(std::string_view verb, std::uint64_t total, Unit unit, Show show)
    : verb_(verb),
      total_(total),
      unit_(unit),
      show_(show == Show::kAuto),
      terminal_(::isatty(STDERR_FILENO) == 1),
      interval_(terminal_ ? Clock::duration(kRedrawInterval) : Clock::duration(kLineInterval)),
      start_(Clock::now()),
      next_(start_ + interval_) {}

double Progress::seconds() const {
  return std::chrono::duration<double>(Clock::now() - start_).count();
}

std::string Progress::Figures(std::uint64_t done) const {
  const auto amount = [this](std::uint64_t count) {
    return unit_ == Unit::kBytes ? HumanBytes(count) : HumanCount(count) + " records";
  };
  const double rate = static_cast<double>(done) / std::max(seconds(), 1e-6);
  const std::string pace = amount(static_cast<std::uint64_t>(rate)) + "/s";
  if (total_ == 0) return fmt::format("{}, {}", amount(done), pace);
  const std::uint64_t left = total_ - std::min(done, total_);
  std::string figures = fmt::format("{} of {} ({}), {}", amount(std::min(done, total_)),
                                    amount(total_), Percent(std::min(done, total_), total_), pace);
  if (rate <= 0) return figures;
  figures += fmt::format(", {} left", HumanDuration(static_cast<double>(left) / rate));
  return figures;
}

bool Progress::Due() const { return show_ && Clock::now() >= next_; }

void Progress::Update(std::uint64_t done, std::string_view note) {
  if (!Due()) return;
  next_ = Clock::now() + interval_;
  const std::string tail = note.empty() ? "" : fmt::format(", {}", OneLine(note));
  if (!terminal_) {
    fmt::print(stderr, "{}: {}{}\n", verb_, Figures(done), tail);
    return;
  }
  const std::string bar =
      total_ == 0 ? "" : fmt::format(" [{}]", Bar(std::min(done, total_), total_, kBarWidth));
  fmt::print(stderr, "\r\x1b[K{}{} {}{}", verb_, bar, Figures(done), tail);
  std::fflush(stderr);
  drawn_ = true;
}

void Progress::Clear() {
  if (!drawn_) return;
  fmt::print(stderr, "\r\x1b[K");
  std::fflush(stderr);
  drawn_ = false;
}

}  // namespace freyja::cli
