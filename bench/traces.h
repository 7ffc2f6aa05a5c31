// Traces of updates for the compaction simulator: which key is written or deleted next.
#pragma once

#include <cstdint>
#include <expected>
#include <istream>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace freyja::bench {

struct Update {
  std::uint32_t key = 0;
  bool is_delete = false;
};

// Keys that are updated at one rate: their share of all keys, and of all updates.
struct RateGroup {
  double keys = 0;
  double updates = 0;
};

// An endless sequence of updates; one that ends by nature starts again.
class Trace {
 public:
  virtual ~Trace() = default;
  virtual void Next(std::span<Update> updates) = 0;

  // Keys are below this.
  virtual std::uint32_t keys() const = 0;
  // Updates after which a trace read from a file starts again; 0: it was generated.
  virtual std::uint64_t period() const { return 0; }
  // Empty where keys have no rates of their own.
  virtual std::vector<RateGroup> rates() const { return {}; }
};

// "uniform"; "zipf:T" with 0 < T <= 3, keys in scrambled order; "hot-cold", 90 % of the
// updates to 10 % of the keys; "sequential", in the order of the keys, round and round;
// "bulk-delete", which deletes one eighth of the keys, puts them again and updates half as
// many keys as there are at random, then goes on with the next eighth.
// One seed gives each key one rate; `stream` gives other updates at the same rates. The error
// says what is wrong.
std::expected<std::unique_ptr<Trace>, std::string> MakeTrace(std::string_view name,
                                                             std::uint32_t keys, std::uint64_t seed,
                                                             std::uint64_t stream = 0);
std::vector<std::string> TraceNames();

// One key per line, any bytes; a leading '-' deletes the key that follows it, which need not
// be there; empty lines are skipped. The error names the line.
std::expected<std::unique_ptr<Trace>, std::string> ReadTrace(std::istream& in);

}  // namespace freyja::bench
