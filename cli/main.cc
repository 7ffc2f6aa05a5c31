// freyja: the command line of FreyjaDB.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <csignal>
#include <exception>
#include <string>
#include <utility>
#include <vector>

#include "commands.h"
#include "demo.h"
#include "exit_code.h"
#include "key_guard.h"
#include "usage_error.h"

namespace freyja::cli {
namespace {

constexpr const char* kFooter =
    "Exit codes:\n"
    "  0  done\n"
    "  1  the key does not exist (get), or none of the keys did (delete)\n"
    "  2  wrong arguments, malformed input, or no store where one was named\n"
    "  3  corruption: bytes on disk do not verify\n"
    "  4  any other failure: I/O error, disk full, store locked, time limit\n"
    "  130  interrupted\n"
    "\n"
    "Examples:\n"
    "  freyja put db user:1 Ada\n"
    "  freyja get db user:1\n"
    "  freyja load db records.ndjson\n"
    "  freyja dump db | gzip > backup.ndjson.gz\n"
    "  freyja compact db\n"
    "  freyja check db\n"
    "  freyja top db\n"
    "\n"
    "'freyja COMMAND --help' tells more about a command.";

int Run(int argc, char** argv) {
  if (argc < 1) return kExitUsage;  // possible with execve; argv has no name then
  CLI::App app("FreyjaDB: a log-structured key-value store that compacts itself under load.",
               "freyja");
  int exit_status = kExitOk;
  app.set_version_flag("--version", std::string("freyja ") + FREYJA_VERSION);
  app.set_help_flag("-h,--help", "Print this help and exit");
  app.footer(kFooter);
  // Exactly one; this also keeps a key that is named like a command a key.
  app.require_subcommand(1);
  AddPointCommands(app, &exit_status);
  AddScanCommand(app, &exit_status);
  AddLoadCommand(app, &exit_status);
  AddDumpCommand(app, &exit_status);
  AddInspectionCommands(app, &exit_status);
  AddCompactCommand(app, &exit_status);
  AddCheckCommand(app, &exit_status);
  AddTopCommand(app, &exit_status);
  AddDemoCommand(app, &exit_status);
  try {
    std::vector<std::string> arguments = GuardKeys({argv + 1, argv + argc});
    std::ranges::reverse(arguments);  // the order CLI11 takes a vector in
    app.parse(std::move(arguments));
  } catch (const CLI::ParseError& error) {
    if (error.get_exit_code() == static_cast<int>(CLI::ExitCodes::Success)) return app.exit(error);
    return Fail(kExitUsage, DescribeUsageError(app, error));
  }
  return exit_status;
}

}  // namespace
}  // namespace freyja::cli

int main(int argc, char** argv) {
  // A reader that goes away is an error of write(2), not the end of the process.
  std::signal(SIGPIPE, SIG_IGN);
  try {
    return freyja::cli::Run(argc, argv);
  } catch (const std::bad_alloc&) {
    return freyja::cli::Fail(freyja::cli::kExitFailure, "out of memory");
  } catch (const std::exception& error) {
    return freyja::cli::Fail(freyja::cli::kExitFailure, error.what());
  }
}
