// A compaction or an undo, waited for.
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "compact_reports.h"
#include "file_io.h"
#include "freyja/compaction.h"
#include "interrupt.h"
#include "progress.h"
#include "stats_fields.h"
#include "store_session.h"

namespace freyja::cli {

// What the job is for, and how it is shown.
struct JobView {
  std::string_view directory;
  std::string_view verb;  // "compacting"
  bool json = false;
  bool quiet = false;
};

// Waits for the job (a CompactionJob, or one of another process), showing how far it is and
// passing an interrupt on.
template <class Job>
Result<CompactionReport> WaitForJob(Job& job, const JobView& view) {
  constexpr std::chrono::milliseconds kPollInterval{50};
  std::optional<Progress> progress;
  bool cancelled = false;
  for (;;) {
    if (auto outcome = job.WaitFor(kPollInterval)) return *std::move(outcome);
    if (InterruptGuard::Interrupted() && !cancelled) {
      job.Cancel();
      cancelled = true;
    }
    const CompactionProgress now = job.Progress();
    if (!progress && now.bytes_total > 0) {
      progress.emplace(view.verb, now.bytes_total, Progress::Unit::kBytes,
                       view.quiet ? Progress::Show::kNever : Progress::Show::kAuto);
    }
    if (progress) progress->Update(now.bytes_done, now.phase);
  }
}

// Says why a job ended before all was done; what its steps changed stays.
int FailStopped(const JobView& view, const Status& status, bool changed);

// Its exit code. `text` makes the report's text for people.
template <class Job, class Text>
int FinishJob(const JobView& view, Job& job, Text&& text) {
  const Result<CompactionReport> report = WaitForJob(job, view);
  if (!report) return FailStopped(view, report.error(), /*changed=*/false);
  const int printed = PrintOut(view.json ? JsonLine(ReportJson(*report)) : text(*report));
  if (report->stopped.ok()) return printed;
  return FailStopped(view, report->stopped, /*changed=*/true);
}

}  // namespace freyja::cli
