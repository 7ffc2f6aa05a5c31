// The demo's writing threads.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>

#include "demo_context.h"

namespace freyja::cli {

// Rewrites and deletes the keys of its own share (key index modulo writers) in rounds,
// at the given rate, until told to stop. Four writes of five go to the round's hot range.
class DemoWriter {
 public:
  DemoWriter(DemoContext& context, unsigned number);

  void Run();  // on a thread of its own

  // Any thread may look at these meanwhile.
  Counter writes;            // puts
  Counter deletes;           // calls of Delete
  Counter bytes;             // of the keys and values of both
  VerdictCounters verdicts;  // of what Delete said about the key's presence
  PhaseLatencies latencies;

 private:
  void BeginRound();
  std::size_t PickKey();
  void WriteOne();
  void KeepToRate();

  DemoContext& context_;
  const unsigned number_;
  FastRandom random_;
  std::string buffer_;
  std::size_t hot_begin_ = 0;
  std::chrono::steady_clock::time_point start_;
};

// Puts the first version of every key. Ends early, without an error, once `stop` says so;
// the keys that are left are absent to the model, too. `loaded` counts the records.
[[nodiscard]] Status LoadRecords(DemoContext& context, const std::function<bool()>& stop,
                                 Counter& loaded);

}  // namespace freyja::cli
