#include <unistd.h>

#include <memory>
#include <optional>
#include <string>

#include "commands.h"
#include "file_io.h"
#include "records_io.h"
#include "store_session.h"
#include "text.h"

namespace freyja::cli {
namespace {

struct ScanOptions {
  std::string directory;
  std::string prefix;
  std::optional<std::uint64_t> limit;
  bool keys_only = false;
  bool json = false;
  bool escaped = false;
};

void AppendLine(const ScanOptions& options, const Iterator& it, std::string& line) {
  const RecordFormat format = options.json ? RecordFormat::kNdjson : RecordFormat::kTsv;
  if (options.keys_only) {
    AppendKey(format, it.key(), line);
  } else {
    AppendRecord(format, it.key(), it.value(), it.expires_at_ms(), line);
  }
}

// Prints what matches; the status is that of the walk or of the output.
Status Scan(const ScanOptions& options, std::string_view prefix, KVStore& store,
            OutputStream& out) {
  auto it = store.NewIterator();
  if (!it) return it.error();
  std::uint64_t left = options.limit.value_or(UINT64_MAX);
  std::string line;
  for (it->Next(); left > 0 && it->Valid(); it->Next()) {
    if (!it->key().starts_with(prefix)) continue;
    line.clear();
    AppendLine(options, *it, line);
    if (Status status = out.Append(line); !status.ok()) return status;
    --left;
  }
  const Status flushed = out.Flush();
  return it->status().ok() ? flushed : it->status();
}

int RunScan(const ScanOptions& options) {
  const auto prefix = options.escaped ? UnescapeField(options.prefix) : options.prefix;
  if (!prefix) return Fail(kExitUsage, "--prefix: " + prefix.error());
  return WithStore(options.directory, Access::kRead, {}, [&](KVStore& store) -> int {
    OutputStream out(STDOUT_FILENO, "standard output");
    const Status status = Scan(options, *prefix, store, out);
    if (status.ok() || out.reader_gone()) return kExitOk;
    return Fail(status, out.status().ok() ? options.directory : "standard output");
  });
}

}  // namespace

void AddScanCommand(CLI::App& app, int* exit_status) {
  auto options = std::make_shared<ScanOptions>();
  CLI::App* scan = app.add_subcommand("scan", "List keys and values, in no particular order");
  AddDirectory(*scan, &options->directory);
  scan->add_option("-p,--prefix", options->prefix, "Only keys that begin with this");
  scan->add_option("-l,--limit", options->limit, "Stop after this many")
      ->check(NumberWithin(0, 1e18))  // CLI11 takes "-1" for a very large number
      ->type_name("N");
  scan->add_flag("-k,--keys", options->keys_only, "Print the keys only");
  scan->add_flag("--json", options->json, "One JSON object per line, as 'freyja dump' writes");
  scan->add_flag("-e,--escaped", options->escaped,
                 "The prefix is written as scan prints it: \\t \\n \\r \\\\ \\xHH");
  scan->footer(
      "The store is unordered: the whole of it is read whatever the prefix is. Pipe to\n"
      "sort if you need an order. Each line is KEY<TAB>VALUE; control characters, and all\n"
      "bytes from 0x80 on in a field that is not UTF-8, are printed as \\xHH.\n"
      "No match is no failure: the exit code is 0.\n\n"
      "Examples:\n"
      "  freyja scan db --prefix user: --limit 10\n"
      "  freyja scan db --keys | sort\n"
      "  freyja scan db --json | jq -r .key");
  scan->callback([options, exit_status] { *exit_status = RunScan(*options); });
}

}  // namespace freyja::cli
