// The workloads, the keys and values they use, and one timed run of one of them.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "freyja/status.h"
#include "histogram.h"
#include "peer.h"

namespace freyja::bench {

inline constexpr std::size_t kKeyBytes = 16;

enum class Workload : std::uint8_t { kFill, kGet, kMissingGet, kOverwrite };
inline constexpr std::array kAllWorkloads = {Workload::kFill, Workload::kGet, Workload::kMissingGet,
                                             Workload::kOverwrite};
// "fill", "get", "miss", "overwrite"
std::string_view WorkloadName(Workload workload);
std::optional<Workload> WorkloadFromName(std::string_view name);

// Bijective: different inputs give different outputs.
std::uint64_t Mix(std::uint64_t x);

// Random numbers for the order in which keys are visited.
class Sequence {
 public:
  explicit Sequence(std::uint64_t seed) : state_(Mix(seed)) {}
  // Uniform in [0, bound).
  std::uint64_t Below(std::uint64_t bound);

 private:
  std::uint64_t state_;
};

// Key number i is 16 bytes that look random, so that neither the order of writing nor
// any other visits neighbours. No present key equals a missing one.
class KeyMaker {
 public:
  explicit KeyMaker(std::uint64_t seed) : seed_(seed) {}
  // Valid until the next call.
  std::string_view Present(std::uint64_t index) { return Make(index); }
  std::string_view Missing(std::uint64_t index) { return Make(index | std::uint64_t{1} << 63); }

 private:
  std::string_view Make(std::uint64_t number);

  std::uint64_t seed_;
  std::array<char, kKeyBytes> key_{};
};

// The value of key i in version v starts and ends with eight bytes that depend on both.
class ValueMaker {
 public:
  explicit ValueMaker(std::size_t bytes);
  // Valid until the next call.
  std::string_view Make(std::uint64_t index, std::uint64_t version);
  bool Verify(std::string_view value, std::uint64_t index, std::uint64_t version) const;

 private:
  std::string value_;
};

struct RunParameters {
  std::uint64_t keys = 0;
  std::size_t value_bytes = 0;
  std::uint64_t seed = 0;
  double seconds = 0;          // a run other than a fill ends after that; 0: no bound
  unsigned latency_every = 0;  // time single operations in one block of so many; 0: none
  const std::atomic<bool>* stop = nullptr;
};

struct WorkloadRun {
  std::uint64_t operations = 0;
  double seconds = 0;
  double cpu_seconds = 0;  // of the calling thread; background threads are not in it
  bool cut_short = false;  // by RunParameters::seconds
  Histogram latency;       // in ticks, of the operations that were timed singly

  double PerSecond() const { return static_cast<double>(operations) / seconds; }
};

// Runs `workload` once: as many operations as there are keys, one call each, every value
// read checked. kCancelled: *stop was set; kCorruption: the store gave a wrong answer.
[[nodiscard]] Result<WorkloadRun> RunWorkload(Peer& peer, Workload workload,
                                              const RunParameters& parameters);

// Untimed. After kFill and, if `overwritten`, a kOverwrite of so many operations: reads
// a sample of the keys and checks the version of each, then deletes some and misses them.
[[nodiscard]] Status CheckContents(Peer& peer, const RunParameters& parameters,
                                   std::uint64_t overwrites);

}  // namespace freyja::bench
