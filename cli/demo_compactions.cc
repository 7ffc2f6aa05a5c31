#include "demo_compactions.h"

#include <algorithm>
#include <chrono>
#include <thread>

namespace freyja::cli {
namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

constexpr milliseconds kIdleWindow{150};
constexpr milliseconds kCompactingWindow{450};
constexpr milliseconds kPauseWithoutGain{20};
constexpr milliseconds kPoll{10};
// Garbage is let grow to this multiple of the live bytes at most before an idle window ends.
constexpr std::uint64_t kMostDeadPerLive = 3;
constexpr std::uint64_t kDeadBytesAlwaysFine = std::uint64_t{256} << 20;

HotSwapConfig ConfigOfRun() {
  HotSwapConfig config;
  // Low, so that a job copies many live records and its swap has much to publish.
  config.min_space_saving = 0.1;
  // Many jobs of middling size rather than few that take everything.
  config.max_input_bytes = std::uint64_t{40} << 20;
  return config;
}

HotSwapConfig ConfigOfFinalJob() {
  HotSwapConfig config;
  config.min_space_saving = 0.01;
  config.seal_active = true;
  return config;
}

bool EndsTheRun(const Status& error) {
  return error.code() != StatusCode::kAborted && error.code() != StatusCode::kTimedOut &&
         error.code() != StatusCode::kCancelled && error.code() != StatusCode::kBusy;
}

double Microseconds(std::chrono::microseconds duration) {
  return static_cast<double>(duration.count());
}

}  // namespace

void DemoCompactions::Run() {
  while (!Stopped()) {
    HoldOff();
    RunWindow();
  }
  context_.phase.store(DemoPhase::kOther);
}

void DemoCompactions::HoldOff() {
  const Clock::time_point end = Clock::now() + kIdleWindow;
  context_.phase.store(DemoPhase::kIdle);
  while (!Stopped() && Clock::now() < end) {
    const Stats stats = context_.store.GetStats();
    if (stats.dead_bytes > std::max(kDeadBytesAlwaysFine, kMostDeadPerLive * stats.live_bytes)) {
      break;
    }
    std::this_thread::sleep_for(kPoll * 5);
  }
  context_.phase.store(DemoPhase::kOther);
}

void DemoCompactions::RunWindow() {
  HotSwapCompactor compactor(context_.store, ConfigOfRun());
  const Clock::time_point end = Clock::now() + kCompactingWindow;
  do {
    if (!RunJob(compactor) && !Stopped()) std::this_thread::sleep_for(kPauseWithoutGain);
  } while (!Stopped() && Clock::now() < end);
}

void DemoCompactions::RunFinalJob() {
  HotSwapCompactor compactor(context_.store, ConfigOfFinalJob());
  RunJob(compactor);
}

bool DemoCompactions::RunJob(HotSwapCompactor& compactor) {
  // The last job, after the writers have stopped, is not the load that is compared.
  const bool measured = !context_.stop_writers.load();
  if (measured) context_.phase.store(DemoPhase::kCompacting);
  const Result<CompactionJob> job = compactor.CompactInBackground();
  if (!job) {
    context_.phase.store(DemoPhase::kOther);
    context_.error.Set(job.error());
    return false;
  }
  {
    const std::lock_guard lock(mutex_);
    job_ = *job;
  }
  const Result<CompactionReport> report = job->Wait();
  context_.phase.store(DemoPhase::kOther);

  const std::lock_guard lock(mutex_);
  job_.reset();
  if (!report) {
    ++totals_.rolled_back;
    totals_.last_problem = report.error().ToString();
    if (EndsTheRun(report.error())) context_.error.Set(report.error());
    return false;
  }
  totals_.last_reason = report->reason;
  if (!report->ran) {
    ++totals_.without_gain;
    return false;
  }
  ++totals_.completed;
  totals_.records_copied += report->counters.records_copied;
  totals_.bytes_before += report->bytes_before;
  totals_.bytes_after += report->bytes_after;
  totals_.bytes_reclaimed += report->space_saved;
  totals_.longest_pause_us =
      std::max(totals_.longest_pause_us, Microseconds(report->longest_publish_pause));
  totals_.longest_publish_us =
      std::max(totals_.longest_publish_us, Microseconds(report->publish_duration));
  totals_.publish_us += Microseconds(report->publish_duration);
  totals_.longest_job_us = std::max(totals_.longest_job_us, Microseconds(report->duration));
  return true;
}

CompactionTotals DemoCompactions::Totals() const {
  const std::lock_guard lock(mutex_);
  return totals_;
}

std::optional<CompactionProgress> DemoCompactions::Now() const {
  const std::lock_guard lock(mutex_);
  if (!job_) return std::nullopt;
  return job_->Progress();
}

}  // namespace freyja::cli
