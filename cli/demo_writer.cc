#include "demo_writer.h"

#include <fmt/format.h>

#include <algorithm>
#include <thread>

namespace freyja::cli {
namespace {

using Clock = std::chrono::steady_clock;

// So that a pause is long enough for the timer to keep to.
constexpr std::uint64_t kWritesBetweenPauses = 32;

}  // namespace

DemoWriter::DemoWriter(DemoContext& context, unsigned number)
    : context_(context), number_(number), random_(context.options.seed * 1000 + number) {}

void DemoWriter::Run() {
  start_ = Clock::now();
  const std::uint64_t share = context_.model.size() / context_.options.writers + 1;
  while (!context_.stop_writers.load() && !context_.error.failed()) {
    BeginRound();
    for (std::uint64_t i = 0; i < share; ++i) {
      if (context_.stop_writers.load() || context_.error.failed()) return;
      WriteOne();
      if (i % kWritesBetweenPauses == 0) KeepToRate();
    }
    if (number_ == 0) context_.round.fetch_add(1);
  }
}

void DemoWriter::BeginRound() {
  hot_begin_ = random_.Below(context_.model.size());
  context_.hot_begin.store(hot_begin_);
}

std::size_t DemoWriter::PickKey() {
  const std::size_t keys = context_.model.size();
  std::size_t index = random_.Below(keys);
  if (random_.Below(5) != 0) {
    index = (hot_begin_ + random_.Below(HotRangeLength(keys))) % keys;
  }
  const std::size_t own = index - index % context_.options.writers + number_;
  return own < keys ? own : number_;
}

void DemoWriter::WriteOne() {
  const std::size_t index = PickKey();
  DemoModel& model = context_.model;
  const std::string_view key = model.key(index);
  const bool was_present = !model.IsDelete(index, model.acknowledged(index));
  const std::uint32_t version = model.StartWrite(index);
  const DemoPhase phase = context_.phase.load();
  if (model.IsDelete(index, version)) {
    const Clock::time_point begin = Clock::now();
    const Result<bool> existed = context_.store.Delete(key);
    const Clock::time_point end = Clock::now();
    if (!existed) return context_.error.Set(existed.error());
    latencies.Record(phase, context_.phase.load(), NanosecondsBetween(begin, end));
    if (*existed != was_present) {
      model.Note(fmt::format("{}: Delete of key '{}' answered {}, its version {} was {}",
                             was_present ? "missed" : "stale", key, *existed, version - 1,
                             was_present ? "present" : "deleted"));
      verdicts.Count(was_present ? Verdict::kMissed : Verdict::kStale);
    }
    deletes.Add(1);
    bytes.Add(key.size());
  } else {
    model.BuildValue(index, version, buffer_);
    const Clock::time_point begin = Clock::now();
    const Status status = context_.store.Put(key, buffer_);
    const Clock::time_point end = Clock::now();
    if (!status.ok()) return context_.error.Set(status);
    latencies.Record(phase, context_.phase.load(), NanosecondsBetween(begin, end));
    writes.Add(1);
    bytes.Add(key.size() + buffer_.size());
  }
  model.FinishWrite(index, version);
}

void DemoWriter::KeepToRate() {
  const double total_rate = context_.options.write_mib_per_second * 1024 * 1024;
  if (total_rate <= 0) return;
  const double rate = total_rate / context_.options.writers;
  const std::chrono::duration<double> due(static_cast<double>(bytes.get()) / rate);
  const std::chrono::duration<double> elapsed = Clock::now() - start_;
  // A writer that was held up doesn't catch up in a burst that would only measure itself.
  constexpr std::chrono::duration<double> kMostBehind = std::chrono::milliseconds(5);
  if (elapsed - due > kMostBehind) {
    start_ += std::chrono::duration_cast<Clock::duration>(elapsed - due - kMostBehind);
  } else if (due > elapsed) {
    std::this_thread::sleep_for(due - elapsed);
  }
}

Status LoadRecords(DemoContext& context, const std::function<bool()>& stop, Counter& loaded) {
  std::string value;
  for (std::size_t i = 0; i < context.model.size(); ++i) {
    if (stop()) break;
    const std::uint32_t version = context.model.StartWrite(i);
    context.model.BuildValue(i, version, value);
    const Status status = context.store.Put(context.model.key(i), value);
    if (!status.ok()) return status;
    context.model.FinishWrite(i, version);
    loaded.Add(1);
  }
  return Status::Ok();
}

}  // namespace freyja::cli
