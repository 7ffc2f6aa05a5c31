#include "probe_command.h"

#include <sys/prctl.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <nlohmann/json.hpp>
#include <utility>

#include "base/status_macros.h"
#include "exit_code.h"
#include "probes.h"

namespace freyja::bench {

namespace {

using nlohmann::json;

void Print(const json& answer) {
  const std::string line = answer.dump(-1, ' ', false, json::error_handler_t::replace) + "\n";
  std::fwrite(line.data(), 1, line.size(), stdout);
  std::fflush(stdout);
}

Result<json> Probe(const PeerKind& kind, const ProbeParameters& parameters,
                   const std::string& step) {
  if (step == kProbeFootprint) {
    FREYJA_ASSIGN_OR_RETURN(const Footprint footprint, MeasureFootprint(kind, parameters));
    return json(footprint);
  }
  if (step == kProbeFill) {
    FREYJA_RETURN_IF_ERROR(FillAndClose(kind, parameters));
    return json::object();
  }
  if (step == kProbeHang) {
    FREYJA_ASSIGN_OR_RETURN(const std::unique_ptr<Peer> peer, FillAndKeep(kind, parameters));
    Print(json::object());
    while (true) ::pause();
  }
  const bool may_miss = step == kProbeOpenAfterKill && !kind.survives_kill;
  FREYJA_ASSIGN_OR_RETURN(const OpenFigures figures, MeasureOpen(kind, parameters, may_miss));
  return json(figures);
}

}  // namespace

CLI::App* DeclareProbe(CLI::App& app, ProbeArguments& arguments) {
  CLI::App* const command = app.add_subcommand("probe", "")->group("");
  ProbeParameters& parameters = arguments.parameters;
  command->add_option("--step", arguments.step)
      ->required()
      ->check(CLI::IsMember({std::string(kProbeFootprint), std::string(kProbeFill),
                             std::string(kProbeHang), std::string(kProbeOpen),
                             std::string(kProbeOpenAfterKill)}));
  command->add_option("--store", arguments.store)->required();
  command->add_option("--dir", arguments.directory)->required()->check(CLI::ExistingDirectory);
  command->add_option("--keys", parameters.keys)->required();
  command->add_option("--value-bytes", parameters.value_bytes)->required();
  command->add_option("--seed", parameters.seed)->required();
  command->add_option("--cache-bytes", parameters.cache_bytes)->required();
  return command;
}

int RunProbe(const ProbeArguments& arguments, const std::vector<PeerKind>& built) {
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  const auto kind = std::ranges::find(built, arguments.store, &PeerKind::id);
  if (kind == built.end()) {
    Print({{"error", "no such store"}});
    return kExitFailure;
  }
  ProbeParameters parameters = arguments.parameters;
  parameters.directory = arguments.directory;
  const Result<json> answer = Probe(*kind, parameters, arguments.step);
  Print(answer ? *answer : json{{"error", answer.error().ToString()}});
  return answer ? EXIT_SUCCESS : kExitFailure;
}

}  // namespace freyja::bench
