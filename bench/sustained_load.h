// The threads of the scheduler benchmark: one writer and some readers, at steady rates.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "freyja/kv_store.h"
#include "keys_values.h"
#include "paced_load.h"
#include "scheduler_benchmark.h"
#include "slices.h"
#include "traces.h"
#include "versioned_values.h"

namespace freyja::bench {

// Draws keys from a trace, many at a time.
class KeyDraw {
 public:
  // kInvalidArgument: no such distribution, or it deletes.
  static Result<KeyDraw> Make(const SchedulerPlan& plan, std::uint64_t stream);
  std::uint32_t Next();

 private:
  explicit KeyDraw(std::unique_ptr<Trace> trace) : trace_(std::move(trace)) {}

  std::unique_ptr<Trace> trace_;
  std::vector<Update> updates_ = std::vector<Update>(256);
  std::size_t at_ = updates_.size();
};

// What makes keys and values of a store, and what is known of it.
struct Contents {
  explicit Contents(const SchedulerPlan& plan)
      : seed(plan.seed), value_bytes(plan.value_bytes), versions(plan.keys) {}
  const std::uint64_t seed;
  const std::size_t value_bytes;
  VersionTable versions;
};

// Puts the next version of keys. Of one thread.
class VersionedWriter {
 public:
  VersionedWriter(KVStore& store, Contents& contents)
      : store_(store), contents_(contents), keys_(contents.seed), value_(contents.value_bytes) {}
  [[nodiscard]] Status Put(std::uint64_t key);

 private:
  KVStore& store_;
  Contents& contents_;
  KeyMaker keys_;
  VersionedValue value_;
};

// Gets keys and judges the answers. Of one thread.
class CheckedReader {
 public:
  CheckedReader(const KVStore& store, const Contents& contents)
      : store_(store), contents_(contents), keys_(contents.seed) {}
  // Errors of the store other than kCorruption, which counts as an answer.
  [[nodiscard]] Status Get(std::uint64_t key);
  const Answers& answers() const { return answers_; }

 private:
  const KVStore& store_;
  const Contents& contents_;
  KeyMaker keys_;
  std::string value_;
  Answers answers_;
};

struct LoadTotals {
  std::uint64_t operations = 0;
  std::uint64_t ended_on = 0;   // within a slice with compaction on
  std::uint64_t ended_off = 0;  // with compaction paused
  void Merge(const LoadTotals& other);
};

// Sorts one thread's operations into slices.
class SliceRecorder {
 public:
  SliceRecorder(const Timeline& timeline, SliceCollector& collector)
      : timeline_(timeline), collector_(collector), sample_(std::make_unique<SliceSample>()) {}
  // In the order of `due`.
  void Record(SteadyClock::time_point due, SteadyClock::time_point began,
              SteadyClock::time_point ended, bool beside_job);
  // To be called at the end of the last slice, if that was reached.
  void Flush();
  const LoadTotals& totals() const { return totals_; }

 private:
  const Timeline timeline_;
  SliceCollector& collector_;
  std::unique_ptr<SliceSample> sample_;
  std::size_t slice_ = 0;
  LoadTotals totals_;
};

// Runs from construction until Join. The store must stay open meanwhile.
class SustainedLoad {
 public:
  // Draws are made before, so that the threads start at once.
  struct Draws {
    KeyDraw writer;
    std::vector<KeyDraw> readers;
  };
  static Result<Draws> MakeDraws(const SchedulerPlan& plan);

  SustainedLoad(const SchedulerPlan& plan, KVStore& store, Contents& contents, Draws draws,
                const Timeline& timeline, SteadyClock::time_point end,
                const std::atomic<bool>& job_at_work);
  ~SustainedLoad();
  SustainedLoad(const SustainedLoad&) = delete;
  SustainedLoad& operator=(const SustainedLoad&) = delete;

  // Ends it early.
  void Stop() { halt_.store(true); }
  // So did an error of a thread.
  bool stopped() const { return halt_.load(); }
  // Waits for the threads; the first error.
  [[nodiscard]] Status Join();

  // After Join.
  OperationFigures reads() const;
  OperationFigures writes() const;
  Answers answers() const { return answers_; }
  // Of the operations with compaction on, the share that began while a job was at work.
  double job_share() const;

 private:
  template <typename Operation>
  LoadTotals Run(double per_second, double phase, SliceCollector& collector, Operation operation);
  void Write(KeyDraw draw, double per_second);
  void Read(KeyDraw draw, double per_second, double phase);
  void Fail(const Status& status);
  OperationFigures FiguresOf(const SliceCollector& collector, const LoadTotals& totals) const;

  KVStore& store_;
  Contents& contents_;
  const Timeline timeline_;
  const SteadyClock::time_point end_;
  const std::atomic<bool>& job_at_work_;
  SliceCollector read_slices_;
  SliceCollector write_slices_;
  std::atomic<bool> halt_ = false;

  std::mutex mutex_;
  // Guarded by mutex_ while the threads run.
  Status status_;
  Answers answers_;
  LoadTotals read_totals_;
  LoadTotals write_totals_;
  SteadyClock::time_point ended_;

  std::vector<std::thread> threads_;
};

}  // namespace freyja::bench
