#include "workloads.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cstring>

namespace freyja::bench {

namespace {

using Clock = std::chrono::steady_clock;

constexpr std::uint64_t kBlockOperations = 256;
constexpr std::uint64_t kCheckedKeys = 20'000;
constexpr std::uint64_t kDeletedKeys = 100;
constexpr std::size_t kTagBytes = 8;

enum Version : std::uint64_t { kFilled = 1, kOverwritten = 2 };

// A seed of its own for each workload: reading in the order of writing flatters everyone.
std::uint64_t VisitSeed(std::uint64_t seed, Workload workload) {
  return Mix(seed + 1 + static_cast<std::uint64_t>(workload));
}

Status WrongAnswer(const Peer& peer, Outcome outcome, std::string_view call, std::uint64_t index) {
  if (outcome == Outcome::kFailed) {
    return {StatusCode::kIoError, fmt::format("{} of key {}: {}", call, index, peer.last_error())};
  }
  return {StatusCode::kCorruption,
          fmt::format("{} of key {}: {}", call, index,
                      outcome == Outcome::kMissing ? "the key is missing" : "wrong answer")};
}

double ThreadCpuSeconds() {
  timespec now = {};
  ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) * 1e-9;
}

// The timed loop. `operation` does the i-th operation and returns false if it went wrong.
template <typename Operation>
WorkloadRun RunBlocks(const RunParameters& parameters, bool may_cut, Operation operation) {
  WorkloadRun run;
  const double cpu_start = ThreadCpuSeconds();
  const auto start = Clock::now();
  std::uint64_t block = 0;
  bool fine = true;
  while (fine && run.operations < parameters.keys) {
    if (parameters.stop != nullptr && parameters.stop->load(std::memory_order_relaxed)) break;
    if (may_cut && parameters.seconds > 0 &&
        std::chrono::duration<double>(Clock::now() - start).count() >= parameters.seconds) {
      run.cut_short = true;
      break;
    }
    const std::uint64_t first = run.operations;
    const std::uint64_t end = std::min(first + kBlockOperations, parameters.keys);
    const bool singly = parameters.latency_every != 0 && block++ % parameters.latency_every == 0;
    for (std::uint64_t i = first; fine && i < end; ++i) {
      if (!singly) {
        fine = operation(i);
        continue;
      }
      const std::uint64_t before = Ticks();
      fine = operation(i);
      run.latency.Add(Ticks() - before);
    }
    run.operations = end;
  }
  run.seconds = std::chrono::duration<double>(Clock::now() - start).count();
  run.cpu_seconds = ThreadCpuSeconds() - cpu_start;
  return run;
}

// One run's keys, values and buffer, and the first answer that was wrong.
class Runner {
 public:
  Runner(Peer& peer, const RunParameters& parameters)
      : peer_(peer),
        parameters_(parameters),
        keys_(parameters.seed),
        values_(parameters.value_bytes) {}

  Result<WorkloadRun> Run(Workload workload) {
    Sequence visit(VisitSeed(parameters_.seed, workload));
    const std::uint64_t count = parameters_.keys;
    WorkloadRun run;
    switch (workload) {
      case Workload::kFill:
        run = RunBlocks(parameters_, false, [&](std::uint64_t i) { return Put(i, kFilled); });
        break;
      case Workload::kGet:
        run = RunBlocks(parameters_, true, [&](std::uint64_t) { return Get(visit.Below(count)); });
        break;
      case Workload::kMissingGet:
        run = RunBlocks(parameters_, true, [&](std::uint64_t) { return Miss(visit.Below(count)); });
        break;
      case Workload::kOverwrite:
        run = RunBlocks(parameters_, true,
                        [&](std::uint64_t) { return Put(visit.Below(count), kOverwritten); });
        break;
    }
    if (!status_.ok()) return std::unexpected(status_);
    if (!run.cut_short && run.operations < parameters_.keys) {
      return std::unexpected(Status(StatusCode::kCancelled, "interrupted"));
    }
    return run;
  }

  Status Check(std::uint64_t overwrites) {
    std::vector<bool> overwritten(parameters_.keys);
    Sequence visit(VisitSeed(parameters_.seed, Workload::kOverwrite));
    for (std::uint64_t i = 0; i < overwrites; ++i)
      overwritten[visit.Below(parameters_.keys)] = true;

    Sequence sample(Mix(parameters_.seed));
    for (std::uint64_t i = 0; i < std::min(kCheckedKeys, parameters_.keys); ++i) {
      const std::uint64_t index = sample.Below(parameters_.keys);
      if (!Get(index, overwritten[index] ? kOverwritten : kFilled)) return status_;
    }
    for (std::uint64_t index = 0; index < std::min(kDeletedKeys, parameters_.keys); ++index) {
      if (!Delete(index)) return status_;
    }
    return Status::Ok();
  }

 private:
  bool Put(std::uint64_t index, Version version) {
    const Outcome outcome = peer_.Put(keys_.Present(index), values_.Make(index, version));
    if (outcome == Outcome::kDone) [[likely]]
      return true;
    status_ = WrongAnswer(peer_, outcome, "put", index);
    return false;
  }

  bool Get(std::uint64_t index, Version version = kFilled) {
    const Outcome outcome = peer_.Get(keys_.Present(index), buffer_);
    if (outcome == Outcome::kDone && values_.Verify(buffer_, index, version)) [[likely]] {
      return true;
    }
    status_ = WrongAnswer(peer_, outcome, "get", index);
    return false;
  }

  bool Miss(std::uint64_t index) {
    const Outcome outcome = peer_.Get(keys_.Missing(index), buffer_);
    if (outcome == Outcome::kMissing) [[likely]]
      return true;
    status_ = WrongAnswer(peer_, outcome, "missing get", index);
    return false;
  }

  bool Delete(std::uint64_t index) {
    Outcome outcome = peer_.Delete(keys_.Present(index));
    if (outcome == Outcome::kDone) {
      outcome = peer_.Get(keys_.Present(index), buffer_);
      if (outcome == Outcome::kMissing) return true;
    }
    status_ = WrongAnswer(peer_, outcome, "delete", index);
    return false;
  }

  Peer& peer_;
  const RunParameters& parameters_;
  KeyMaker keys_;
  ValueMaker values_;
  std::string buffer_;
  Status status_;
};

}  // namespace

std::string_view WorkloadName(Workload workload) {
  switch (workload) {
    case Workload::kFill:
      return "fill";
    case Workload::kGet:
      return "get";
    case Workload::kMissingGet:
      return "miss";
    case Workload::kOverwrite:
      return "overwrite";
  }
  return "";
}

std::optional<Workload> WorkloadFromName(std::string_view name) {
  for (const Workload workload : kAllWorkloads) {
    if (WorkloadName(workload) == name) return workload;
  }
  return std::nullopt;
}

std::uint64_t Mix(std::uint64_t x) {
  x ^= x >> 32;
  x *= 0x9FB21C651E98DF25;
  x ^= x >> 29;
  x *= 0xD6E8FEB86659FD93;
  return x ^ (x >> 32);
}

std::uint64_t Sequence::Below(std::uint64_t bound) {
  state_ += 0x9E3779B97F4A7C15;
  __extension__ using Wide = unsigned __int128;
  return static_cast<std::uint64_t>((static_cast<Wide>(Mix(state_)) * bound) >> 64);
}

std::string_view KeyMaker::Make(std::uint64_t number) {
  const std::uint64_t first = Mix(number ^ seed_);
  const std::uint64_t second = first * 0x9E3779B97F4A7C15 + number;
  std::memcpy(key_.data(), &first, sizeof first);
  std::memcpy(key_.data() + sizeof first, &second, sizeof second);
  return {key_.data(), key_.size()};
}

ValueMaker::ValueMaker(std::size_t bytes) : value_(bytes, '\0') {
  for (std::size_t i = 0; i < bytes; ++i) value_[i] = static_cast<char>(Mix(i));
}

std::string_view ValueMaker::Make(std::uint64_t index, std::uint64_t version) {
  const std::uint64_t tag = Mix(index * 4 + version);
  const std::size_t bytes = std::min(kTagBytes, value_.size());
  std::memcpy(value_.data(), &tag, bytes);
  std::memcpy(value_.data() + value_.size() - bytes, &tag, bytes);
  return value_;
}

bool ValueMaker::Verify(std::string_view value, std::uint64_t index, std::uint64_t version) const {
  if (value.size() != value_.size()) return false;
  const std::uint64_t tag = Mix(index * 4 + version);
  const std::size_t bytes = std::min(kTagBytes, value_.size());
  if (value.size() < 2 * kTagBytes) {
    // The two tags overlap: the second overwrote part of the first.
    return std::memcmp(value.data() + value.size() - bytes, &tag, bytes) == 0;
  }
  return std::memcmp(value.data(), &tag, bytes) == 0 &&
         std::memcmp(value.data() + value.size() - bytes, &tag, bytes) == 0;
}

Result<WorkloadRun> RunWorkload(Peer& peer, Workload workload, const RunParameters& parameters) {
  return Runner(peer, parameters).Run(workload);
}

Status CheckContents(Peer& peer, const RunParameters& parameters, std::uint64_t overwrites) {
  return Runner(peer, parameters).Check(overwrites);
}

}  // namespace freyja::bench
