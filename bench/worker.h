// Single operations on a store, each with its answer checked.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "keys_values.h"
#include "measures.h"
#include "peer.h"

namespace freyja::bench {

// The keys that one thread of a measure visits. The same arguments give the same keys.
class Visits {
 public:
  Visits(const Measure& measure, unsigned thread, std::uint64_t keys, std::uint64_t seed);

  std::uint64_t Next() { return sequence_.Below(keys_); }
  // Asked before Next by those that read and write.
  bool NextWrites() { return sequence_.Below(100) < writes_percent_; }

 private:
  Sequence sequence_;
  std::uint64_t keys_;
  std::uint64_t writes_percent_;
};

// One thread's keys, values and buffers, and the first answer that was wrong. Every operation
// returns false if its answer was.
class Worker {
 public:
  // Puts values of `version` and accepts values of `versions`. `step`: keys of a call, at most.
  Worker(PeerSession& session, std::uint64_t seed, std::size_t value_bytes, VersionRange versions,
         std::uint64_t version, std::uint64_t step = 1);

  bool Put(std::uint64_t index);
  bool Get(std::uint64_t index) { return Get(index, versions_); }
  bool Get(std::uint64_t index, VersionRange versions);
  bool Miss(std::uint64_t index);
  bool MissPresent(std::uint64_t index);  // a key that was deleted
  bool Delete(std::uint64_t index);
  bool MultiGet(Visits& visits, std::uint64_t count);
  bool PutBatch(Visits& visits, std::uint64_t count);

  const Status& status() const { return status_; }

 private:
  bool Wrong(Outcome outcome, std::string_view call, std::uint64_t index);

  PeerSession& session_;
  const VersionRange versions_;
  const std::uint64_t version_;
  KeyMaker keys_;
  ValueMaker values_;
  std::string buffer_;
  // Of one call with several keys.
  std::vector<std::uint64_t> indices_;
  std::vector<KeyMaker> batch_keys_;
  std::vector<ValueMaker> batch_values_;
  std::vector<std::string_view> views_;
  std::vector<KeyValue> entries_;
  std::vector<Answer> answers_;
  Status status_;
};

}  // namespace freyja::bench
