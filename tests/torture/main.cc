// freyja-torture: runs the parts of the torture suite, each in a process of its own, for as
// long as one likes, and prints what was done and what went wrong.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>
#include <cstdint>
#include <exception>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "torture/parts.h"
#include "torture/runner.h"

namespace {

using namespace freyja::torture;  // NOLINT(google-build-using-namespace): a main file

struct Arguments {
  double seconds = 60;
  std::uint64_t seed = 1;
  std::vector<std::string> parts;
  std::filesystem::path directory = std::filesystem::temp_directory_path();
  unsigned jobs = 2;
  bool json = false;
  bool list = false;
  std::string mutants;  // the report of `make mutants`
  std::string child;    // the part that this process is to run
  std::filesystem::path report;
};

void AddOptions(CLI::App& app, Arguments& arguments) {
  app.add_option("--seconds", arguments.seconds, "For how long, all parts together")
      ->check(CLI::Range(0.0, 30.0 * 86'400))
      ->capture_default_str();
  app.add_option("--seed", arguments.seed, "What all chance is drawn from")->capture_default_str();
  app.add_option("--parts", arguments.parts, "Only these, separated by commas")
      ->delimiter(',')
      ->check(CLI::IsMember(PartNames()));
  app.add_option("--directory", arguments.directory, "Where parts that need real files put them")
      ->check(CLI::ExistingDirectory)
      ->capture_default_str();
  app.add_option("--jobs", arguments.jobs, "How many parts run at a time")
      ->check(CLI::Range(1, 64))
      ->capture_default_str();
  app.add_flag("--json", arguments.json, "Print one JSON object");
  app.add_flag("--list", arguments.list, "List the parts and end");
  app.add_option("--mutants", arguments.mutants, "Report of `make mutants` to be included")
      ->check(CLI::ExistingFile);
  app.add_option("--child", arguments.child)->group("");
  app.add_option("--report", arguments.report)->group("");
}

// In the child: runs one part and leaves its report.
int RunChild(const Arguments& arguments) {
  Settings settings;
  settings.seed = arguments.seed;
  settings.time = std::chrono::milliseconds(static_cast<std::int64_t>(arguments.seconds * 1000));
  settings.directory = arguments.directory;
  Report report;
  FindPart(arguments.child).run(settings, report);
  std::ofstream(arguments.report) << report.AsJson();
  return 0;
}

int Run(const Arguments& arguments) {
  if (arguments.list) {
    for (const Part& part : AllParts()) std::cout << part.name << "  " << part.what << '\n';
    return 0;
  }
  RunPlan plan;
  plan.seed = arguments.seed;
  plan.time = std::chrono::milliseconds(static_cast<std::int64_t>(arguments.seconds * 1000));
  plan.directory = arguments.directory;
  plan.jobs = arguments.jobs;
  for (const Part& part : AllParts()) {
    if (arguments.parts.empty() ||
        std::ranges::find(arguments.parts, part.name) != arguments.parts.end()) {
      plan.parts.push_back(part);
    }
  }
  nlohmann::ordered_json outcome = RunParts(plan);
  if (!arguments.mutants.empty()) {
    const auto mutants = nlohmann::json::parse(std::ifstream(arguments.mutants));
    for (const char* figure : {"mutants", "killed", "survived"}) {
      outcome["mutants"][figure] = mutants.at(figure);
    }
  }
  if (arguments.json) {
    std::cout << outcome.dump(2) << '\n';
  } else {
    PrintOutcome(outcome, std::cout);
  }
  return outcome["violations"] == 0 ? 0 : 1;
}

}  // namespace

int main(int argc, char** argv) try {
  CLI::App app("Tries to make a FreyjaDB store lose, resurrect or miss a key.");
  Arguments arguments;
  AddOptions(app, arguments);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : 2;
  }
  return arguments.child.empty() ? Run(arguments) : RunChild(arguments);
} catch (const std::exception& error) {
  std::cerr << "freyja-torture: " << error.what() << '\n';
  return 2;
}
