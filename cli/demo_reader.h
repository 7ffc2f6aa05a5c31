// The demo's reading threads: every answer is judged by the model.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>

#include "demo_context.h"
#include "freyja/iterator.h"

namespace freyja::cli {

// Reads keys at random, without pause, until told to stop: most with Get into a reused
// buffer, some pinned, some many at once. Half of them go to the hot range.
class DemoReader {
 public:
  DemoReader(DemoContext& context, unsigned number);

  void Run();  // on a thread of its own

  // Any thread may look at these meanwhile.
  Counter reads;
  Counter reads_during_swap;
  VerdictCounters verdicts;
  PhaseLatencies latencies;  // of Get only

 private:
  std::size_t PickKey();
  void ReadOne();
  void ReadPinned();
  void ReadMany();
  void CheckHeldPin();
  // Counts reads between two values of KVStore::SwapCounter.
  void CountReads(std::uint64_t number, std::uint64_t swap_before, std::uint64_t swap_after);
  // An error in place of an answer: corruption is counted, anything else ends the run.
  void CountError(std::size_t key_index, const Status& error);

  DemoContext& context_;
  FastRandom random_;
  std::string buffer_;
  std::optional<PinnedValue> held_pin_;  // kept over many reads, then looked at again
  std::size_t held_pin_key_ = 0;
  std::uint64_t operations_ = 0;
};

// Walks the whole store with an iterator once a round, and at least every other second.
class DemoWalker {
 public:
  explicit DemoWalker(DemoContext& context) : context_(context) {}

  void Run();  // on a thread of its own

  Counter walks;
  VerdictCounters verdicts;

 private:
  void Walk();

  DemoContext& context_;
};

}  // namespace freyja::cli
