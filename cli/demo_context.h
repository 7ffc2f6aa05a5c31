// What the demo's threads share while it runs.
#pragma once

#include <array>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <mutex>

#include "demo_model.h"
#include "demo_options.h"
#include "freyja/kv_store.h"
#include "latency_histogram.h"

namespace freyja::cli {

// Latencies are recorded in the first two only: windows in which compaction is held
// off, and the time in which a job runs, under the same load.
enum class DemoPhase : std::uint8_t { kIdle, kCompacting, kOther };

inline std::uint64_t NanosecondsBetween(std::chrono::steady_clock::time_point begin,
                                        std::chrono::steady_clock::time_point end) {
  return static_cast<std::uint64_t>(
      std::chrono::duration_cast<std::chrono::nanoseconds>(end - begin).count());
}

// A count that one thread raises and any thread may read.
class Counter {
 public:
  void Add(std::uint64_t more) {
    // Relaxed: a single writer, and no reader orders anything by it.
    count_.store(count_.load(std::memory_order_relaxed) + more, std::memory_order_relaxed);
  }
  std::uint64_t get() const { return count_.load(std::memory_order_relaxed); }

 private:
  std::atomic<std::uint64_t> count_{0};
};

// The first error that ends the run. Thread-safe.
class FirstError {
 public:
  void Set(const Status& error) {
    const std::lock_guard lock(mutex_);
    if (error_.ok()) error_ = error;
    failed_.store(true);
  }
  bool failed() const { return failed_.load(); }
  Status Get() const {
    const std::lock_guard lock(mutex_);
    return error_;
  }

 private:
  std::atomic<bool> failed_{false};
  mutable std::mutex mutex_;
  Status error_;
};

struct DemoContext {
  KVStore& store;
  DemoModel& model;
  const DemoOptions& options;
  std::atomic<DemoPhase> phase{DemoPhase::kOther};
  std::atomic<bool> stop_writers{false};
  std::atomic<bool> stop_readers{false};
  // First key of the range that is rewritten most in this round; see HotRangeLength.
  std::atomic<std::size_t> hot_begin{0};
  std::atomic<std::uint64_t> round{0};
  FirstError error;
};

// One key in five is in the round's hot range, which wraps around at the last key.
inline std::size_t HotRangeLength(std::size_t keys) { return keys / 5 + 1; }

struct VerdictCounters {
  Counter missed;
  Counter stale;
  Counter corrupt;

  void Count(Verdict verdict) {
    if (verdict == Verdict::kMissed) missed.Add(1);
    if (verdict == Verdict::kStale) stale.Add(1);
    if (verdict == Verdict::kCorrupt) corrupt.Add(1);
  }
};

// Latencies by phase. An operation during which the phase changed counts in none.
class PhaseLatencies {
 public:
  void Record(DemoPhase before, DemoPhase after, std::uint64_t nanoseconds) {
    if (before == after && before != DemoPhase::kOther) {
      histograms_[static_cast<std::size_t>(before)].Record(nanoseconds);
    }
  }
  const LatencyHistogram& of(DemoPhase phase) const {
    return histograms_[static_cast<std::size_t>(phase)];
  }
  void Merge(const PhaseLatencies& other) {
    for (std::size_t i = 0; i < histograms_.size(); ++i) histograms_[i].Merge(other.histograms_[i]);
  }

 private:
  std::array<LatencyHistogram, 2> histograms_;
};

// xorshift64*: fast enough not to show beside a read.
class FastRandom {
 public:
  explicit FastRandom(std::uint64_t seed) : state_(MixBits(seed) | 1) {}
  std::uint64_t Next() {
    state_ ^= state_ >> 12;
    state_ ^= state_ << 25;
    state_ ^= state_ >> 27;
    return state_ * 0x2545f4914f6cdd1d;
  }
  // Even over 0 to `bound` - 1, which must be less than 2^32.
  std::size_t Below(std::size_t bound) { return (Next() >> 32) * bound >> 32; }

 private:
  std::uint64_t state_;
};

}  // namespace freyja::cli
