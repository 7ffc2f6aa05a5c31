// `freyja demo`: hot-swap compaction under live load, every answer checked.
#pragma once

#include <CLI/CLI.hpp>

namespace freyja::cli {

// Exit status: 0 if every check passed, kExitCorruption (3) if a read was missed, stale or
// corrupt or the last check disagreed, otherwise as exit_code.h says for the error.
void AddDemoCommand(CLI::App& app, int* exit_status);

}  // namespace freyja::cli
