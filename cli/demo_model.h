// DemoModel: what every key of the demo's store may hold at every moment.
//
// The checker is exact, not a heuristic:
//   1. The state of a key is a version number. Version 0 is "absent", version 1 the
//      loaded record; whether a later version is a delete is a pure function of (seed,
//      key, version), and so are the bytes of a version that isn't. Hence a range of
//      versions says exactly which answers are right; no history is kept.
//   2. Each key has one writer. It announces a version (StartWrite), does the write and
//      acknowledges it (FinishWrite), so that versions take effect one after another.
//   3. A reader notes the lowest version it may see before its read (BeginRead), and the
//      highest one announced after it (EndRead). An answer of a version in that range
//      is right, an older one is stale, an absence without a delete in the range is a
//      miss, and bytes that are no version's bytes are corrupt.
//   4. A version that a finished read returned counts as the lowest one of the reads
//      that begin later, too, even while its write isn't acknowledged: two reads, one
//      after the other, can't see new and then old. With one writer per key, 3 and 4
//      together are linearizability of each key.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "dataset.h"

namespace freyja::cli {

enum class Verdict : std::uint8_t { kRight, kMissed, kStale, kCorrupt };

// Bytes that a value is longer than its record's text, at most.
inline constexpr std::size_t kMaxDemoTrailerBytes = 160;

// Well-mixed bits of `value`: the finaliser of splitmix64.
constexpr std::uint64_t MixBits(std::uint64_t value) {
  value += 0x9e3779b97f4a7c15;
  value = (value ^ (value >> 30)) * 0xbf58476d1ce4e5b9;
  value = (value ^ (value >> 27)) * 0x94d049bb133111eb;
  return value ^ (value >> 31);
}

// Thread safety: BeginRead, EndRead and all const members from any thread;
// StartWrite and FinishWrite of one key from one thread at a time.
class DemoModel {
 public:
  struct ReadTicket {
    std::size_t key_index = 0;
    std::uint32_t lowest = 0;
  };

  // `dataset` must outlive the model. `delete_percent` of the versions are deletes.
  DemoModel(const Dataset& dataset, std::uint64_t seed, unsigned delete_percent = 12);

  std::size_t size() const { return keys_.size(); }
  std::string_view key(std::size_t key_index) const { return records_[key_index].key; }
  std::optional<std::size_t> Find(std::string_view key) const;

  bool IsDelete(std::size_t key_index, std::uint32_t version) const;
  // The bytes of a version that is no delete, put into `value`.
  void BuildValue(std::size_t key_index, std::uint32_t version, std::string& value) const;

  // The version to write now. It counts as possibly visible until it's finished.
  std::uint32_t StartWrite(std::size_t key_index);
  void FinishWrite(std::size_t key_index, std::uint32_t version);
  // The last finished version. Stable only for the key's writer.
  std::uint32_t acknowledged(std::size_t key_index) const {
    return keys_[key_index].acknowledged.load();
  }

  ReadTicket BeginRead(std::size_t key_index) const;
  // Judges the answer of a read that began after BeginRead and has ended.
  // An empty `answer` means that the key was absent.
  Verdict EndRead(const ReadTicket& ticket, std::optional<std::string_view> answer);
  // The same for a read whose instant was no later than when `highest` was taken
  // (HighestStarted), such as that of an iterator that was opened before.
  Verdict EndRead(const ReadTicket& ticket, std::optional<std::string_view> answer,
                  std::uint32_t highest);
  std::uint32_t HighestStarted(std::size_t key_index) const {
    return keys_[key_index].started.load();
  }

  // Whether `answer` are the bytes of some version of this key, right now or not.
  bool IsSomeVersion(std::size_t key_index, std::string_view answer) const;

  // Adds to the list of what went wrong. Only the first few are kept.
  void Note(const std::string& problem);
  std::vector<std::string> Notes() const;

 private:
  // 16 bytes: four keys share a cache line. Readers write to it only when they see a
  // version before it's acknowledged, which is rare.
  struct alignas(16) KeyState {
    std::atomic<std::uint32_t> started{0};
    std::atomic<std::uint32_t> acknowledged{0};
    std::atomic<std::uint32_t> seen{0};  // highest version a finished read returned
  };
  struct KeyHashes {
    std::uint64_t key = 0;
    std::uint64_t text = 0;
  };

  // The version whose bytes `answer` are, or nothing.
  std::optional<std::uint32_t> VersionOf(std::size_t key_index, std::string_view answer) const;
  void RaiseSeen(std::size_t key_index, std::uint32_t version);
  Verdict Judge(const ReadTicket& ticket, std::optional<std::string_view> answer,
                std::uint32_t highest);
  void NoteVerdict(Verdict verdict, const ReadTicket& ticket,
                   std::optional<std::string_view> answer, std::uint32_t highest);

  // Constant after construction.
  const std::vector<DataRecord>& records_;
  const std::uint64_t seed_;
  const unsigned delete_percent_;
  std::vector<KeyHashes> hashes_;
  std::unordered_map<std::string_view, std::size_t> index_of_;

  std::vector<KeyState> keys_;

  mutable std::mutex notes_mutex_;
  std::vector<std::string> notes_;
};

// Checks one walk over the whole store: each key exactly once or rightly absent, and
// its version one that the store held between Begin and Opened.
class IterationCheck {
 public:
  explicit IterationCheck(DemoModel& model);  // before the iterator is opened
  void Opened();                              // as soon as it is open
  Verdict Saw(std::string_view key, std::string_view value);

  struct Totals {
    std::uint64_t missed = 0;
    std::uint64_t stale = 0;
    std::uint64_t corrupt = 0;  // unknown keys and keys seen twice included
    std::uint64_t seen = 0;
  };
  // After the end of a walk that didn't fail: judges the keys that it didn't show.
  Totals Finish();

 private:
  DemoModel& model_;
  std::vector<DemoModel::ReadTicket> tickets_;
  std::vector<std::uint32_t> highest_;
  std::vector<bool> seen_;
  Totals totals_;
};

}  // namespace freyja::cli
