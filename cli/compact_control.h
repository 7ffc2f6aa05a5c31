// `freyja compact` as the remote control of a store that another process has open.
#pragma once

#include <CLI/CLI.hpp>
#include <cstdint>
#include <string>

namespace freyja::cli {

struct ControlOptions {
  bool status = false;
  bool pause = false;
  bool resume = false;
  bool cancel = false;
  std::uint64_t job = 0;  // 0: all
  bool limits = false;
  bool no_limits = false;
  std::uint64_t bytes_per_second = 0;  // of these four, 0: not given
  double latency_target_seconds = 0;
  double space_ceiling = 0;
  std::uint64_t bytes_ceiling = 0;
};

void AddControlOptions(CLI::App& compact, ControlOptions* options);

// Whether one of the controls was asked for, rather than a compaction.
bool WantsControl(const ControlOptions& options);
// Its exit code.
int RunControl(const ControlOptions& options, const std::string& directory, bool json);

}  // namespace freyja::cli
