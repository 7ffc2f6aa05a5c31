#include "demo_model.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cstring>
#include <functional>

namespace freyja::cli {
namespace {

constexpr std::size_t kNotesKept = 8;

// "\nDemo-Version: 00000007 of 0123456789abcdef sum 0123456789abcdef\n"
constexpr std::string_view kVersionLabel = "\nDemo-Version: ";
constexpr std::string_view kKeyLabel = " of ";
constexpr std::string_view kSumLabel = " sum ";
constexpr std::size_t kVersionAt = kVersionLabel.size();
constexpr std::size_t kKeyAt = kVersionAt + 8 + kKeyLabel.size();
constexpr std::size_t kSumAt = kKeyAt + 16 + kSumLabel.size();
constexpr std::size_t kTrailerBytes = kSumAt + 16 + 1;
// Filler of a length that changes with the version, so that records do, too.
constexpr std::uint64_t kMaxFillerBytes = 63;
static_assert(kTrailerBytes + kMaxFillerBytes <= kMaxDemoTrailerBytes);

void WriteHex(char* at, std::uint64_t number, int digits) {
  for (int i = digits - 1; i >= 0; --i, number >>= 4) at[i] = "0123456789abcdef"[number & 15];
}

void WriteTrailer(char* at, std::uint32_t version, std::uint64_t key_hash, std::uint64_t sum) {
  std::memcpy(at, kVersionLabel.data(), kVersionLabel.size());
  WriteHex(at + kVersionAt, version, 8);
  std::memcpy(at + kVersionAt + 8, kKeyLabel.data(), kKeyLabel.size());
  WriteHex(at + kKeyAt, key_hash, 16);
  std::memcpy(at + kKeyAt + 16, kSumLabel.data(), kSumLabel.size());
  WriteHex(at + kSumAt, sum, 16);
  at[kTrailerBytes - 1] = '\n';
}

std::uint64_t FillerBytes(std::uint64_t key_hash, std::uint32_t version) {
  return MixBits(key_hash ^ version) & kMaxFillerBytes;
}

std::uint64_t TrailerSum(std::uint64_t key_hash, std::uint64_t text_hash, std::uint32_t version) {
  return MixBits(text_hash ^ MixBits(key_hash + version));
}

}  // namespace

DemoModel::DemoModel(const Dataset& dataset, std::uint64_t seed, unsigned delete_percent)
    : records_(dataset.records),
      seed_(seed),
      delete_percent_(delete_percent),
      hashes_(dataset.records.size()),
      keys_(dataset.records.size()) {
  index_of_.reserve(records_.size());
  for (std::size_t i = 0; i < records_.size(); ++i) {
    hashes_[i] = {.key = MixBits(std::hash<std::string_view>{}(records_[i].key)),
                  .text = std::hash<std::string_view>{}(records_[i].text)};
    index_of_.emplace(records_[i].key, i);
  }
}

std::optional<std::size_t> DemoModel::Find(std::string_view key) const {
  const auto found = index_of_.find(key);
  if (found == index_of_.end()) return std::nullopt;
  return found->second;
}

bool DemoModel::IsDelete(std::size_t key_index, std::uint32_t version) const {
  if (version <= 1) return version == 0;
  return MixBits(seed_ ^ MixBits(hashes_[key_index].key + version)) % 100 < delete_percent_;
}

void DemoModel::BuildValue(std::size_t key_index, std::uint32_t version, std::string& value) const {
  const std::string& text = records_[key_index].text;
  const KeyHashes& hashes = hashes_[key_index];
  const std::size_t filler = FillerBytes(hashes.key, version);
  value.resize(text.size() + filler + kTrailerBytes);
  std::memcpy(value.data(), text.data(), text.size());
  std::memset(value.data() + text.size(), '.', filler);
  WriteTrailer(value.data() + text.size() + filler, version, hashes.key,
               TrailerSum(hashes.key, hashes.text, version));
}

std::optional<std::uint32_t> DemoModel::VersionOf(std::size_t key_index,
                                                  std::string_view answer) const {
  const std::string& text = records_[key_index].text;
  if (answer.size() < text.size() + kTrailerBytes) return std::nullopt;
  const std::string_view trailer = answer.substr(answer.size() - kTrailerBytes);
  std::uint32_t version = 0;
  const char* const digits = trailer.data() + kVersionAt;
  const auto parsed = std::from_chars(digits, digits + 8, version, 16);
  if (parsed.ec != std::errc() || parsed.ptr != digits + 8) return std::nullopt;

  const KeyHashes& hashes = hashes_[key_index];
  const std::string_view filler =
      answer.substr(text.size(), answer.size() - kTrailerBytes - text.size());
  char expected[kTrailerBytes];
  WriteTrailer(expected, version, hashes.key, TrailerSum(hashes.key, hashes.text, version));
  const bool same = trailer == std::string_view(expected, kTrailerBytes) &&
                    answer.starts_with(text) && filler.size() == FillerBytes(hashes.key, version) &&
                    filler.find_first_not_of('.') == std::string_view::npos;
  if (!same || IsDelete(key_index, version)) return std::nullopt;
  return version;
}

bool DemoModel::IsSomeVersion(std::size_t key_index, std::string_view answer) const {
  return VersionOf(key_index, answer).has_value();
}

std::uint32_t DemoModel::StartWrite(std::size_t key_index) {
  KeyState& state = keys_[key_index];
  const std::uint32_t version = state.acknowledged.load() + 1;
  state.started.store(version);
  return version;
}

void DemoModel::FinishWrite(std::size_t key_index, std::uint32_t version) {
  keys_[key_index].acknowledged.store(version);
}

DemoModel::ReadTicket DemoModel::BeginRead(std::size_t key_index) const {
  const KeyState& state = keys_[key_index];
  return {.key_index = key_index, .lowest = std::max(state.acknowledged.load(), state.seen.load())};
}

Verdict DemoModel::EndRead(const ReadTicket& ticket, std::optional<std::string_view> answer) {
  return EndRead(ticket, answer, HighestStarted(ticket.key_index));
}

Verdict DemoModel::EndRead(const ReadTicket& ticket, std::optional<std::string_view> answer,
                           std::uint32_t highest) {
  const Verdict verdict = Judge(ticket, answer, highest);
  if (verdict != Verdict::kRight) NoteVerdict(verdict, ticket, answer, highest);
  return verdict;
}

Verdict DemoModel::Judge(const ReadTicket& ticket, std::optional<std::string_view> answer,
                         std::uint32_t highest) {
  if (!answer) {
    for (std::uint32_t version = ticket.lowest; version <= highest; ++version) {
      if (!IsDelete(ticket.key_index, version)) continue;
      RaiseSeen(ticket.key_index, version);
      return Verdict::kRight;
    }
    return Verdict::kMissed;
  }
  const std::optional<std::uint32_t> version = VersionOf(ticket.key_index, *answer);
  // A version that nobody has begun to write is as wrong as any other bytes.
  if (!version || *version > highest) return Verdict::kCorrupt;
  if (*version < ticket.lowest) return Verdict::kStale;
  RaiseSeen(ticket.key_index, *version);
  return Verdict::kRight;
}

void DemoModel::RaiseSeen(std::size_t key_index, std::uint32_t version) {
  KeyState& state = keys_[key_index];
  if (version <= state.acknowledged.load()) return;
  std::uint32_t seen = state.seen.load();
  while (seen < version && !state.seen.compare_exchange_weak(seen, version)) {
  }
}

void DemoModel::NoteVerdict(Verdict verdict, const ReadTicket& ticket,
                            std::optional<std::string_view> answer, std::uint32_t highest) {
  const std::string_view name = key(ticket.key_index);
  const std::string_view bytes = answer.value_or(std::string_view());
  const std::string range = fmt::format("versions {} to {} were possible", ticket.lowest, highest);
  switch (verdict) {
    case Verdict::kRight:
      return;
    case Verdict::kMissed:
      return Note(fmt::format("missed: key '{}' was present and wasn't found; {}", name, range));
    case Verdict::kStale:
      return Note(fmt::format("stale: key '{}' gave version {}; {}", name,
                              VersionOf(ticket.key_index, bytes).value_or(0), range));
    case Verdict::kCorrupt:
      return Note(
          fmt::format("corrupt: key '{}' gave {} bytes that are none of its possible "
                      "values; {}",
                      name, bytes.size(), range));
  }
}

void DemoModel::Note(const std::string& problem) {
  const std::lock_guard lock(notes_mutex_);
  if (notes_.size() < kNotesKept) notes_.push_back(problem);
}

std::vector<std::string> DemoModel::Notes() const {
  const std::lock_guard lock(notes_mutex_);
  return notes_;
}

IterationCheck::IterationCheck(DemoModel& model)
    : model_(model), tickets_(model.size()), highest_(model.size()), seen_(model.size()) {
  for (std::size_t i = 0; i < tickets_.size(); ++i) tickets_[i] = model_.BeginRead(i);
}

void IterationCheck::Opened() {
  for (std::size_t i = 0; i < highest_.size(); ++i) highest_[i] = model_.HighestStarted(i);
}

Verdict IterationCheck::Saw(std::string_view key, std::string_view value) {
  const std::optional<std::size_t> index = model_.Find(key);
  if (!index || seen_[*index]) {
    model_.Note(fmt::format("corrupt: the iterator gave key '{}' {}", key,
                            index ? "twice" : "which was never written"));
    ++totals_.corrupt;
    return Verdict::kCorrupt;
  }
  seen_[*index] = true;
  ++totals_.seen;
  const Verdict verdict = model_.EndRead(tickets_[*index], value, highest_[*index]);
  if (verdict == Verdict::kStale) ++totals_.stale;
  if (verdict == Verdict::kCorrupt) ++totals_.corrupt;
  return verdict;
}

IterationCheck::Totals IterationCheck::Finish() {
  for (std::size_t i = 0; i < seen_.size(); ++i) {
    if (seen_[i]) continue;
    if (model_.EndRead(tickets_[i], std::nullopt, highest_[i]) != Verdict::kRight) {
      ++totals_.missed;
    }
  }
  return totals_;
}

}  // namespace freyja::cli
