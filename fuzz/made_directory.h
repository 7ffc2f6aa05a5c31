// A store's directory made up from a fuzzer's bytes, with every checksum right, and what must
// be found in it.
//
// Sealed segments with any records in any order of numbers; a log that ends in any of the ways
// a crash can leave it; hints that are right, missing, or wrong; files that aren't listed.
// Afterwards, at the input's choice, damage: fields of the manifest or of hints that lie, with
// checksums that hold, or bytes that changed.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "engine/segment_summary.h"
#include "format/manifest.h"
#include "format/record.h"
#include "fuzz/input.h"
#include "io/memory_file_system.h"
#include "support/history.h"

namespace freyja::fuzz {

using Files = std::map<std::string, std::vector<std::byte>>;

// The wall clock of the stores under test is after every "past" expiry made here.
inline constexpr std::uint64_t kPastMs = 1000;
inline constexpr std::uint64_t kFutureMs = std::uint64_t{1} << 60;

class MadeDirectory {
 public:
  explicit MadeDirectory(Input& in);

  const Files& files() const { return files_; }
  std::shared_ptr<io::MemoryFileSystem> MakeDisk() const;

  // Whether nothing lies: then `refused` or `contents` says what opening must give.
  bool intact() const { return intact_; }
  bool refused() const { return refused_; }
  bool manifest_lies() const { return manifest_lies_; }
  // A damaged filter is no reason to scan: it stays, and only a check tells.
  bool has_damaged_hint() const { return has_damaged_hint_; }
  const support::Contents& contents() const { return contents_; }
  // All pairs of key and value that stand in a verifying record of a listed file. No other
  // may ever be shown.
  const std::set<std::pair<std::string, std::string>>& pairs() const { return pairs_; }

 private:
  struct Segment {
    format::SegmentIdentity identity;
    std::vector<std::byte> bytes;
    std::vector<format::HintEntry> entries;
    engine::SummaryBuilder summary;
  };
  // What is known of the newest record of a key.
  struct Newest {
    std::uint64_t sequence = 0;
    std::optional<std::string> value;
  };
  // The log as its replay is expected to see it.
  struct Replay {
    std::uint64_t expected = 0;
    std::uint64_t watermark = 0;
    bool stopped = false;
    std::uint64_t batch_start = 0;  // of a batch that is open; else 0
    std::vector<std::pair<std::string, Newest>> taken;
  };

  Segment Begin(std::uint64_t id);
  // A record of the input's choice under that number, appended.
  format::Record Append(Segment& segment, std::uint64_t sequence, bool in_log);
  void AppendRecord(Segment& segment, const format::Record& record);
  void MakeSealed();
  void MakeHint(const Segment& segment, const format::SealedSegment& sealed);
  void MakeLog();
  void MakeLogSegment(Segment& segment, std::uint64_t& sequence, Replay& replay);
  void MakeLogTail(Segment& segment);
  void MakeUnlisted();
  void LieInManifest();
  void Damage();
  void Expect(const Replay& replay);
  void CollectPairs();

  Input& in_;
  format::Manifest manifest_;
  Files files_;
  bool intact_ = true;
  bool refused_ = false;
  bool manifest_lies_ = false;
  bool has_damaged_hint_ = false;
  std::string text_;  // holds the key and value of the record being made
  std::set<std::uint64_t> used_sequences_;
  std::map<std::string, Newest> newest_;
  support::Contents contents_;
  std::set<std::pair<std::string, std::string>> pairs_;
};

}  // namespace freyja::fuzz
