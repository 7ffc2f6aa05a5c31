#include "demo_reader.h"

#include <fmt/format.h>

#include <array>
#include <chrono>
#include <thread>

namespace freyja::cli {
namespace {

using Clock = std::chrono::steady_clock;

// Of 64 operations; the rest are plain reads.
constexpr std::uint64_t kPinnedOf64 = 4;
constexpr std::uint64_t kMultiGetsOf64 = 6;
constexpr std::size_t kMultiGetKeys = 16;
constexpr std::uint64_t kOperationsPerHeldPin = 20000;

}  // namespace

DemoReader::DemoReader(DemoContext& context, unsigned number)
    : context_(context), random_(context.options.seed * 1000 + 500 + number) {}

void DemoReader::Run() {
  while (!context_.stop_readers.load()) {
    const std::uint64_t dice = random_.Next() >> 58;
    if (dice < kMultiGetsOf64) {
      ReadMany();
    } else if (dice < kMultiGetsOf64 + kPinnedOf64) {
      ReadPinned();
    } else {
      ReadOne();
    }
    if (++operations_ % kOperationsPerHeldPin == 0) CheckHeldPin();
  }
  CheckHeldPin();
  held_pin_.reset();
}

std::size_t DemoReader::PickKey() {
  const std::size_t keys = context_.model.size();
  if (random_.Next() >> 63 != 0) return random_.Below(keys);
  return (context_.hot_begin.load() + random_.Below(HotRangeLength(keys))) % keys;
}

void DemoReader::ReadOne() {
  const std::size_t index = PickKey();
  const std::string_view key = context_.model.key(index);
  const DemoModel::ReadTicket ticket = context_.model.BeginRead(index);
  const DemoPhase phase = context_.phase.load();
  const std::uint64_t swap_before = context_.store.SwapCounter();
  const Clock::time_point begin = Clock::now();
  const Result<bool> found = context_.store.Get(key, buffer_);
  const Clock::time_point end = Clock::now();
  const std::uint64_t swap_after = context_.store.SwapCounter();
  latencies.Record(phase, context_.phase.load(), NanosecondsBetween(begin, end));
  CountReads(1, swap_before, swap_after);
  if (!found) return CountError(index, found.error());
  verdicts.Count(context_.model.EndRead(
      ticket, *found ? std::optional<std::string_view>(buffer_) : std::nullopt));
}

void DemoReader::ReadPinned() {
  const std::size_t index = PickKey();
  const DemoModel::ReadTicket ticket = context_.model.BeginRead(index);
  const std::uint64_t swap_before = context_.store.SwapCounter();
  Result<std::optional<PinnedValue>> pinned = context_.store.GetPinned(context_.model.key(index));
  CountReads(1, swap_before, context_.store.SwapCounter());
  if (!pinned) return CountError(index, pinned.error());
  std::optional<PinnedValue>& value = *pinned;
  std::optional<std::string_view> answer;
  if (value) answer = value->value();
  const Verdict verdict = context_.model.EndRead(ticket, answer);
  verdicts.Count(verdict);
  if (verdict == Verdict::kRight && value && !held_pin_) {
    held_pin_ = std::move(value);
    held_pin_key_ = index;
  }
}

void DemoReader::CheckHeldPin() {
  if (!held_pin_) return;
  if (!context_.model.IsSomeVersion(held_pin_key_, held_pin_->value())) {
    context_.model.Note(fmt::format("corrupt: the bytes of a pinned value of key '{}' changed",
                                    context_.model.key(held_pin_key_)));
    verdicts.corrupt.Add(1);
  }
  held_pin_.reset();
}

void DemoReader::ReadMany() {
  std::array<DemoModel::ReadTicket, kMultiGetKeys> tickets;
  std::array<std::string_view, kMultiGetKeys> keys;
  for (std::size_t i = 0; i < kMultiGetKeys; ++i) {
    const std::size_t index = PickKey();
    tickets[i] = context_.model.BeginRead(index);
    keys[i] = context_.model.key(index);
  }
  const std::uint64_t swap_before = context_.store.SwapCounter();
  const auto answers = context_.store.MultiGet(keys);
  CountReads(kMultiGetKeys, swap_before, context_.store.SwapCounter());
  if (answers.size() != kMultiGetKeys) {
    context_.model.Note(
        fmt::format("corrupt: MultiGet of {} keys gave {} answers", kMultiGetKeys, answers.size()));
    return verdicts.corrupt.Add(1);
  }
  for (std::size_t i = 0; i < kMultiGetKeys; ++i) {
    const Result<std::optional<std::string>>& found = answers[i];
    if (!found) {
      CountError(tickets[i].key_index, found.error());
      continue;
    }
    const std::optional<std::string>& value = *found;
    std::optional<std::string_view> answer;
    if (value) answer = *value;
    verdicts.Count(context_.model.EndRead(tickets[i], answer));
  }
}

void DemoReader::CountReads(std::uint64_t number, std::uint64_t swap_before,
                            std::uint64_t swap_after) {
  reads.Add(number);
  if (swap_before % 2 != 0 || swap_before != swap_after) reads_during_swap.Add(number);
}

void DemoReader::CountError(std::size_t key_index, const Status& error) {
  if (error.code() != StatusCode::kCorruption) return context_.error.Set(error);
  context_.model.Note(
      fmt::format("corrupt: key '{}': {}", context_.model.key(key_index), error.ToString()));
  verdicts.corrupt.Add(1);
}

void DemoWalker::Run() {
  constexpr auto kPoll = std::chrono::milliseconds(20);
  constexpr auto kLongestPause = std::chrono::seconds(2);
  std::uint64_t walked_round = 0;
  Clock::time_point walked_at = Clock::now();
  while (!context_.stop_readers.load()) {
    const std::uint64_t round = context_.round.load();
    if (round == walked_round && Clock::now() - walked_at < kLongestPause) {
      std::this_thread::sleep_for(kPoll);
      continue;
    }
    walked_round = round;
    Walk();
    walked_at = Clock::now();
  }
}

void DemoWalker::Walk() {
  IterationCheck check(context_.model);
  Result<Iterator> iterator = context_.store.NewIterator();
  if (!iterator) return context_.error.Set(iterator.error());
  check.Opened();
  for (iterator->Next(); iterator->Valid(); iterator->Next()) {
    check.Saw(iterator->key(), iterator->value());
    if (context_.stop_readers.load()) return;  // an unfinished walk proves nothing
  }
  const Status& status = iterator->status();
  if (status.code() == StatusCode::kCorruption) {
    context_.model.Note("corrupt: iterator: " + status.ToString());
    return verdicts.corrupt.Add(1);
  }
  if (!status.ok()) return context_.error.Set(status);
  const IterationCheck::Totals totals = check.Finish();
  walks.Add(1);
  verdicts.missed.Add(totals.missed);
  verdicts.stale.Add(totals.stale);
  verdicts.corrupt.Add(totals.corrupt);
}

}  // namespace freyja::cli
