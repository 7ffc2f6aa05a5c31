// Readers, writers, pins and iterators through one hot swap after another. Every value
// read is held against what was acknowledged before the read and begun before its end.
#pragma once

#include <atomic>
#include <cstdint>
#include <string>
#include <vector>

#include "freyja/compaction.h"
#include "freyja/kv_store.h"
#include "torture/report.h"

namespace freyja::torture {

// Counts swaps, reads and reads_during_swap: reads that overlapped the time between the
// commit of a hot swap and its last published location.
void RunSwaps(const Settings& settings, Report& report);

// The load on one store, which holds nothing that others wrote.
class SwapLoad {
 public:
  static constexpr std::uint32_t kWriters = 2;

  SwapLoad(KVStore& store, std::uint32_t keys, std::uint64_t seed, Report& report)
      : store_(store), seed_(seed), report_(report), keys_(keys) {}

  // Until so many swaps are done, or the deadline is over, or something is wrong.
  // `undoes`: every fifth compaction is taken back, too. A store whose scheduler is on compacts by
  // itself, and nothing else makes it.
  void Run(std::uint64_t swaps, bool undoes, const Deadline& deadline);
  // With all writers gone: the store holds exactly the last versions.
  void CheckFinalState();

 private:
  void Compact(std::uint64_t swaps, bool undoes, const Deadline& deadline);
  void LetCompact(std::uint64_t swaps, const Deadline& deadline);
  bool Undo(HotSwapCompactor& compactor, std::uint64_t job_id);
  // One key's versions: begun before a write is called, acknowledged after it returned.
  struct KeyState {
    std::atomic<std::uint64_t> begun{0};
    std::atomic<std::uint64_t> acknowledged{0};
    // Batches that write the key twice. Between the two counts the first value can be read
    // for a moment, and the key is not judged.
    std::atomic<std::uint64_t> batches_begun{0};
    std::atomic<std::uint64_t> batches_ended{0};
  };

  void WriteLoop(std::uint32_t writer);
  Status WriteVersion(std::uint32_t key, std::uint64_t version, std::uint64_t dice);
  void ReadLoop(std::uint64_t seed);
  void IterateLoop();
  void IterateOnce();
  Result<bool> Read(std::uint32_t key, std::uint64_t dice, std::string& value) const;
  // What a read between two moments may have found.
  void Judge(std::uint32_t key, const std::string* value, std::uint64_t first, std::uint64_t last,
             bool in_batch);
  void Wrongly(Wrong wrong, const std::string& what);

  KVStore& store_;
  const std::uint64_t seed_;
  Report& report_;
  std::vector<KeyState> keys_;
  std::atomic<bool> stop_{false};
  bool bounded_ = false;  // before the threads start
  std::atomic<std::uint64_t> writes_since_job_{0};
};

}  // namespace freyja::torture
