// freyja top: a live view of a store.
#include <fmt/format.h>
#include <unistd.h>

#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <utility>

#include "commands.h"
#include "file_io.h"
#include "interrupt.h"
#include "remote_store.h"
#include "terminal.h"
#include "top_view.h"

namespace freyja::cli {
namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

struct TopOptions {
  std::string directory;
  double interval_seconds = 1;
  bool once = false;

  milliseconds interval() const {
    return milliseconds(static_cast<std::int64_t>(interval_seconds * 1000));
  }
};

constexpr double kShortestInterval = 0.1;
constexpr double kLongestInterval = 3600;
constexpr milliseconds kAnswerWithin{5000};
// Of what is printed rather than drawn.
constexpr std::size_t kPrintedColumns = 100;
constexpr std::size_t kPrintedRows = 10'000;

Result<CompactionStatus> CompactionOf(StoreControl& control) { return control.GetStatus(); }
Result<CompactionStatus> CompactionOf(KVStore&) { return CompactionStatus(); }

template <class Store>
Result<TopSample> TakeSample(Store& store) {
  TopSample sample;
  auto stats = StatsOf(store);
  if (!stats) return std::unexpected(std::move(stats).error());
  auto segments = SegmentsOf(store);
  if (!segments) return std::unexpected(std::move(segments).error());
  auto compaction = CompactionOf(store);
  if (!compaction) return std::unexpected(std::move(compaction).error());
  sample.at = Clock::now();
  sample.stats = *std::move(stats);
  sample.segments = *std::move(segments);
  sample.compaction = *std::move(compaction);
  return sample;
}

// Where the figures come from: the process that has the store open, or one look at a closed one,
// which leaves the store free. What was seen last stays when the other process goes.
class Source {
 public:
  explicit Source(const TopOptions& options) : options_(options) {
    frame_.directory = options.directory;
  }

  Status Start() {
    auto store = OpenStore(options_.directory, Access::kRead);
    if (store) {
      auto sample = TakeSample(**store);
      if (!sample) return sample.error();
      Show(*std::move(sample), "closed: as it was left");
      return (*store)->Close();
    }
    if (store.error().code() != StatusCode::kBusy) return store.error();
    if (auto control = ConnectTo(options_.directory); !control) return control.error();
    return Connect();
  }

  // Whether there may be more to see later.
  bool live() const { return control_.has_value(); }
  const TopFrame& frame() const { return frame_; }

  void Refresh() {
    const Status status = control_ ? Ask() : Connect();
    if (!status.ok() && control_) {
      control_.reset();
      frame_.note = status.message();
    }
  }

 private:
  Status Connect() {
    auto control = StoreControl::Connect(options_.directory, kAnswerWithin);
    if (!control) return control.error();
    control_.emplace(*std::move(control));
    return Ask();
  }
  Status Ask() {
    auto sample = TakeSample(*control_);
    if (!sample) return sample.error();
    Show(*std::move(sample), "open in another process");
    return Status::Ok();
  }
  void Show(TopSample sample, std::string note) {
    const bool first = frame_.note != note;
    frame_.before = first ? sample : std::move(frame_.now);
    frame_.now = std::move(sample);
    frame_.note = std::move(note);
  }

  const TopOptions& options_;
  std::optional<StoreControl> control_;
  TopFrame frame_;
};

int PrintOnce(const TopOptions& options, Source& source) {
  if (source.live()) {  // rates need a second look
    std::this_thread::sleep_for(options.interval());
    source.Refresh();
  }
  std::string text;
  for (const std::string& line : RenderTop(source.frame(), kPrintedColumns, kPrintedRows)) {
    text += line + '\n';
  }
  return PrintOut(text);
}

int ShowLive(const TopOptions& options, Source& source) {
  Terminal terminal;
  auto next = Clock::now();
  while (!InterruptGuard::Interrupted()) {
    const Terminal::Size size = Terminal::CurrentSize();
    terminal.Draw(RenderTop(source.frame(), size.columns, size.rows));
    const auto rest = std::chrono::ceil<milliseconds>(next - Clock::now());
    char key = 0;
    const Terminal::Event event = terminal.Wait(std::max(rest, milliseconds(0)), &key);
    if (event == Terminal::Event::kKey && (key == 'q' || key == 'Q')) break;
    if (event != Terminal::Event::kTimeout) continue;
    source.Refresh();
    next = Clock::now() + options.interval();
  }
  return kExitOk;
}

int RunTop(const TopOptions& options) {
  if (!options.once && ::isatty(STDOUT_FILENO) != 1) {
    return Fail(kExitUsage, "top: standard output is no terminal; --once prints one frame");
  }
  const InterruptGuard guard;
  Source source(options);
  if (const Status started = source.Start(); !started.ok()) return Fail(started, options.directory);
  return options.once ? PrintOnce(options, source) : ShowLive(options, source);
}

}  // namespace

void AddTopCommand(CLI::App& app, int* exit_status) {
  auto options = std::make_shared<TopOptions>();
  CLI::App* top = app.add_subcommand("top", "Watch a store that another process has open");
  AddDirectory(*top, &options->directory);
  top->add_option("--interval", options->interval_seconds, "Time between two looks (default 1)")
      ->check(NumberWithin(kShortestInterval, kLongestInterval))
      ->type_name("SECONDS");
  top->add_flag("--once", options->once, "Print one frame and exit");
  top->footer(
      "Segments with their live and dead bytes, jobs, rates, latencies with and without\n"
      "compaction, what the scheduler has decided. The other process must have a control\n"
      "socket; a closed store is shown as it was left. q or Ctrl-C ends.\n\n"
      "Examples:\n"
      "  freyja top db\n"
      "  freyja top db --interval 0.2\n"
      "  freyja top db --once");
  top->callback([options, exit_status] { *exit_status = RunTop(*options); });
}

}  // namespace freyja::cli
