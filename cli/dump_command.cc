#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "commands.h"
#include "file_io.h"
#include "interrupt.h"
#include "progress.h"
#include "record_format_option.h"
#include "store_session.h"
#include "text.h"

namespace freyja::cli {
namespace {

struct DumpOptions {
  std::string directory;
  std::string file = "-";
  std::string format = "auto";
  bool quiet = false;
};

struct DumpCounts {
  std::uint64_t records = 0;
  std::uint64_t bytes = 0;
  std::uint64_t expiries_lost = 0;  // records whose expiry TSV can't say
};

Status WriteRecords(KVStore& store, RecordFormat format, OutputStream& out, Progress& progress,
                    DumpCounts& counts) {
  auto it = store.NewIterator();
  if (!it) return it.error();
  std::string line;
  for (it->Next(); it->Valid(); it->Next()) {
    if (InterruptGuard::Interrupted()) return {StatusCode::kCancelled, "interrupted"};
    line.clear();
    AppendRecord(format, it->key(), it->value(), it->expires_at_ms(), line);
    if (Status status = out.Append(line); !status.ok()) return status;
    ++counts.records;
    counts.bytes += line.size();
    if (format == RecordFormat::kTsv && it->expires_at_ms() != 0) ++counts.expiries_lost;
    progress.Update(counts.records);
  }
  if (!it->status().ok()) return it->status();
  return out.Flush();
}

void PrintSummary(const DumpOptions& options, const DumpCounts& counts, double seconds) {
  if (counts.expiries_lost > 0) {
    Fail(kExitOk, fmt::format("warning: {} records expire, which TSV can't say; NDJSON can",
                              HumanCount(counts.expiries_lost)));
  }
  if (options.quiet) return;
  fmt::print(stderr, "dumped {} ({}) in {}\n", Counted(counts.records, "record"),
             HumanBytes(counts.bytes), HumanDuration(seconds));
}

int Dump(const DumpOptions& options, KVStore& store) {
  const bool to_stdout = options.file == "-";
  std::optional<ReplacementFile> file;
  if (!to_stdout) {
    auto created = ReplacementFile::Create(options.file);
    if (!created) return Fail(created.error(), options.file);
    file.emplace(*std::move(created));
  }
  const int descriptor = to_stdout ? STDOUT_FILENO : file->descriptor();
  OutputStream out(descriptor, to_stdout ? "standard output" : options.file);
  // A bar on the terminal that the records go to would be lost among them.
  const bool hidden = options.quiet || ::isatty(descriptor) == 1;
  Progress progress("dumping", store.GetStats().keys, Progress::Unit::kRecords,
                    hidden ? Progress::Show::kNever : Progress::Show::kAuto);
  DumpCounts counts;
  const auto format = FormatOf(options.format, options.file).value_or(RecordFormat::kNdjson);
  Status status = WriteRecords(store, format, out, progress, counts);
  progress.Clear();
  if (out.reader_gone()) return kExitOk;
  if (status.ok() && file) status = file->Commit();
  if (InterruptGuard::Interrupted() && !status.ok()) {
    return Fail(kExitInterrupted, to_stdout
                                      ? "dump: interrupted; the output is incomplete"
                                      : "dump: interrupted; " + options.file + " was not written");
  }
  if (!out.status().ok()) return Fail(status, options.file);
  if (!status.ok()) return Fail(status, options.directory);
  PrintSummary(options, counts, progress.seconds());
  return kExitOk;
}

int RunDump(const DumpOptions& options) {
  const InterruptGuard guard;
  return WithStore(options.directory, Access::kRead, {},
                   [&](KVStore& store) { return Dump(options, store); });
}

}  // namespace

void AddDumpCommand(CLI::App& app, int* exit_status) {
  auto options = std::make_shared<DumpOptions>();
  CLI::App* dump = app.add_subcommand("dump", "Write all records to a file or pipe");
  AddDirectory(*dump, &options->directory);
  dump->add_option("FILE", options->file, "The file; '-' or nothing for standard output");
  AddFormat(*dump, &options->format);
  dump->add_flag("-q,--quiet", options->quiet, "No progress and no summary");
  dump->footer(
      "Writes what 'freyja load' reads, in no particular order; every key and value comes\n"
      "back byte for byte. 'auto' is NDJSON unless the file is named .tsv or .txt. A file\n"
      "appears under its name only when it is complete. If the reader of a pipe goes away,\n"
      "dump stops without complaint.\n\n"
      "Examples:\n"
      "  freyja dump db backup.ndjson\n"
      "  freyja dump db --format tsv | sort | less\n"
      "  freyja dump db1 | freyja load db2");
  dump->callback([options, exit_status] { *exit_status = RunDump(*options); });
}

}  // namespace freyja::cli
