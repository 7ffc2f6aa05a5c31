// `freyja compact` taking back what it did: undo, quarantine, history.
#pragma once

#include <CLI/CLI.hpp>
#include <cstdint>
#include <string>

namespace freyja::cli {

struct UndoOptions {
  std::uint64_t undo = 0;  // 0: not given
  bool quarantine = false;
  std::uint64_t end_quarantine = 0;  // 0: not given
  std::uint64_t history = 0;         // so many records; 0: not given
};

// After all other options of the command: each of these excludes them, but those that say what is
// printed.
void AddUndoOptions(CLI::App& compact, UndoOptions* options);

// Whether one of them was given, rather than a compaction.
bool WantsUndo(const UndoOptions& options);
// Its exit code.
int RunUndo(const UndoOptions& options, const std::string& directory, bool json, bool quiet);

}  // namespace freyja::cli
