// What every command promises its caller: one exit code, and for every failure
// one line on standard error that begins with "freyja: ".
#pragma once

#include <string_view>

#include "freyja/status.h"

namespace freyja::cli {

enum ExitCode : int {
  kExitOk = 0,
  kExitNothing = 1,     // the key does not exist; none of the keys to delete did
  kExitUsage = 2,       // wrong arguments, malformed input, or no store where one was named
  kExitCorruption = 3,  // bytes on disk do not verify
  kExitFailure = 4,     // I/O error, disk full, locked by another process, time limit, ...
  kExitInterrupted = 130,
};

ExitCode ExitCodeFor(StatusCode code);

// Prints "freyja: <message>" as one line (control characters are escaped) and
// returns `code`.
int Fail(ExitCode code, std::string_view message);

// The same for a failed call on `subject` (a file or a store's directory), which
// is put in front unless the message names it already.
int Fail(const Status& status, std::string_view subject);

}  // namespace freyja::cli
