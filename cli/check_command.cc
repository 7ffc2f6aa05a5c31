#include <fmt/format.h>

#include <memory>
#include <string>

#include "commands.h"
#include "file_io.h"
#include "stats_fields.h"
#include "store_session.h"
#include "text.h"

namespace freyja::cli {
namespace {

struct CheckOptions {
  std::string directory;
  bool json = false;
};

struct CheckedTotals {
  std::uint64_t segments = 0;
  std::uint64_t records = 0;
  std::uint64_t bytes = 0;
};

CheckedTotals Totals(const KVStore& store) {
  CheckedTotals totals;
  for (const SegmentInfo& segment : store.GetSegments()) {
    ++totals.segments;
    totals.records += segment.records;
    totals.bytes += segment.file_bytes;
  }
  return totals;
}

// The failure goes to standard error in any case, so that a person sees it in a log.
int ReportFailure(const CheckOptions& options, const Status& status) {
  const int code = Fail(status, options.directory);
  if (!options.json) return code;
  const int printed = PrintOut(JsonLine(
      {{"ok", false}, {"code", StatusCodeName(status.code())}, {"error", status.message()}}));
  return printed == kExitOk ? code : printed;
}

int RunCheck(const CheckOptions& options) {
  auto store = OpenStore(options.directory, Access::kRead);
  if (!store) return ReportFailure(options, store.error());
  const Status verified = (*store)->VerifyChecksums();
  if (!verified.ok()) return ReportFailure(options, verified);
  const CheckedTotals totals = Totals(**store);
  if (const Status closed = (*store)->Close(); !closed.ok()) return ReportFailure(options, closed);
  if (options.json) {
    return PrintOut(JsonLine({{"ok", true},
                              {"segments", totals.segments},
                              {"records", totals.records},
                              {"bytes", totals.bytes}}));
  }
  return PrintOut(fmt::format("ok: {}, {}, {}\n", Counted(totals.segments, "segment"),
                              Counted(totals.records, "record"), Counted(totals.bytes, "byte")));
}

}  // namespace

void AddCheckCommand(CLI::App& app, int* exit_status) {
  auto options = std::make_shared<CheckOptions>();
  CLI::App* check = app.add_subcommand("check", "Verify every byte of every file");
  AddDirectory(*check, &options->directory);
  check->add_flag("--json", options->json, "One JSON object");
  check->footer(
      "Opens the store read-only and changes nothing. The exit code is 3 if anything does\n"
      "not verify; standard error then names the file and the offset.\n\n"
      "Examples:\n"
      "  freyja check db\n"
      "  freyja check db || echo 'restore the backup'");
  check->callback([options, exit_status] { *exit_status = RunCheck(*options); });
}

}  // namespace freyja::cli
