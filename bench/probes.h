// Runs the probes of all stores in turn, each in a process of its own.
#pragma once

#include <array>
#include <atomic>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "driver.h"
#include "probe.h"

namespace freyja::bench {

// What the other process is asked to do.
inline constexpr std::string_view kProbeFootprint = "footprint";  // prints a Footprint
inline constexpr std::string_view kProbeFill = "fill";            // fills, closes, prints "{}"
inline constexpr std::string_view kProbeHang = "hang";            // fills, prints "{}", waits
inline constexpr std::string_view kProbeOpen = "open";            // prints OpenFigures
inline constexpr std::string_view kProbeOpenAfterKill = "open-after-kill";  // the same

// After a clean close or a kill; with all files in the page cache, where "cold" does not say that
// none was; with the files that only make opening faster, or without.
enum class OpenKind : std::uint8_t {
  kClean,
  kKilled,
  kCleanCold,
  kKilledCold,
  kCleanNoHints,
  kKilledNoHints
};
inline constexpr std::array kOpenKinds = {OpenKind::kClean,        OpenKind::kKilled,
                                          OpenKind::kCleanCold,    OpenKind::kKilledCold,
                                          OpenKind::kCleanNoHints, OpenKind::kKilledNoHints};
// "clean", "killed, cold", "killed, no hints"
std::string_view OpenKindName(OpenKind kind);

struct ProbePlan {
  bool footprint = true;
  bool opens = true;
  std::string program = "/proc/self/exe";  // understands `probe`, see probe_command.h
};

// One store's probes, one figure per round.
struct ProbeResult {
  PeerKind kind;
  std::vector<Footprint> footprints;
  std::map<OpenKind, std::vector<OpenFigures>> opens;
};

// plan.rounds rounds over plan.stores as RunPlan makes them, with its keys, values and seeds.
// Limits have a footprint but can't be opened again. Directories are removed.
[[nodiscard]] Result<std::vector<ProbeResult>> RunProbes(const Plan& plan,
                                                         const ProbePlan& probe_plan,
                                                         const std::atomic<bool>& stop,
                                                         const TurnListener& on_turn);

}  // namespace freyja::bench
