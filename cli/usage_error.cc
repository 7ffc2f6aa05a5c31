#include "usage_error.h"

#include <fmt/format.h>

#include <algorithm>
#include <numeric>

namespace freyja::cli {
namespace {

std::size_t EditDistance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), std::size_t{0});
  for (std::size_t i = 0; i < a.size(); ++i) {
    std::size_t diagonal = row[0];
    row[0] = i + 1;
    for (std::size_t j = 0; j < b.size(); ++j) {
      const std::size_t change = diagonal + (a[i] == b[j] ? 0 : 1);
      diagonal = row[j + 1];
      row[j + 1] = std::min({change, row[j] + 1, diagonal + 1});
    }
  }
  return row.back();
}

std::vector<std::string> OptionNames(const CLI::App& command) {
  std::vector<std::string> names;
  for (const CLI::Option* option : command.get_options()) {
    for (const std::string& name : option->get_lnames()) names.push_back("--" + name);
  }
  return names;
}

std::vector<std::string> CommandNames(const CLI::App& app) {
  std::vector<std::string> names;
  for (const CLI::App* command : app.get_subcommands([](const CLI::App*) { return true; })) {
    names.push_back(command->get_name());
  }
  return names;
}

std::string DidYouMean(std::string_view word, const std::vector<std::string>& candidates) {
  const std::string closest = ClosestWord(word, candidates);
  return closest.empty() ? "" : fmt::format(" (did you mean {}?)", closest);
}

// The first argument nobody knew, or "".
std::string FirstExtra(const CLI::App& app) {
  const std::vector<std::string> extras = app.remaining(true);
  const auto dashed = std::ranges::find_if(
      extras, [](const std::string& word) { return word.starts_with('-') && word != "--"; });
  if (dashed != extras.end()) return *dashed;
  return extras.empty() ? "" : extras.front();
}

std::string DescribeExtra(const CLI::App& app, const CLI::App* command, const std::string& extra) {
  const CLI::App& where = command != nullptr ? *command : app;
  if (extra.starts_with('-') && extra != "-") {
    const std::string name = extra.substr(0, extra.find('='));
    return fmt::format("unknown option {}{}", name, DidYouMean(name, OptionNames(where)));
  }
  if (command == nullptr) {
    return fmt::format("unknown command '{}'{}", extra, DidYouMean(extra, CommandNames(app)));
  }
  return fmt::format("one argument too many: '{}'", extra);
}

}  // namespace

std::string ClosestWord(std::string_view word, const std::vector<std::string>& candidates) {
  std::string best;
  const std::size_t tolerated = word.size() <= 3 ? 1 : std::max<std::size_t>(2, word.size() / 3);
  std::size_t best_distance = tolerated + 1;
  for (const std::string& candidate : candidates) {
    const std::size_t distance = EditDistance(word, candidate);
    if (distance < best_distance) {
      best = candidate;
      best_distance = distance;
    }
  }
  return best;
}

std::string DescribeUsageError(const CLI::App& app, const CLI::ParseError& error) {
  const std::vector<CLI::App*> called = app.get_subcommands();
  const CLI::App* command = called.empty() ? nullptr : called.front();
  const std::string extra = FirstExtra(app);
  std::string what = error.what();
  if (!extra.empty() && (command == nullptr || dynamic_cast<const CLI::ExtrasError*>(&error))) {
    what = DescribeExtra(app, command, extra);
  } else if (command == nullptr) {
    what = "a command is needed";
  }
  const std::string name = command == nullptr ? "" : command->get_name() + " ";
  return fmt::format("{}{}; see 'freyja {}--help'",
                     command == nullptr ? "" : command->get_name() + ": ", what, name);
}

}  // namespace freyja::cli
