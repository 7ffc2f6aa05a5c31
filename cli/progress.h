// Progress: how far a command is, on standard error. A bar that is redrawn if that is
// a terminal; otherwise a line every few seconds. Not thread-safe.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>

namespace freyja::cli {

class Progress {
 public:
  enum class Unit { kBytes, kRecords };
  enum class Show { kNever, kAuto };

  // `verb` as in "loading". `total` 0: not known, then neither bar nor time left.
  Progress(std::string_view verb, std::uint64_t total, Unit unit, Show show);
  ~Progress() { Clear(); }
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  // Whether Update would print; cheap enough to ask for every record.
  bool Due() const;
  // Prints if it is time to. `note` follows the figures.
  void Update(std::uint64_t done, std::string_view note = {});
  // Takes the bar away, so that another line can be printed.
  void Clear();

  double seconds() const;

 private:
  using Clock = std::chrono::steady_clock;
  std::string Figures(std::uint64_t done) const;

  std::string verb_;
  std::uint64_t total_;
  Unit unit_;
  bool show_;
  bool terminal_;
  bool drawn_ = false;
  Clock::duration interval_;
  Clock::time_point start_;
  Clock::time_point next_;
};

}  // namespace freyja::cli
