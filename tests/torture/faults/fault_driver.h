// Runs a workload on a store whose disk fails, and holds every answer against the oracle.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "freyja/compaction.h"
#include "freyja/kv_store.h"
#include "io/memory_file_system.h"
#include "support/test_settings.h"
#include "torture/faults/fault_kinds.h"
#include "torture/faults/fault_oracle.h"
#include "torture/report.h"
#include "torture/woken_scheduler.h"

namespace freyja::torture {

struct DriverSetup {
  Options options;
  std::uint64_t seed = 1;
  // For the tests of the checker: the driver takes every write for durable at once, or looks
  // away when a call fails.
  bool plant_durable_claim = false;
  bool plant_ignored_error = false;
};

// Not thread-safe. A step on a store that could not be opened does nothing.
class Driver {
 public:
  Driver(DriverSetup setup, Injector& injector);
  ~Driver();
  Driver(const Driver&) = delete;
  Driver& operator=(const Driver&) = delete;

  // --- The steps of workloads ---------------------------------------------------------
  void Open();
  void Put(int key, std::size_t bytes, Sync sync = Sync::kDefault);
  void Delete(int key, Sync sync = Sync::kDefault);
  // Puts and deletes, by turns, of `count` keys from `first` on.
  void Batch(int first, int count, Sync sync = Sync::kDefault);
  void SyncAll();
  // Rolls, and seals what is full.
  void Seal();
  void Compact(HotSwapConfig config);
  // Stores opened from here on keep what compactions replace.
  void KeepReplaced() { setup_.options.quarantine.keep_for = std::chrono::hours(1); }
  // Stores opened from here on compact by themselves, when they are told to look.
  void Schedule() { setup_.options.scheduler = WokenOptions(); }
  // The store compacts by itself until it has nothing left to do, or two jobs have failed.
  void LetSchedulerCompact();
  // It has to take less space, so that it gives up what is in quarantine.
  void LetSchedulerMakeRoom();
  // Of the last job that replaced something.
  void Undo();
  void EndQuarantine();
  // An iterator is opened now, and walked at WalkIterator.
  void OpenIterator();
  void WalkIterator();
  void CheckReads();
  void Verify();
  void Close();
  // The process dies; the next one opens.
  void KillAndOpen();

  support::Dice& dice() { return dice_; }

  // --- Afterwards ---------------------------------------------------------------------
  // Closes, and opens the disk without faults: as it was found after the death of the process
  // or a power cut before and after closing, and as it is. To be called once.
  void Finish();

  const std::vector<Verdict>& problems() const { return problems_; }
  std::uint64_t reopens() const { return reopens_; }
  std::uint64_t swaps() const { return swaps_; }
  std::uint64_t rotations() const { return rotations_; }         // by the scheduler
  std::uint64_t failed_by_itself() const { return by_itself_; }  // jobs of the scheduler
  bool turned_read_only() const { return turned_read_only_; }

 private:
  struct Image {
    std::shared_ptr<io::MemoryFileSystem> disk;
    support::Bounds bounds;
    std::string when;
  };

  void Problem(Wrong wrong, std::string what);
  // That an error is one that the fault explains.
  void CheckError(const Status& error, std::string_view call);
  void Write(support::Write write, bool sync, std::string_view call,
             const std::function<Status()>& act);
  void WaitFor(const Result<CompactionJob>& job, std::string_view call);
  void TakeRun(const SchedulerRun& run);
  bool Durable(Sync sync) const;
  std::string NewValue(const std::string& key, std::size_t bytes);
  bool TryOpen();
  void Adopt();
  // Ends the store that is open, which may not be closed yet, and checks that a failure that
  // nobody was told of is to be seen in its statistics and events.
  void EndSession();
  bool OnlyHarmlessFired();
  void Take(std::vector<Image>& images, io::CrashOptions::Mode mode, support::Bounds bounds,
            std::string when);
  void LetWriteBackErrorShow();
  void Judge(const Image& image);

  DriverSetup setup_;
  Injector& injector_;
  support::Dice dice_;
  std::shared_ptr<io::MemoryFileSystem> disk_;
  std::unique_ptr<KVStore> store_;
  FaultOracle oracle_{{}};
  std::uint64_t number_ = 0;
  std::set<std::string> keys_;

  std::optional<Iterator> iterator_;
  support::Contents at_iterator_;

  // Of the session.
  std::uint64_t failed_jobs_ = 0;
  std::shared_ptr<std::atomic<std::uint64_t>> failure_events_;

  bool learned_ = false;  // some call or statistic has told of a failure
  bool turned_read_only_ = false;
  std::uint64_t reopens_ = 0;
  std::uint64_t swaps_ = 0;
  std::uint64_t rotations_ = 0;
  std::uint64_t by_itself_ = 0;
  std::uint64_t last_job_ = 0;  // 0: none
  std::vector<Verdict> problems_;
};

}  // namespace freyja::torture
