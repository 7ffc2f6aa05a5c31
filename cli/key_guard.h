// Keeps keys on the command line as they were typed. Where an option takes several
// values, CLI11 reads an argument "[a,b]" as a list of two; for `delete` that would
// be two other keys. A byte in front of each argument prevents it.
#pragma once

#include <string>
#include <vector>

namespace freyja::cli {

// The arguments after the program's name. If the first is "delete", all behind it but
// options get a guard, everything behind the first "--" included; that is left out.
std::vector<std::string> GuardKeys(std::vector<std::string> arguments);

// Takes the guard away again.
std::string WithoutGuard(const std::string& argument);

}  // namespace freyja::cli
