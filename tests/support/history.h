// The oracle of the crash tests: every write in order, and which states a store may be
// found in after a crash.
//
// A write is one put, one delete or one batch. The states are those after the first n
// writes, whole batches only; nothing else may ever be recovered. How small n may be
// depends on the crash: everything durable for a power loss, everything acknowledged for
// the death of the process. How large: everything begun.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace freyja::support {

using Contents = std::map<std::string, std::string>;

struct Change {
  std::string key;
  std::optional<std::string> value;  // empty: deleted
};
using Write = std::vector<Change>;  // applied as one

// A value that says which key and write it belongs to, and ends in a checksum. `bytes` is
// raised to the smallest size possible.
std::string MakeValue(std::string_view key, std::uint64_t number, std::size_t bytes);
// Whether MakeValue made it, for this key.
bool IsValueOf(std::string_view key, std::string_view value);

// Numbers of writes.
struct Bounds {
  std::size_t at_least = 0;
  std::size_t at_most = 0;
};

// Thread safety: one thread writes and judges; the counts may be read by any.
class History {
 public:
  explicit History(Contents base) : base_(std::move(base)), newest_(base_) {}

  // Before the store is asked; the write may be found from now on.
  void Begin(Write write);
  // All that was begun has been acknowledged.
  void Acknowledge() { acknowledged_.store(begun_.load()); }
  // All that was begun survives a power loss. It has been acknowledged, too.
  void MakeDurable();

  std::size_t begun() const { return begun_.load(); }
  std::size_t acknowledged() const { return acknowledged_.load(); }
  std::size_t durable() const { return durable_.load(); }
  // The state after all writes.
  const Contents& newest() const { return newest_; }

  Contents StateAfter(std::size_t writes) const;
  // A number of writes within the bounds after which the state is exactly `found`.
  std::optional<std::size_t> FindPrefix(const Contents& found, Bounds bounds) const;
  // Empty if `found` may be found; else what is wrong with it.
  std::string Judge(const Contents& found, Bounds bounds) const;

 private:
  // Calls visit(n, number of keys that differ) for each n within the bounds.
  template <typename Visit>
  void CompareAll(const Contents& found, Bounds bounds, Visit visit) const;

  const Contents base_;
  std::vector<Write> writes_;
  Contents newest_;
  std::atomic<std::size_t> begun_{0};
  std::atomic<std::size_t> acknowledged_{0};
  std::atomic<std::size_t> durable_{0};
};

// The keys in which two states differ, with the writes the values are from; the first few.
std::string Differences(const Contents& expected, const Contents& found);

}  // namespace freyja::support
