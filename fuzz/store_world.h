// A store on a disk in memory, driven by a fuzzer's bytes and held against the history of
// its writes (tests/support/history.h).
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "freyja/compaction.h"
#include "freyja/kv_store.h"
#include "fuzz/input.h"
#include "io/memory_file_system.h"
#include "support/crash_images.h"
#include "support/history.h"

namespace freyja::fuzz {

// The wrongs that a canary plants in the world, to see that its checks find them.
enum class Planted : std::uint8_t {
  kNothing,
  kUnsyncedIsCalledDurable,  // every write is expected to survive power loss
};

// Between two reopens a session is either sound, when every operation must succeed and crash
// images may be taken in the middle of operations, or faulty from the first injected fault
// on, when operations may fail but may not lie.
class StoreWorld {
 public:
  StoreWorld(Input& in, Planted planted);
  ~StoreWorld();
  StoreWorld(const StoreWorld&) = delete;
  StoreWorld& operator=(const StoreWorld&) = delete;

  void Step();
  // The last checks: what is there now, and after a reopen.
  void Finish();

 private:
  struct OpenIterator {
    Iterator iterator;
    support::Contents expected;
  };
  struct Pin {
    PinnedValue pin;
    std::string expected;
  };

  // One operation each.
  void Put();
  void Delete();
  void WriteBatchOfSome();
  void Get();
  void Sync();
  void Compact();
  void FinishCompaction();
  void OpenAnIterator();
  void CloseIterators();
  void PinAValue();
  void Reopen();
  void CrashNow();
  void ArmCrashInside();
  void InjectFault();
  void FillDisk();

  std::string AnyKey();
  std::string AnyValue(const std::string& key, std::size_t largest);
  WriteOptions AnySync();

  // Around a write: `attempt` returns its Status.
  template <typename Attempt>
  void DoWrite(support::Write write, const WriteOptions& options, Attempt attempt);
  void JudgeFailedWrite(support::Write write, const Status& status);
  void CheckContents(const char* where);
  void CheckAllowed(const Status& status, const char* what) const;
  bool IsSound() const { return !faulty_; }

  void Open(const char* when);
  void ReleaseReaders();
  // Goes on with what is found on `image`, which must be one of the allowed states.
  void ContinueOn(support::CrashedDisk image);
  void TakeImageInside();
  void StartOver(support::Contents base);

  Input& in_;
  const Planted planted_;
  std::shared_ptr<io::MemoryFileSystem> disk_;
  std::unique_ptr<KVStore> store_;
  std::unique_ptr<support::History> history_;
  Options options_;
  std::optional<CompactionJob> job_;
  std::vector<OpenIterator> iterators_;
  std::vector<Pin> pins_;
  std::uint64_t number_ = 0;  // of the last value made
  bool faulty_ = false;

  struct InsideCrash;
  std::shared_ptr<InsideCrash> inside_;
};

// Runs the whole input.
void RunStoreWorld(std::span<const std::byte> data, Planted planted);

}  // namespace freyja::fuzz
