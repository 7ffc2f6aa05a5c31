#include "demo_run.h"

#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <csignal>
#include <ctime>
#include <deque>
#include <memory>
#include <thread>
#include <vector>

#include "dataset.h"
#include "demo_compactions.h"
#include "demo_directory.h"
#include "demo_reader.h"
#include "demo_writer.h"
#include "text.h"

namespace freyja::cli {
namespace {

using Clock = std::chrono::steady_clock;

// A signal handler can't reach anything else. 0: no signal yet.
std::atomic<std::int64_t> interrupted_at_ms{0};
static_assert(std::atomic<std::int64_t>::is_always_lock_free);

// One press of Ctrl-C may arrive twice: from the terminal and from a wrapper that passes
// it on. Only a signal that comes well after the first is meant as a second one.
void OnInterrupt(int signal_number) {
  constexpr std::int64_t kSamePressMs = 1000;
  timespec now = {};
  clock_gettime(CLOCK_MONOTONIC, &now);
  const std::int64_t now_ms = now.tv_sec * 1000 + now.tv_nsec / 1000000 + 1;
  std::int64_t first_ms = 0;
  if (interrupted_at_ms.compare_exchange_strong(first_ms, now_ms)) return;
  if (now_ms - first_ms < kSamePressMs) return;
  std::signal(signal_number, SIG_DFL);
  std::raise(signal_number);
}

void HandleInterrupts(void (*handler)(int)) {
  struct sigaction action = {};
  action.sa_handler = handler;
  action.sa_flags = SA_RESTART;
  sigaction(SIGINT, &action, nullptr);
  sigaction(SIGTERM, &action, nullptr);
}

double SecondsSince(Clock::time_point begin) {
  return std::chrono::duration<double>(Clock::now() - begin).count();
}

Result<Dataset> LoadDataset(const DemoOptions& options) {
  if (options.input.empty()) return LoadPackageIndex();
  return LoadDatasetFile(options.input);
}

Options StoreOptions(const DemoOptions& options) {
  Options store_options;
  store_options.create_if_missing = true;
  store_options.error_if_exists = true;
  store_options.scheduler.enabled = false;  // the demo starts its own, one after another
  store_options.control_socket = true;
  store_options.sync = options.sync;
  store_options.segment_bytes = options.segment_bytes;
  return store_options;
}

// The threads over one open store, and the sums of what they count.
class Workload {
 public:
  explicit Workload(DemoContext& context)
      : context_(context), walker_(context), compactions_(context) {
    for (unsigned i = 0; i < context.options.readers; ++i) readers_.emplace_back(context, i);
    for (unsigned i = 0; i < context.options.writers; ++i) writers_.emplace_back(context, i);
  }
  ~Workload() { Join(); }
  Workload(const Workload&) = delete;
  Workload& operator=(const Workload&) = delete;

  void Start() {
    for (DemoReader& reader : readers_) reading_.emplace_back([&reader] { reader.Run(); });
    reading_.emplace_back([this] { walker_.Run(); });
    for (DemoWriter& writer : writers_) writing_.emplace_back([&writer] { writer.Run(); });
    writing_.emplace_back([this] { compactions_.Run(); });
  }

  // Writers first, so that readers see the last job, too.
  void Finish() {
    context_.stop_writers.store(true);
    for (std::thread& thread : writing_) thread.join();
    writing_.clear();
    if (!context_.error.failed()) compactions_.RunFinalJob();
    Join();
  }

  void FillReport(DemoReport& report) const {
    for (const DemoReader& reader : readers_) {
      report.reads += reader.reads.get();
      report.reads_during_swap += reader.reads_during_swap.get();
      AddVerdicts(reader.verdicts, report);
      report.read_latencies.Merge(reader.latencies);
    }
    for (const DemoWriter& writer : writers_) {
      report.writes += writer.writes.get();
      report.deletes += writer.deletes.get();
      AddVerdicts(writer.verdicts, report);
      report.write_latencies.Merge(writer.latencies);
    }
    AddVerdicts(walker_.verdicts, report);
    report.iterations = walker_.walks.get();
    report.rounds = context_.round.load();
    report.compactions = compactions_.Totals();
    report.notes = context_.model.Notes();
  }

  LiveState Now(const Stats& stats) const {
    auto so_far = std::make_unique<DemoReport>();
    FillReport(*so_far);
    LiveState state;
    state.round = so_far->rounds;
    state.reads = so_far->reads;
    state.reads_during_swap = so_far->reads_during_swap;
    state.writes = so_far->writes + so_far->deletes;
    state.wrong = so_far->missed + so_far->stale + so_far->corrupt;
    state.live_bytes = stats.live_bytes;
    state.dead_bytes = stats.dead_bytes;
    state.compactions = so_far->compactions.completed;
    state.bytes_reclaimed = so_far->compactions.bytes_reclaimed;
    state.job = compactions_.Now();
    const PhaseLatencies& latencies = so_far->read_latencies;
    state.read_p99_us_idle = latencies.of(DemoPhase::kIdle).PercentileUs(0.99);
    state.read_p99_us_compacting = latencies.of(DemoPhase::kCompacting).PercentileUs(0.99);
    return state;
  }

 private:
  static void AddVerdicts(const VerdictCounters& verdicts, DemoReport& report) {
    report.missed += verdicts.missed.get();
    report.stale += verdicts.stale.get();
    report.corrupt += verdicts.corrupt.get();
  }
  void Join() {
    context_.stop_writers.store(true);
    context_.stop_readers.store(true);
    for (std::thread& thread : writing_) thread.join();
    for (std::thread& thread : reading_) thread.join();
    writing_.clear();
    reading_.clear();
  }

  DemoContext& context_;
  std::deque<DemoReader> readers_;
  std::deque<DemoWriter> writers_;
  DemoWalker walker_;
  DemoCompactions compactions_;
  std::vector<std::thread> writing_;
  std::vector<std::thread> reading_;
};

// Shows what goes on until the time is over, a signal comes or a thread fails.
void Watch(DemoContext& context, const Workload& workload, LiveView& view, DemoReport& report) {
  constexpr std::chrono::milliseconds kPoll{20};
  const Clock::time_point begin = Clock::now();
  Clock::time_point shown = begin;
  bool over = false;
  while (!over) {
    std::this_thread::sleep_for(kPoll);
    report.seconds = SecondsSince(begin);
    over = report.seconds >= context.options.seconds || InterruptScope::interrupted() ||
           context.error.failed();
    if (!over && Clock::now() - shown < view.interval()) continue;
    shown = Clock::now();
    const Stats stats = context.store.GetStats();
    report.space_amplification_highest =
        std::max(report.space_amplification_highest, stats.space_amplification());
    LiveState state = workload.Now(stats);
    state.title = "FreyjaDB: rewriting, reading, compacting";
    state.seconds = report.seconds;
    state.seconds_in_all = context.options.seconds;
    view.Show(state);
  }
}

Status Load(DemoContext& context, LiveView& view, DemoReport& report) {
  view.Say(fmt::format("Loading {} records ({}) from {}.", HumanCount(report.records),
                       HumanBytes(report.record_bytes), report.source));
  const Clock::time_point begin = Clock::now();
  Counter loaded;
  Status status = LoadRecords(context, InterruptScope::interrupted, loaded);
  report.load_seconds = SecondsSince(begin);
  if (!status.ok()) return status;
  view.Say(
      fmt::format("Loaded {} in {}. Now reading and checking ({} threads) while rewriting "
                  "and deleting ({}).",
                  HumanCount(loaded.get()), HumanDuration(report.load_seconds),
                  context.options.readers, context.options.writers));
  return Status::Ok();
}

// The statistics once the files of the last job's victims are gone, or after some seconds.
Stats StatsWithoutRetired(const KVStore& store) {
  constexpr int kPolls = 300;
  constexpr std::chrono::milliseconds kPoll{10};
  Stats stats = store.GetStats();
  for (int i = 0; i < kPolls && stats.retired_segments != 0; ++i) {
    std::this_thread::sleep_for(kPoll);
    stats = store.GetStats();
  }
  return stats;
}

// Everything that happens while the store is open.
Status RunOnStore(DemoContext& context, LiveView& view, DemoReport& report) {
  if (Status loaded = Load(context, view, report); !loaded.ok()) return loaded;
  {
    Workload workload(context);
    workload.Start();
    Watch(context, workload, view, report);
    report.interrupted = InterruptScope::interrupted();
    view.Say("Writers stop; a last compaction, then everything is compared.");
    workload.Finish();
    workload.FillReport(report);
  }
  if (context.error.failed()) return context.error.Get();
  const Stats stats = StatsWithoutRetired(context.store);
  report.background_error = stats.background_error.ok() ? "" : stats.background_error.ToString();
  if (stats.background_error.code() == StatusCode::kCorruption) ++report.corrupt;
  report.space_amplification_final = stats.space_amplification();
  report.write_amplification = stats.write_amplification();
  return context.store.Close();
}

Status RunInDirectory(DemoOptions& options, Dataset& dataset, const DemoDirectory& directory,
                      LiveView& view, DemoReport& report) {
  const Options store_options = StoreOptions(options);
  Result<std::unique_ptr<KVStore>> store = KVStore::Open(directory.path(), store_options);
  if (!store) return store.error();
  if (Status marked = directory.Mark(); !marked.ok()) return marked;

  const std::size_t limit = (*store)->max_value_bytes();
  DropOversized(dataset, kMaxKeyBytes, limit - std::min(limit, kMaxDemoTrailerBytes));
  if (dataset.records.empty()) {
    return Status(StatusCode::kInvalidArgument,
                  fmt::format("{}: holds no record that fits in a segment of {} bytes",
                              dataset.source, options.segment_bytes));
  }
  report.records = dataset.records.size();
  report.record_bytes = dataset.TextBytes();
  report.records_skipped = dataset.skipped;
  options.writers =
      static_cast<unsigned>(std::min<std::size_t>(options.writers, dataset.records.size()));
  report.options = options;

  DemoModel model(dataset, options.seed);
  DemoContext context{.store = **store, .model = model, .options = options, .error = {}};
  if (Status ran = RunOnStore(context, view, report); !ran.ok()) return ran;
  store->reset();
  report.final_check = RunFinalCheck(directory.path(), store_options, model);
  report.notes = model.Notes();
  return Status::Ok();
}

}  // namespace

InterruptScope::InterruptScope() {
  interrupted_at_ms.store(0);
  HandleInterrupts(OnInterrupt);
}

InterruptScope::~InterruptScope() { HandleInterrupts(SIG_DFL); }

bool InterruptScope::interrupted() { return interrupted_at_ms.load() != 0; }

Status RunDemo(const DemoOptions& options, LiveView& view, DemoReport& report) {
  Result<Dataset> dataset = LoadDataset(options);
  if (!dataset) return dataset.error();
  const Result<DemoDirectory> directory = DemoDirectory::Prepare(options.dir);
  if (!directory) return directory.error();
  report.source = dataset->source;
  DemoOptions used = options;
  const InterruptScope interrupts;
  Status ran = RunInDirectory(used, *dataset, *directory, view, report);
  // What a failed check found is worth a look.
  const bool check_failed = !report.answers_right() || (ran.ok() && !report.passed());
  if (options.keep || check_failed) {
    report.kept_in = directory->path().string();
    return ran;
  }
  Status removed = directory->Remove();
  return ran.ok() ? removed : ran;
}

}  // namespace freyja::cli
