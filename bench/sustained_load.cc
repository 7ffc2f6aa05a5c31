#include "sustained_load.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "base/status_macros.h"

namespace freyja::bench {

namespace {

std::uint64_t Nanoseconds(SteadyClock::duration time) {
  const auto count = std::chrono::duration_cast<std::chrono::nanoseconds>(time).count();
  return static_cast<std::uint64_t>(std::max<std::int64_t>(count, 0));
}

void Add(Latencies& latencies, SteadyClock::time_point due, SteadyClock::time_point began,
         SteadyClock::time_point ended) {
  latencies.response.Add(Nanoseconds(ended - due));
  latencies.call.Add(Nanoseconds(ended - began));
}

}  // namespace

// --- Keys and values ------------------------------------------------------------------

Result<KeyDraw> KeyDraw::Make(const SchedulerPlan& plan, std::uint64_t stream) {
  auto trace = MakeTrace(plan.distribution, plan.keys, plan.seed, stream);
  if (!trace) return std::unexpected(Status(StatusCode::kInvalidArgument, trace.error()));
  return KeyDraw(*std::move(trace));
}

std::uint32_t KeyDraw::Next() {
  if (at_ == updates_.size()) {
    trace_->Next(updates_);
    at_ = 0;
  }
  return updates_[at_++].key;
}

Status VersionedWriter::Put(std::uint64_t key) {
  const std::uint64_t version = contents_.versions.Begin(key);
  FREYJA_RETURN_IF_ERROR(store_.Put(keys_.Present(key), value_.Make(key, version)));
  contents_.versions.Acknowledge(key, version);
  return Status::Ok();
}

Status CheckedReader::Get(std::uint64_t key) {
  const std::uint64_t acknowledged = contents_.versions.Acknowledged(key);
  const std::uint64_t swaps_before = store_.SwapCounter();
  const Result<bool> found = store_.Get(keys_.Present(key), value_);
  if (swaps_before % 2 != 0 || store_.SwapCounter() != swaps_before) ++answers_.overlapping_swap;
  if (!found && found.error().code() != StatusCode::kCorruption) return found.error();
  if (!found) {
    answers_.Count(Verdict::kCorrupt, key, found.error().ToString());
    return Status::Ok();
  }
  const Verdict verdict = contents_.versions.Judge(key, acknowledged, *found, value_);
  const std::optional<std::uint64_t> version = VersionOf(value_, key);
  answers_.Count(verdict, key,
                 verdict == Verdict::kFine
                     ? std::string()
                     : fmt::format("version {} where {} was acknowledged before the read",
                                   version ? fmt::to_string(*version) : "unknown", acknowledged));
  return Status::Ok();
}

void Answers::Count(Verdict verdict, std::uint64_t key, std::string_view detail) {
  ++checked;
  if (verdict == Verdict::kFine) return;
  std::string_view name = "corrupt";
  if (verdict == Verdict::kMissed) name = "missed";
  if (verdict == Verdict::kStale) name = "stale";
  ++(verdict == Verdict::kMissed ? missed : verdict == Verdict::kStale ? stale : corrupt);
  if (first_wrong.empty()) first_wrong = fmt::format("{}: key {}: {}", name, key, detail);
}

void Answers::Merge(const Answers& other) {
  checked += other.checked;
  missed += other.missed;
  stale += other.stale;
  corrupt += other.corrupt;
  overlapping_swap += other.overlapping_swap;
  if (first_wrong.empty()) first_wrong = other.first_wrong;
}

// --- Slices ---------------------------------------------------------------------------

void LoadTotals::Merge(const LoadTotals& other) {
  operations += other.operations;
  ended_on += other.ended_on;
  ended_off += other.ended_off;
}

void SliceRecorder::Record(SteadyClock::time_point due, SteadyClock::time_point began,
                           SteadyClock::time_point ended, bool beside_job) {
  ++totals_.operations;
  if (const auto slice = timeline_.SettledAt(ended)) {
    ++(Timeline::IsPaused(*slice) ? totals_.ended_off : totals_.ended_on);
  }
  // An operation belongs to the slice in which it was due: what delayed it happened there.
  const std::size_t index = timeline_.IndexAt(due);
  if (index != slice_) {
    Flush();
    slice_ = index;
  }
  if (!timeline_.SettledAt(due)) return;
  Add(sample_->all, due, began, ended);
  if (beside_job && !Timeline::IsPaused(index)) Add(sample_->beside_job, due, began, ended);
}

void SliceRecorder::Flush() {
  collector_.Add(slice_, *sample_);
  *sample_ = {};
}

// --- Threads --------------------------------------------------------------------------

Result<SustainedLoad::Draws> SustainedLoad::MakeDraws(const SchedulerPlan& plan) {
  FREYJA_ASSIGN_OR_RETURN(KeyDraw writer, KeyDraw::Make(plan, 0));
  Draws draws{std::move(writer), {}};
  for (unsigned i = 0; i < plan.readers; ++i) {
    FREYJA_ASSIGN_OR_RETURN(KeyDraw reader, KeyDraw::Make(plan, i + 1));
    draws.readers.push_back(std::move(reader));
  }
  return draws;
}

SustainedLoad::SustainedLoad(const SchedulerPlan& plan, KVStore& store, Contents& contents,
                             Draws draws, const Timeline& timeline, SteadyClock::time_point end,
                             const std::atomic<bool>& job_at_work)
    : store_(store),
      contents_(contents),
      timeline_(timeline),
      end_(end),
      job_at_work_(job_at_work),
      read_slices_(draws.readers.size()),
      write_slices_(1) {
  threads_.emplace_back(
      [this, draw = std::move(draws.writer), rate = plan.writes_per_second]() mutable {
        Write(std::move(draw), rate);
      });
  const double readers = static_cast<double>(draws.readers.size());
  for (std::size_t i = 0; i < draws.readers.size(); ++i) {
    const double phase = static_cast<double>(i) / readers;
    threads_.emplace_back([this, draw = std::move(draws.readers[i]),
                           rate = plan.reads_per_second / readers,
                           phase]() mutable { Read(std::move(draw), rate, phase); });
  }
}

SustainedLoad::~SustainedLoad() {
  Stop();
  static_cast<void>(Join());
}

Status SustainedLoad::Join() {
  for (std::thread& thread : threads_) {
    if (thread.joinable()) thread.join();
  }
  ended_ = std::min(end_, SteadyClock::now());
  return status_;
}

template <typename Operation>
LoadTotals SustainedLoad::Run(double per_second, double phase, SliceCollector& collector,
                              Operation operation) {
  const auto offset = std::chrono::duration_cast<SteadyClock::duration>(
      std::chrono::duration<double>(phase / per_second));
  SliceRecorder recorder(timeline_, collector);
  bool beside_job = false;
  RunPaced(
      {.start = timeline_.start + offset, .end = end_, .per_second = per_second, .stop = &halt_},
      [&] {
        beside_job = job_at_work_.load();
        const Status status = operation();
        if (!status.ok()) Fail(status);
        return status.ok();
      },
      [&](auto due, auto began, auto ended) { recorder.Record(due, began, ended, beside_job); });
  // A slice that was cut short would be compared with whole ones.
  if (!stopped()) recorder.Flush();
  return recorder.totals();
}

void SustainedLoad::Write(KeyDraw draw, double per_second) {
  VersionedWriter writer(store_, contents_);
  const LoadTotals totals =
      Run(per_second, 0, write_slices_, [&] { return writer.Put(draw.Next()); });
  const std::lock_guard lock(mutex_);
  write_totals_.Merge(totals);
}

void SustainedLoad::Read(KeyDraw draw, double per_second, double phase) {
  CheckedReader reader(store_, contents_);
  const LoadTotals totals =
      Run(per_second, phase, read_slices_, [&] { return reader.Get(draw.Next()); });
  const std::lock_guard lock(mutex_);
  read_totals_.Merge(totals);
  answers_.Merge(reader.answers());
}

void SustainedLoad::Fail(const Status& status) {
  const std::lock_guard lock(mutex_);
  if (status_.ok()) status_ = status;
  Stop();
}

// --- Figures --------------------------------------------------------------------------

OperationFigures SustainedLoad::FiguresOf(const SliceCollector& collector,
                                          const LoadTotals& totals) const {
  SteadyClock::duration on{};
  SteadyClock::duration off{};
  for (std::size_t i = 0; timeline_.BeginOf(i) + timeline_.settling() < ended_; ++i) {
    const auto settled = timeline_.BeginOf(i) + timeline_.settling();
    (Timeline::IsPaused(i) ? off : on) += std::min(ended_, timeline_.BeginOf(i + 1)) - settled;
  }
  const auto rate = [](std::uint64_t count, SteadyClock::duration time) {
    const double seconds = std::chrono::duration<double>(time).count();
    return seconds == 0 ? 0 : static_cast<double>(count) / seconds;
  };
  return {.operations = totals.operations,
          .per_second_on = rate(totals.ended_on, on),
          .per_second_off = rate(totals.ended_off, off),
          .on = collector.on(),
          .off = collector.off(),
          .beside_job = collector.beside_job(),
          .ratios = collector.PairRatios()};
}

OperationFigures SustainedLoad::reads() const { return FiguresOf(read_slices_, read_totals_); }
OperationFigures SustainedLoad::writes() const { return FiguresOf(write_slices_, write_totals_); }

double SustainedLoad::job_share() const {
  const auto count = [](const Latencies& latencies) {
    return static_cast<double>(latencies.call.count());
  };
  const double on = count(read_slices_.on()) + count(write_slices_.on());
  const double beside = count(read_slices_.beside_job()) + count(write_slices_.beside_job());
  return on == 0 ? 0 : beside / on;
}

}  // namespace freyja::bench
