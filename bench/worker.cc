#include "worker.h"

#include <fmt/format.h>

namespace freyja::bench {

namespace {

// A seed of its own for each measure and thread: reading in the order of writing flatters
// everyone.
std::uint64_t VisitSeed(const Measure& measure, unsigned thread, std::uint64_t seed) {
  const auto workload = static_cast<std::uint64_t>(measure.workload);
  return Mix(seed + 1 + workload + (std::uint64_t{thread} << 16) +
             (std::uint64_t{measure.threads - 1} << 32));
}

}  // namespace

Visits::Visits(const Measure& measure, unsigned thread, std::uint64_t keys, std::uint64_t seed)
    : sequence_(VisitSeed(measure, thread, seed)),
      keys_(keys),
      writes_percent_(InfoOf(measure.workload).writes_percent) {}

Worker::Worker(PeerSession& session, std::uint64_t seed, std::size_t value_bytes,
               VersionRange versions, std::uint64_t version, std::uint64_t step)
    : session_(session), versions_(versions), version_(version), keys_(seed), values_(value_bytes) {
  if (step == 1) return;
  indices_.resize(step);
  batch_keys_.assign(step, KeyMaker(seed));
  batch_values_.assign(step, ValueMaker(value_bytes));
  views_.resize(step);
  entries_.resize(step);
  answers_.resize(step);
}

bool Worker::Put(std::uint64_t index) {
  const Outcome outcome = session_.Put(keys_.Present(index), values_.Make(index, version_));
  return outcome == Outcome::kDone ? true : Wrong(outcome, "put", index);
}

bool Worker::Get(std::uint64_t index, VersionRange versions) {
  const Outcome outcome = session_.Get(keys_.Present(index), buffer_);
  if (outcome == Outcome::kDone && values_.Verify(buffer_, index, versions)) [[likely]] {
    return true;
  }
  return Wrong(outcome, "get", index);
}

bool Worker::Miss(std::uint64_t index) {
  const Outcome outcome = session_.Get(keys_.Missing(index), buffer_);
  return outcome == Outcome::kMissing ? true : Wrong(outcome, "missing get", index);
}

bool Worker::MissPresent(std::uint64_t index) {
  const Outcome outcome = session_.Get(keys_.Present(index), buffer_);
  return outcome == Outcome::kMissing ? true : Wrong(outcome, "get after the delete", index);
}

bool Worker::Delete(std::uint64_t index) {
  const Outcome outcome = session_.Delete(keys_.Present(index));
  return outcome == Outcome::kDone ? true : Wrong(outcome, "delete", index);
}

bool Worker::MultiGet(Visits& visits, std::uint64_t count) {
  for (std::uint64_t i = 0; i < count; ++i) {
    indices_[i] = visits.Next();
    views_[i] = batch_keys_[i].Present(indices_[i]);
  }
  const Outcome outcome = session_.MultiGet({views_.data(), count}, {answers_.data(), count});
  if (outcome != Outcome::kDone) return Wrong(outcome, "multi-get", indices_.front());
  for (std::uint64_t i = 0; i < count; ++i) {
    if (!answers_[i].found) return Wrong(Outcome::kMissing, "multi-get", indices_[i]);
    if (!values_.Verify(answers_[i].value, indices_[i], versions_)) {
      return Wrong(outcome, "multi-get", indices_[i]);
    }
  }
  return true;
}

bool Worker::PutBatch(Visits& visits, std::uint64_t count) {
  for (std::uint64_t i = 0; i < count; ++i) {
    const std::uint64_t index = visits.Next();
    entries_[i] = {batch_keys_[i].Present(index), batch_values_[i].Make(index, version_)};
  }
  const Outcome outcome = session_.PutBatch({entries_.data(), count});
  return outcome == Outcome::kDone ? true : Wrong(outcome, "batch", 0);
}

bool Worker::Wrong(Outcome outcome, std::string_view call, std::uint64_t index) {
  if (outcome == Outcome::kFailed) {
    status_ = {StatusCode::kIoError,
               fmt::format("{} of key {}: {}", call, index, session_.last_error())};
  } else {
    status_ = {StatusCode::kCorruption,
               fmt::format("{} of key {}: {}", call, index,
                           outcome == Outcome::kMissing ? "the key is missing" : "wrong answer")};
  }
  return false;
}

}  // namespace freyja::bench
