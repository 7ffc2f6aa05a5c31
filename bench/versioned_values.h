// Values that say what they are, and what a reader may find: how the benchmark knows that an
// answer is right while a writer overwrites the keys.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace freyja::bench {

// Key number, version and checksum, eight bytes each.
inline constexpr std::size_t kFewestVersionedBytes = 24;

// Makes the values of one thread.
class VersionedValue {
 public:
  // At least kFewestVersionedBytes.
  explicit VersionedValue(std::size_t bytes);
  // Valid until the next call.
  std::string_view Make(std::uint64_t key, std::uint64_t version);

 private:
  std::string value_;
};

// The version of a value of `key`; empty if it is no whole value of that key.
std::optional<std::uint64_t> VersionOf(std::string_view value, std::uint64_t key);

enum class Verdict : std::uint8_t {
  kFine,
  kMissed,   // no answer for a key that is there
  kStale,    // older than what was acknowledged before the read began
  kCorrupt,  // no whole value of that key, or one that nobody wrote
};

// For each key the newest version that a writer began to write, and the newest one whose write
// has returned. Each key has one writer at a time. Thread-safe.
class VersionTable {
 public:
  explicit VersionTable(std::uint64_t keys) : begun_(keys), acknowledged_(keys) {}

  // Of the writer: the version to write, before the write, and after it has returned.
  std::uint64_t Begin(std::uint64_t key) { return begun_[key].fetch_add(1) + 1; }
  void Acknowledge(std::uint64_t key, std::uint64_t version) {
    acknowledged_[key].store(static_cast<std::uint32_t>(version));
  }

  // To be taken before a read begins, 0 if there is none, and given to Judge after it.
  std::uint64_t Acknowledged(std::uint64_t key) const { return acknowledged_[key].load(); }
  Verdict Judge(std::uint64_t key, std::uint64_t acknowledged_before, bool found,
                std::string_view value) const;

  std::uint64_t keys() const { return begun_.size(); }

 private:
  std::vector<std::atomic<std::uint32_t>> begun_;
  std::vector<std::atomic<std::uint32_t>> acknowledged_;
};

}  // namespace freyja::bench
