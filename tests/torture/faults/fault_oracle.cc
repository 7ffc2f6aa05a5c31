#include "torture/faults/fault_oracle.h"

#include <stdexcept>
#include <utility>

namespace freyja::torture {

using support::Contents;

void FaultOracle::Acknowledged(support::Write write, std::uint64_t sequence) {
  if (has_maybe_) throw std::logic_error("a write was acknowledged by a store that is read-only");
  for (const support::Change& change : write) {
    if (change.value) {
      newest_.insert_or_assign(change.key, *change.value);
    } else {
      newest_.erase(change.key);
    }
  }
  writes_.push_back(std::move(write));
  sequences_.push_back(sequence);
}

void FaultOracle::Maybe(support::Write write) {
  if (has_maybe_) return;
  has_maybe_ = true;
  writes_.push_back(std::move(write));
}

void FaultOracle::SaysDurable(std::uint64_t sequence) {
  while (durable_ < sequences_.size() && sequences_[durable_] <= sequence) ++durable_;
}

Verdict FaultOracle::Judge(const Contents& found, support::Bounds bounds) const {
  for (const auto& [key, value] : found) {
    if (!support::IsValueOf(key, value)) {
      return {Wrong::kFabricated, "key " + key + " has a value that nobody wrote"};
    }
  }
  support::History history(base_);
  for (const support::Write& write : writes_) history.Begin(write);
  if (history.FindPrefix(found, bounds)) return {};
  const std::string what = history.Judge(found, bounds);
  if (history.FindPrefix(found, {.at_least = 0, .at_most = writes_.size()})) {
    return {Wrong::kAcknowledgedLost, what};
  }
  for (const auto& [key, value] : found) {
    if (!history.newest().contains(key)) return {Wrong::kResurrected, what};
  }
  return {Wrong::kHole, what};
}

}  // namespace freyja::torture
