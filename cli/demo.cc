#include "demo.h"

#include <fmt/format.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "demo_options.h"
#include "demo_report.h"
#include "demo_run.h"
#include "demo_view.h"
#include "exit_code.h"

namespace freyja::cli {
namespace {

constexpr unsigned kMostThreads = 64;

bool CanRedraw() {
  const char* const terminal = std::getenv("TERM");
  return isatty(STDOUT_FILENO) != 0 && terminal != nullptr && std::string_view(terminal) != "dumb";
}

Sync SyncNamed(std::string_view name) {
  if (name == "none") return Sync::kNone;
  return name == "always" ? Sync::kAlways : Sync::kInterval;
}

// CLI::Range lets "nan" through, which is in no range.
std::string RefuseNotANumber(const std::string& text) {
  const bool number = text.find_first_not_of("0123456789.+-eE") == std::string::npos;
  return number ? "" : text + " is no number";
}

// An unsigned option would take "-1" for a very large number.
std::string RefuseNegative(const std::string& text) {
  return text.starts_with('-') ? text + " is negative" : "";
}

int RunAndPrint(const DemoOptions& options) {
  LiveView view(options.json ? nullptr : stdout, CanRedraw());
  const auto report = std::make_unique<DemoReport>();
  const Status status = RunDemo(options, view, *report);
  if (!status.ok()) {
    for (const std::string& note : report->notes) fmt::print(stderr, "{}\n", note);
    if (!report->kept_in.empty()) fmt::print(stderr, "store kept in {}\n", report->kept_in);
    const int error_status = Fail(status, "demo");
    return report->answers_right() ? error_status : kExitCorruption;
  }
  if (options.json) {
    fmt::print("{}\n",
               ReportAsJson(*report).dump(2, ' ', false, nlohmann::json::error_handler_t::replace));
  } else {
    fmt::print("{}", ReportAsText(*report));
  }
  if (std::fflush(stdout) != 0 || std::ferror(stdout) != 0) {
    return Fail(Status(StatusCode::kIoError, "standard output can't be written"), "demo");
  }
  return report->passed() ? kExitOk : kExitCorruption;
}

void AddOptions(CLI::App& command, DemoOptions& options) {
  command.add_option("--seconds", options.seconds, "How long readers and writers run")
      ->check(CLI::Range(0.1, 86400.0))
      ->check(RefuseNotANumber)
      ->capture_default_str();
  command.add_option("--seed", options.seed, "Seed of keys, rounds and deletes")
      ->check(RefuseNegative)
      ->capture_default_str();
  command.add_option("--readers", options.readers, "Reading threads")
      ->check(CLI::Range(1U, kMostThreads))
      ->capture_default_str();
  command.add_option("--writers", options.writers, "Writing threads")
      ->check(CLI::Range(1U, kMostThreads))
      ->capture_default_str();
  command.add_option("--dir", options.dir,
                     "Directory of the store: new, empty or an earlier demo's\n"
                     "(default: a fresh temporary one)");
  command.add_flag("--keep", options.keep, "Don't remove the store at the end");
  command
      .add_option("--input", options.input,
                  "NDJSON, TSV or stanza file to load\n"
                  "(default: this machine's Debian package index)")
      ->check(CLI::ExistingFile);
  command.add_flag("--json", options.json, "Print nothing but one JSON object");
  command
      .add_option("--segment-bytes", options.segment_bytes, "Size of a segment file, also as 4MiB")
      ->transform(CLI::AsSizeValue(false))
      ->check(CLI::Range(kMinSegmentBytes, kMaxSegmentBytes))
      ->capture_default_str();
  command
      .add_option_function<std::string>(
          "--sync", [&options](const std::string& name) { options.sync = SyncNamed(name); },
          "When writes become durable (default: interval)")
      ->check(CLI::IsMember({"none", "interval", "always"}));
  command
      .add_option("--write-rate", options.write_mib_per_second,
                  "MiB a second of all writers, 0 for no limit")
      ->check(CLI::Range(0.0, 1e6))
      ->check(RefuseNotANumber)
      ->capture_default_str();
}

}  // namespace

void AddDemoCommand(CLI::App& app, int* exit_status) {
  const auto options = std::make_shared<DemoOptions>();
  CLI::App* const command = app.add_subcommand(
      "demo", "Rewrite, read and compact real data all at once, and check every answer");
  command->footer(
      "Examples:\n"
      "  freyja demo\n"
      "  freyja demo --seconds 60 --readers 4 --writers 2\n"
      "  freyja demo --input records.ndjson --dir demo-data --keep\n"
      "  freyja demo --json | jq .read_p999_us_compacting");
  AddOptions(*command, *options);
  command->callback([options, exit_status] { *exit_status = RunAndPrint(*options); });
}

}  // namespace freyja::cli
