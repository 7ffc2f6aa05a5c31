#include "compact_undo.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <span>
#include <string_view>
#include <vector>

#include "compact_job.h"
#include "compact_reports.h"
#include "exit_code.h"
#include "file_io.h"
#include "freyja/compaction.h"
#include "interrupt.h"
#include "remote_store.h"
#include "stats_fields.h"
#include "text.h"

namespace freyja::cli {
namespace {

// The same question to either kind of store.
HotSwapCompactor CompactorOf(KVStore& store) { return HotSwapCompactor(store); }
StoreControl& CompactorOf(StoreControl& control) { return control; }
Result<CompactionJob> StartUndo(HotSwapCompactor& compactor, std::uint64_t job) {
  return compactor.UndoInBackground(job);
}
Result<RemoteCompactionJob> StartUndo(StoreControl& control, std::uint64_t job) {
  return control.Undo(job);
}

// With what the library can't know: which commands keep something, and show what was kept.
int FailNotKept(const Status& status, const std::string& directory) {
  if (status.code() != StatusCode::kNotFound) return Fail(status, directory);
  return Fail(ExitCodeFor(status.code()),
              fmt::format("{}: {}: it was undone or given up already, or nothing was kept "
                          "(--keep, --keep-bytes); --quarantine shows what there is",
                          directory, status.message()));
}

int Undo(const UndoOptions& options, const JobView& view, auto& compactor) {
  auto job = StartUndo(compactor, options.undo);
  const std::string directory(view.directory);
  if (!job) return FailNotKept(job.error(), directory);
  return FinishJob(view, *job,
                   [&](const CompactionReport& report) { return UndoText(options.undo, report); });
}

int ShowQuarantine(const JobView& view, auto& compactor) {
  const Result<std::vector<QuarantinedJob>> jobs = compactor.Quarantine();
  if (!jobs) return Fail(jobs.error(), view.directory);
  return PrintOut(view.json ? JsonLine(QuarantineJson(*jobs)) : QuarantineText(*jobs));
}

int EndQuarantine(std::uint64_t job, const JobView& view, auto& compactor) {
  const Status ended = compactor.EndQuarantine(job);
  if (!ended.ok()) return FailNotKept(ended, std::string(view.directory));
  return PrintOut(view.json ? JsonLine({{"ended", job}})
                            : fmt::format("job {} can't be undone any more\n", job));
}

int ShowHistory(std::uint64_t most, const JobView& view, auto& compactor) {
  const Result<std::vector<CompactionRecord>> records = compactor.History();
  if (!records) return Fail(records.error(), view.directory);
  const std::size_t shown = std::min<std::uint64_t>(most, records->size());
  const auto newest = std::span(*records).last(shown);
  return PrintOut(view.json ? JsonLine(HistoryJson(newest)) : HistoryText(newest));
}

// But those that say what is printed.
void ExcludeOthers(CLI::App& options, const std::vector<CLI::Option*>& undo_options) {
  static constexpr std::array<std::string_view, 4> kGoWithAll = {"DIR", "json", "quiet", "help"};
  for (CLI::Option* other : options.get_options()) {
    if (std::ranges::count(kGoWithAll, other->get_single_name()) != 0) continue;
    for (CLI::Option* option : undo_options) {
      if (option != other) option->excludes(other);
    }
  }
}

}  // namespace

void AddUndoOptions(CLI::App& compact, UndoOptions* options) {
  CLI::Option_group* group = compact.add_option_group("What compactions did, and taking it back");
  const std::vector<CLI::Option*> undo_options = {
      group
          ->add_option("--undo", options->undo,
                       "Put back what this job replaced, as long as it is kept")
          ->check(CLI::PositiveNumber)
          ->type_name("JOB"),
      group->add_flag("--quarantine", options->quarantine,
                      "List the jobs of which the replaced segments are kept"),
      group
          ->add_option("--end-quarantine", options->end_quarantine,
                       "Remove what is kept of this job, for good")
          ->check(CLI::PositiveNumber)
          ->type_name("JOB"),
      group
          ->add_option("--history", options->history,
                       "List what the latest jobs did, the newest last (default 20 of them)")
          ->expected(0, 1)
          ->default_str("20")
          ->check(CLI::PositiveNumber)
          ->type_name("N"),
  };
  ExcludeOthers(compact, undo_options);
  for (CLI::App* each : compact.get_subcommands([](CLI::App*) { return true; })) {
    ExcludeOthers(*each, undo_options);
  }
}

bool WantsUndo(const UndoOptions& options) {
  return options.undo != 0 || options.quarantine || options.end_quarantine != 0 ||
         options.history != 0;
}

int RunUndo(const UndoOptions& options, const std::string& directory, bool json, bool quiet) {
  const InterruptGuard guard;
  const JobView view{.directory = directory, .verb = "undoing", .json = json, .quiet = quiet};
  const bool changes = options.undo != 0 || options.end_quarantine != 0;
  const Access access = changes ? Access::kWrite : Access::kRead;
  return WithStoreOrControl(directory, access, {}, [&](auto& store) {
    auto&& compactor = CompactorOf(store);
    if (options.undo != 0) return Undo(options, view, compactor);
    if (options.end_quarantine != 0) return EndQuarantine(options.end_quarantine, view, compactor);
    if (options.history != 0) return ShowHistory(options.history, view, compactor);
    return ShowQuarantine(view, compactor);
  });
}

}  // namespace freyja::cli
