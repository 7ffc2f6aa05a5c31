#include <fmt/format.h>

#include <algorithm>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "commands.h"
#include "file_io.h"
#include "interrupt.h"
#include "line_reader.h"
#include "loader.h"
#include "progress.h"
#include "record_format_option.h"
#include "store_session.h"
#include "text.h"

namespace freyja::cli {
namespace {

struct LoadOptions {
  std::string directory;
  std::string file = "-";
  std::string format = "auto";
  std::size_t batch_records = 1000;
  bool sync = false;
  bool skip_bad_lines = false;
  std::string on_error = "stop";
  bool quiet = false;
  std::uint64_t segment_bytes = 0;
  bool control = false;
};

// More messages than these tell nobody anything new.
constexpr std::uint64_t kSkippedLinesShown = 20;

// One run of `load`: lines from the input to the store, until one of them fails.
class LoadRun {
 public:
  LoadRun(const LoadOptions& options, InputFile& input, KVStore& store)
      : options_(options),
        input_(input),
        reader_([this](char* data, std::size_t size) { return input_.Read(data, size); },
                MaxLineBytes(kMaxKeyBytes, store.max_value_bytes())),
        loader_(store, {options.batch_records, options.sync}),
        progress_("loading", input.size().value_or(0), Progress::Unit::kBytes,
                  options.quiet ? Progress::Show::kNever : Progress::Show::kAuto) {}

  int Run() {
    const Status status = LoadLines();
    const Status written = loader_.Flush();
    progress_.Clear();
    if (!written.ok()) return FailWith(written);
    if (!status.ok()) return FailWith(status);
    if (!options_.quiet || skipped_ > 0) PrintSummary();
    return kExitOk;
  }

 private:
  Status LoadLines() {
    auto format = ChooseFormat();
    if (!format) return format.error();
    for (;;) {
      auto outcome = reader_.Next();
      if (!outcome) return outcome.error();
      if (*outcome == LineReader::Outcome::kEnd) return Status::Ok();
      if (Status status = LoadLine(*format, *outcome); !status.ok()) return status;
      if (progress_.Due()) {
        progress_.Update(reader_.bytes_read(), HumanCount(loader_.records_stored()) + " records");
      }
    }
  }

  Result<RecordFormat> ChooseFormat() {
    if (const auto named = FormatOf(options_.format, options_.file)) return *named;
    auto first = reader_.FirstVisibleByte();
    if (!first) return std::unexpected(first.error());
    return *first == '{' ? RecordFormat::kNdjson : RecordFormat::kTsv;
  }

  // Only a store that can't take the record, or a bad line that stops the run, fails.
  Status LoadLine(RecordFormat format, LineReader::Outcome outcome) {
    if (outcome == LineReader::Outcome::kTooLong) return BadLine("longer than any record can be");
    if (IsBlankLine(format, reader_.line())) return Status::Ok();
    auto record = ParseRecord(format, reader_.line());
    if (!record) return BadLine(record.error());
    if (auto refusal = loader_.Refusal(*record)) return BadLine(*refusal);
    Status status = loader_.Add(*std::move(record));
    return status.code() == StatusCode::kInvalidArgument ? BadLine(status.message()) : status;
  }

  Status BadLine(const std::string& what) {
    Status status(StatusCode::kInvalidArgument,
                  fmt::format("{}: line {}: {}", input_.name(), reader_.line_number(), what));
    if (!options_.skip_bad_lines) return status;
    if (++skipped_ <= kSkippedLinesShown) {
      progress_.Clear();
      Fail(kExitUsage, status.message() + " (skipped)");
    } else if (skipped_ == kSkippedLinesShown + 1) {
      progress_.Clear();
      Fail(kExitUsage, "more lines are skipped and not shown");
    }
    return Status::Ok();
  }

  int FailWith(const Status& status) {
    const std::string so_far =
        fmt::format("{}; loaded {} into {} before that", status.message(),
                    Counted(loader_.records_stored(), "record"), options_.directory);
    if (InterruptGuard::Interrupted()) return Fail(kExitInterrupted, so_far);
    return Fail(Status(status.code(), so_far), options_.directory);
  }

  void PrintSummary() {
    const double seconds = std::max(progress_.seconds(), 1e-6);
    const auto records = loader_.records_stored();
    fmt::print(stderr, "loaded {} ({}) in {}, {} records/s{}\n", Counted(records, "record"),
               HumanBytes(reader_.bytes_read()), HumanDuration(seconds),
               HumanCount(static_cast<std::uint64_t>(static_cast<double>(records) / seconds)),
               skipped_ == 0 ? "" : fmt::format("; {} skipped", Counted(skipped_, "bad line")));
  }

  const LoadOptions& options_;
  InputFile& input_;
  LineReader reader_;
  Loader loader_;
  Progress progress_;
  std::uint64_t skipped_ = 0;
};

int RunLoad(const LoadOptions& options) {
  const InterruptGuard guard;
  // Opened before the store: a wrong file name leaves no empty store behind.
  auto input = InputFile::Open(options.file);
  if (!input) return Fail(input.error(), options.file);
  const StoreSettings settings{.segment_bytes = options.segment_bytes,
                               .control_socket = options.control};
  return WithStore(options.directory, Access::kCreate, settings,
                   [&](KVStore& store) { return LoadRun(options, *input, store).Run(); });
}

}  // namespace

void AddLoadCommand(CLI::App& app, int* exit_status) {
  auto options = std::make_shared<LoadOptions>();
  CLI::App* load = app.add_subcommand("load", "Store the records of a file or pipe");
  AddDirectory(*load, &options->directory);
  load->add_option("FILE", options->file, "The file; '-' or nothing for standard input");
  AddFormat(*load, &options->format);
  load->add_option("--batch", options->batch_records,
                   "Records written at once, all or nothing at a crash (default 1000)")
      ->check(CLI::Range(std::size_t{1}, std::size_t{1'000'000}))
      ->type_name("N");
  load->add_flag("--sync", options->sync, "Wait for the disk after every batch");
  load->add_option("--on-error", options->on_error,
                   "What to do at a malformed line: stop (default) or skip it")
      ->check(CLI::IsMember({"stop", "skip"}))
      ->type_name("stop|skip");
  load->add_flag("--control", options->control,
                 "Let 'stats', 'segments', 'compact' and 'top' in while it loads");
  load->add_flag("-q,--quiet", options->quiet, "No progress and no summary");
  AddSegmentSize(*load, &options->segment_bytes);
  load->footer(
      "NDJSON: one object per line, {\"key\":\"..\",\"value\":\"..\"}; bytes that are not UTF-8\n"
      "go into \"key_base64\" or \"value_base64\". TSV: KEY<TAB>VALUE with the escapes\n"
      "\\t \\n \\r \\\\ \\xHH. 'auto' goes by the file's extension (.ndjson .jsonl .json .tsv\n"
      ".txt), else by its first character: '{' means NDJSON.\n"
      "At a malformed line load stops, says which and why, and exits with 2; the lines\n"
      "before it stay loaded. A key that is there already gets the new value.\n\n"
      "Examples:\n"
      "  freyja load db records.ndjson\n"
      "  zcat backup.ndjson.gz | freyja load db\n"
      "  freyja dump db1 | freyja load db2\n"
      "  freyja load db words.tsv --on-error skip");
  load->callback([options, exit_status] {
    options->skip_bad_lines = options->on_error == "skip";
    *exit_status = RunLoad(*options);
  });
}

}  // namespace freyja::cli
