#include "key_guard.h"

namespace freyja::cli {
namespace {
constexpr char kGuard = ':';  // anything but '-' and '['
}  // namespace

std::vector<std::string> GuardKeys(std::vector<std::string> arguments) {
  if (arguments.empty() || arguments.front() != "delete") return arguments;
  std::vector<std::string> guarded = {arguments.front()};
  bool options_ended = false;
  for (std::size_t i = 1; i < arguments.size(); ++i) {
    const std::string& argument = arguments[i];
    if (!options_ended && argument == "--") {
      options_ended = true;
    } else if (options_ended || !argument.starts_with('-') || argument == "-") {
      guarded.push_back(kGuard + argument);
    } else {
      guarded.push_back(argument);
    }
  }
  return guarded;
}

std::string WithoutGuard(const std::string& argument) {
  return argument.starts_with(kGuard) ? argument.substr(1) : argument;
}

}  // namespace freyja::cli
