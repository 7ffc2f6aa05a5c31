// A whole store in memory whose readers, writers and compactions are controlled threads.
//
// engine::Store without its maintenance thread: what that does, the set-up does, and
// compactions take back by themselves. So every step of every thread is a controlled one.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "compaction/events.h"
#include "compaction/expiry.h"
#include "compaction/job.h"
#include "engine/store.h"
#include "io/memory_file_system.h"
#include "torture/schedules/recorder.h"

namespace freyja::torture::schedules {

// Mistakes for tests of the explorer.
enum class StorePlant : std::uint8_t {
  kNone,
  kReapAtOnce,   // a retired segment's bytes go although a reader may be at them
  kSwapsBlindly  // after the swap the copy is stored once more, whatever is there
};

class StoreWorld final : public World {
 public:
  using Body = std::function<void(StoreWorld&, std::size_t thread)>;
  struct Plan {
    std::function<void(StoreWorld&)> set_up;
    std::vector<Body> bodies;
    std::vector<std::string> absent;  // keys that the bodies use and the set-up doesn't
    // A change that must be seen whole or not at all by a walk: these keys at this version.
    std::vector<std::string> batch_keys;
    std::uint32_t batch_version = 0;
    bool keeps_replaced = false;  // so that it can be undone
  };

  // `reopens`: whether at the end the store is closed and opened again, and compared.
  StoreWorld(const Plan& plan, StorePlant plant, bool reopens);
  ~StoreWorld() override;

  std::vector<std::function<void()>> Bodies() override;
  void Watch(std::size_t thread, std::string_view point, const void* operand) override;
  std::vector<Finding> Judge() override;

  // --- For set-ups: before any thread runs ----------------------------------------------
  void Have(const std::string& key, std::uint32_t version);
  void HaveNot(const std::string& key);  // deletes it
  void HaveMany(std::size_t keys);       // one batch, of keys nobody looks at
  void Seal();
  // A compaction that UndoSetUp takes back.
  void HaveCompacted();
  // Fails every write to a new manifest from now on: swaps are refused at their commit.
  void RefuseManifests();

  // --- For bodies ----------------------------------------------------------------------
  void Get(const std::string& key, std::size_t thread);
  void MultiGet(const std::vector<std::string>& keys, std::size_t thread);
  // Reads it, holds it, reads it again and lets it go.
  void GetPinned(const std::string& key, std::size_t thread);
  // Opens an iterator, walks and closes it.
  void Walk(std::size_t thread);
  void Put(const std::string& key, std::uint32_t version, Sync sync, std::size_t thread);
  void PutBatch(std::size_t thread);
  void Delete(const std::string& key, std::size_t thread);
  // One hot swap of all that is garbage, then takes back what it can.
  void Compact(bool must_fail, std::size_t thread);
  // As a job of the scheduler that finds most of the garbage in the log: the active segment is
  // sealed first.
  void CompactAsScheduled(std::size_t thread);
  void UndoSetUp();
  void TakeBack();

 private:
  struct Guard {
    std::size_t thread;
    const void* slot;
    std::uint64_t since;
  };

  void Check(const Status& status, const char* what);
  // What `value` is of `key`; wrong if nobody wrote it.
  Version VersionOf(const std::string& key, std::string_view value);
  void AddRead(const std::string& key, std::size_t thread, std::uint64_t begin, Version version,
               std::uint64_t end);
  void PlantAfterSwap(const std::vector<engine::Segment*>& were_sealed);
  void JudgeWalk(const std::map<std::string, Version>& seen);
  void JudgeStore();
  void JudgeReopened();

  const Plan& plan_;
  const StorePlant plant_;
  const bool reopens_;
  engine::Environment environment_;
  std::shared_ptr<io::MemoryFileSystem> fs_;
  compaction::EventDispatcher events_;
  std::unique_ptr<engine::Store> store_;
  std::unique_ptr<compaction::ExpiryClock> expiry_;
  Recorder recorder_;
  std::uint64_t keys_nobody_looks_at_ = 0;
  std::vector<Guard> guards_;  // of the controlled threads, now
  std::uint64_t stamped_at_ = 0;
  std::vector<std::pair<const void*, std::uint64_t>> retired_;  // segments, and when
  std::vector<std::pair<std::string, Version>> at_end_;         // what the last gets saw
};

}  // namespace freyja::torture::schedules
