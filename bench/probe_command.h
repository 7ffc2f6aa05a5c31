// freyja-bench probe: what RunProbes starts. Not for people, so it isn't in the help.
#pragma once

#include <string>
#include <vector>

#include "probe.h"

namespace CLI {
class App;
}  // namespace CLI

namespace freyja::bench {

struct ProbeArguments {
  ProbeParameters parameters;
  std::string directory;
  std::string store;
  std::string step;
};

// `arguments` must outlive the returned subcommand of `app`.
CLI::App* DeclareProbe(CLI::App& app, ProbeArguments& arguments);
// Prints one line, an object of JSON. The exit status: 0 or 1. Dies with the process that started
// it.
int RunProbe(const ProbeArguments& arguments, const std::vector<PeerKind>& built);

}  // namespace freyja::bench
