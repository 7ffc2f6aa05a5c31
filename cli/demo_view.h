// The demo's live view: lines redrawn in place on a terminal, one line a second elsewhere.
#pragma once

#include <chrono>
#include <cstdint>
#include <cstdio>
#include <optional>
#include <string>
#include <vector>

#include "freyja/compaction.h"

namespace freyja::cli {

struct LiveState {
  std::string title;  // what is going on
  double seconds = 0;
  double seconds_in_all = 0;
  std::uint64_t round = 0;
  std::uint64_t reads = 0;
  std::uint64_t reads_during_swap = 0;
  std::uint64_t writes = 0;  // deletes included
  std::uint64_t wrong = 0;   // missed, stale and corrupt
  std::uint64_t live_bytes = 0;
  std::uint64_t dead_bytes = 0;
  std::uint64_t compactions = 0;
  std::int64_t bytes_reclaimed = 0;
  std::optional<CompactionProgress> job;
  double read_p99_us_idle = 0;
  double read_p99_us_compacting = 0;
};

// The rates are of the time since the state before.
struct LiveRates {
  double reads_per_second = 0;
  double writes_per_second = 0;
};

// Lines of less than 80 columns, without line ends.
std::vector<std::string> RenderScreen(const LiveState& state, const LiveRates& rates);
std::string RenderLine(const LiveState& state, const LiveRates& rates);

// Not thread-safe.
class LiveView {
 public:
  // `out` null: shows nothing.
  LiveView(std::FILE* out, bool terminal) : out_(out), terminal_(terminal) {}

  // How often Show is worth calling.
  std::chrono::milliseconds interval() const {
    return std::chrono::milliseconds(terminal_ ? 200 : 1000);
  }
  void Show(const LiveState& state);
  // One line about a step; on a terminal below what is drawn already.
  void Say(const std::string& line);

 private:
  std::FILE* out_;
  bool terminal_;
  std::size_t lines_drawn_ = 0;
  LiveState before_;
};

}  // namespace freyja::cli
