// What the outside can see and say of a job.
#pragma once

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string_view>

#include "base/mutex.h"
#include "compaction/throttle.h"
#include "freyja/compaction.h"

namespace freyja::compaction {

// Whether a job that ended so was stopped, and not by a failure.
inline bool WasStopped(const Status& status) {
  return status.code() == StatusCode::kCancelled || status.code() == StatusCode::kTimedOut ||
         status.code() == StatusCode::kClosed;
}

// Shared by the job's thread and its handles. Thread-safe.
class JobState {
 public:
  JobState(std::uint64_t id, HotSwapConfig config)
      : JobState(id, std::move(config), std::make_shared<Throttle>()) {}
  JobState(std::uint64_t id, HotSwapConfig config, std::shared_ptr<Throttle> throttle,
           std::uint64_t undoes = 0)
      : id_(id), config_(std::move(config)), throttle_(std::move(throttle)), undoes_(undoes) {}

  std::uint64_t id() const { return id_; }
  const HotSwapConfig& config() const { return config_; }
  Throttle& throttle() const { return *throttle_; }
  // Id of the job that this one undoes; 0: it is a compaction.
  std::uint64_t undoes() const { return undoes_; }

  void Cancel() { cancelled_.store(true); }
  bool cancelled() const { return cancelled_.load(); }

  // `phase` must be a literal.
  void SetPhase(const char* phase) { phase_.store(phase); }
  void SetTotal(std::uint64_t bytes) { bytes_total_.store(bytes); }
  void AddDone(std::uint64_t bytes) { bytes_done_.fetch_add(bytes); }
  CompactionProgress Progress() const {
    return {.phase = phase_.load(),
            .bytes_total = bytes_total_.load(),
            .bytes_done = std::min(bytes_done_.load(), bytes_total_.load())};
  }

  void Finish(Result<CompactionReport> result) FREYJA_EXCLUDES(mutex_) {
    SetPhase(result ? "completed" : "failed");
    base::MutexLock lock(mutex_);
    result_ = std::move(result);
    finished_.NotifyAll();
  }

  Result<CompactionReport> Wait() FREYJA_EXCLUDES(mutex_) {
    base::MutexLock lock(mutex_);
    while (!result_) finished_.Wait(mutex_);
    return *result_;
  }

  std::optional<Result<CompactionReport>> WaitFor(std::chrono::milliseconds timeout)
      FREYJA_EXCLUDES(mutex_) {
    constexpr std::chrono::milliseconds kLongest = std::chrono::hours(24 * 365);  // no overflow
    const auto deadline = std::chrono::steady_clock::now() + std::min(timeout, kLongest);
    base::MutexLock lock(mutex_);
    while (!result_) {
      const auto rest = deadline - std::chrono::steady_clock::now();
      if (rest.count() <= 0) return std::nullopt;
      finished_.WaitFor(mutex_, rest);
    }
    return result_;
  }

 private:
  const std::uint64_t id_;
  const HotSwapConfig config_;
  const std::shared_ptr<Throttle> throttle_;
  const std::uint64_t undoes_;
  std::atomic<bool> cancelled_{false};
  std::atomic<const char*> phase_{"queued"};
  std::atomic<std::uint64_t> bytes_total_{0};
  std::atomic<std::uint64_t> bytes_done_{0};
  base::Mutex mutex_;
  base::CondVar finished_;
  std::optional<Result<CompactionReport>> result_ FREYJA_GUARDED_BY(mutex_);
};

}  // namespace freyja::compaction
