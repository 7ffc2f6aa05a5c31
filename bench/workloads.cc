#include "workloads.h"

#include <algorithm>
#include <chrono>
#include <ctime>
#include <latch>
#include <memory>
#include <optional>
#include <span>
#include <thread>
#include <utility>

#include "base/status_macros.h"
#include "keys_values.h"
#include "traces.h"
#include "worker.h"

namespace freyja::bench {

namespace {

using Clock = std::chrono::steady_clock;

constexpr std::uint64_t kBlockOperations = 256;
constexpr std::uint64_t kFirstVersion = 1;

double CpuSeconds(clockid_t clock) {
  timespec now = {};
  ::clock_gettime(clock, &now);
  return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) * 1e-9;
}

double SecondsSince(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

// What one thread of a measure has to do.
struct Share {
  Measure measure;
  unsigned thread = 0;
  std::uint64_t begin = 0;  // of the measure's operations
  std::uint64_t end = 0;
  std::uint64_t step = 1;
  std::uint64_t first_key = 0;
  const RunParameters* parameters = nullptr;
  std::atomic<bool>* failed = nullptr;  // of any thread: the others end, too
  std::span<const std::uint32_t> zipf;
};

// The timed loop. `call` does `count` operations from the i-th on, false if they went wrong.
template <typename Call>
WorkloadRun RunBlocks(const Share& share, Call call) {
  const RunParameters& parameters = *share.parameters;
  const bool syncs = share.measure.workload == Workload::kSync;
  const bool may_cut = share.measure.workload != Workload::kFill && parameters.seconds > 0;
  // A synced put takes so long that a look at the clock costs nothing.
  const std::uint64_t block_operations = syncs ? 1 : kBlockOperations;
  const unsigned latency_every = syncs ? 1 : parameters.latency_every;
  WorkloadRun run;
  const double cpu_start = CpuSeconds(CLOCK_THREAD_CPUTIME_ID);
  const auto start = Clock::now();
  std::uint64_t block = 0;
  bool fine = true;
  std::uint64_t at = share.begin;
  while (fine && at < share.end && !share.failed->load(std::memory_order_relaxed)) {
    if (parameters.stop != nullptr && parameters.stop->load(std::memory_order_relaxed)) break;
    if (may_cut && SecondsSince(start) >= parameters.seconds) {
      run.cut_short = true;
      break;
    }
    const std::uint64_t end = std::min(at + block_operations, share.end);
    const bool singly = latency_every != 0 && block++ % latency_every == 0;
    while (fine && at < end) {
      const std::uint64_t count = std::min(share.step, end - at);
      const std::uint64_t before = singly ? Ticks() : 0;
      fine = call(at, count);
      if (singly) run.latency.Add(Ticks() - before);
      at += count;
    }
  }
  if (!fine) share.failed->store(true);
  run.operations = at - share.begin;
  run.seconds = SecondsSince(start);
  run.thread_cpu_seconds = CpuSeconds(CLOCK_THREAD_CPUTIME_ID) - cpu_start;
  return run;
}

WorkloadRun RunShare(const Share& share, Worker& worker) {
  const std::uint64_t keys = share.parameters->keys;
  const std::uint64_t seed = share.parameters->seed;
  Visits visits(share.measure, share.thread, keys, seed);
  switch (share.measure.workload) {
    case Workload::kFill:
      return RunBlocks(share, [&](std::uint64_t i, std::uint64_t) { return worker.Put(i); });
    case Workload::kGet:
      return RunBlocks(share,
                       [&](std::uint64_t, std::uint64_t) { return worker.Get(visits.Next()); });
    case Workload::kMissingGet:
      return RunBlocks(share,
                       [&](std::uint64_t, std::uint64_t) { return worker.Miss(visits.Next()); });
    case Workload::kZipfGet:
      return RunBlocks(share,
                       [&](std::uint64_t i, std::uint64_t) { return worker.Get(share.zipf[i]); });
    case Workload::kMultiGet16:
    case Workload::kMultiGet128:
      return RunBlocks(share, [&](std::uint64_t, std::uint64_t count) {
        return share.step == 1 ? worker.Get(visits.Next()) : worker.MultiGet(visits, count);
      });
    case Workload::kMixed95:
    case Workload::kMixed50:
      return RunBlocks(share, [&](std::uint64_t, std::uint64_t) {
        return visits.NextWrites() ? worker.Put(visits.Next()) : worker.Get(visits.Next());
      });
    case Workload::kOverwrite:
    case Workload::kSustained:
      return RunBlocks(share,
                       [&](std::uint64_t, std::uint64_t) { return worker.Put(visits.Next()); });
    case Workload::kBatch16:
    case Workload::kBatch128:
      return RunBlocks(share, [&](std::uint64_t, std::uint64_t count) {
        return share.step == 1 ? worker.Put(visits.Next()) : worker.PutBatch(visits, count);
      });
    case Workload::kDelete: {
      const Permutation order(keys, seed);
      return RunBlocks(share,
                       [&](std::uint64_t i, std::uint64_t) { return worker.Delete(order[i]); });
    }
    case Workload::kSync:
      return RunBlocks(share, [&](std::uint64_t i, std::uint64_t) {
        return worker.Put(share.first_key + i * share.measure.threads + share.thread);
      });
  }
  return {};
}

std::vector<Share> MakeShares(const Measure& measure, const RunParameters& parameters,
                              std::uint64_t first_key, std::span<const std::uint32_t> zipf,
                              std::atomic<bool>& failed) {
  std::vector<Share> shares(measure.threads);
  for (unsigned thread = 0; thread < measure.threads; ++thread) {
    Share& share = shares[thread];
    share = {.measure = measure,
             .thread = thread,
             .begin = parameters.keys * thread / measure.threads,
             .end = parameters.keys * (thread + 1) / measure.threads,
             .step = StepOf(measure.workload, parameters.value_bytes),
             .first_key = first_key,
             .parameters = &parameters,
             .failed = &failed,
             .zipf = zipf};
    if (measure.workload == Workload::kSustained && parameters.seconds > 0) share.end = UINT64_MAX;
    if (measure.workload != Workload::kSync) continue;
    share.begin = 0;
    share.end = parameters.keys / measure.threads;
  }
  return shares;
}

// All threads start together; one works in the calling thread.
WorkloadRun RunShares(const std::vector<Share>& shares, std::vector<Worker>& workers) {
  std::vector<WorkloadRun> runs(shares.size());
  const double cpu_start = CpuSeconds(CLOCK_PROCESS_CPUTIME_ID);
  auto start = Clock::now();
  if (shares.size() == 1) {
    runs[0] = RunShare(shares[0], workers[0]);
  } else {
    std::latch begin(static_cast<std::ptrdiff_t>(shares.size()) + 1);
    std::vector<std::jthread> threads;
    threads.reserve(shares.size());
    for (std::size_t i = 0; i < shares.size(); ++i) {
      threads.emplace_back([&, i] {
        begin.arrive_and_wait();
        runs[i] = RunShare(shares[i], workers[i]);
      });
    }
    start = Clock::now();
    begin.arrive_and_wait();
  }
  WorkloadRun total;
  total.seconds = SecondsSince(start);
  total.process_cpu_seconds = CpuSeconds(CLOCK_PROCESS_CPUTIME_ID) - cpu_start;
  for (const WorkloadRun& run : runs) {
    total.operations += run.operations;
    total.thread_cpu_seconds += run.thread_cpu_seconds;
    total.cut_short = total.cut_short || run.cut_short;
    total.latency.Merge(run.latency);
    total.thread_operations.push_back(run.operations);
  }
  return total;
}

}  // namespace

std::vector<std::uint32_t> ZipfDraws(std::uint64_t keys, std::uint64_t seed) {
  constexpr std::size_t kDrawnTogether = 4096;
  const auto trace = MakeTrace("zipf:0.99", static_cast<std::uint32_t>(keys), Mix(seed));
  std::vector<std::uint32_t> draws(keys);
  std::vector<Update> updates(kDrawnTogether);
  for (std::uint64_t at = 0; trace && at < keys; at += updates.size()) {
    updates.resize(std::min<std::uint64_t>(kDrawnTogether, keys - at));
    (*trace)->Next(updates);
    std::ranges::transform(updates, draws.begin() + static_cast<std::ptrdiff_t>(at), &Update::key);
  }
  return draws;
}

void History::Add(const Measure& measure, const RunParameters& parameters, const WorkloadRun& run) {
  const bool writes = InfoOf(measure.workload).writes_percent != 0;
  if (writes) ++newest_version_;
  entries_.push_back({.measure = measure,
                      .version = newest_version_,
                      .first_key = next_key_,
                      .thread_operations = run.thread_operations});
  if (measure.workload == Workload::kFill || measure.workload == Workload::kSync) {
    next_key_ += parameters.keys;
  }
}

Result<WorkloadRun> RunMeasure(Peer& peer, const Measure& measure, const RunParameters& parameters,
                               History& history) {
  std::vector<std::uint32_t> own_draws;
  std::span<const std::uint32_t> zipf;
  if (measure.workload == Workload::kZipfGet) {
    if (parameters.zipf == nullptr) own_draws = ZipfDraws(parameters.keys, parameters.seed);
    zipf = parameters.zipf == nullptr ? own_draws : *parameters.zipf;
  }
  std::atomic<bool> failed = false;
  const std::vector<Share> shares =
      MakeShares(measure, parameters, history.next_key(), zipf, failed);
  const std::uint64_t version = history.newest_version() + 1;
  const bool writes = InfoOf(measure.workload).writes_percent != 0;
  const VersionRange versions = {kFirstVersion, writes ? version : version - 1};
  std::vector<std::unique_ptr<PeerSession>> sessions;
  std::vector<Worker> workers;
  for (const Share& share : shares) {
    FREYJA_ASSIGN_OR_RETURN(std::unique_ptr<PeerSession> session, peer.NewSession());
    sessions.push_back(std::move(session));
    workers.emplace_back(*sessions.back(), parameters.seed, parameters.value_bytes, versions,
                         version, share.step);
  }
  WorkloadRun run = RunShares(shares, workers);
  for (const Worker& worker : workers) FREYJA_RETURN_IF_ERROR(worker.status());
  if (parameters.stop != nullptr && parameters.stop->load()) {
    return std::unexpected(Status(StatusCode::kCancelled, "interrupted"));
  }
  history.Add(measure, parameters, run);
  return run;
}

}  // namespace freyja::bench
