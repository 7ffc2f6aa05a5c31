// Which tombstones a compaction may drop.
//
// A tombstone hides every older record of its key. It may go if no other segment that the
// manifest lists can hold one: each either has only higher numbers, or provably lacks the
// key, because its hint's filter excludes it or, where the filter says maybe, because none
// of the hint's entries has its hash. What can't be read can't prove anything.
// Quarantined segments count like sealed ones; log segments only hold higher numbers than
// any sealed one. An expired newest put obeys the same rule: it hides what is older, too.
#pragma once

#include <cstdint>
#include <optional>
#include <set>
#include <span>
#include <vector>

#include "engine/directory.h"
#include "format/ids.h"
#include "format/manifest.h"
#include "freyja/status.h"

namespace freyja::compaction {

// Memory: the filter and the hint entries of one segment at a time. Not thread-safe.
class TombstoneRule {
 public:
  struct Candidate {
    format::KeyHash hash;
    std::uint64_t sequence = 0;
  };

  // `victims` are retired together, so what they hold needs no hiding.
  TombstoneRule(engine::Directory& directory, format::Manifest manifest,
                std::set<std::uint64_t> victims)
      : directory_(directory), manifest_(std::move(manifest)), victims_(std::move(victims)) {}

  // For each candidate whether it may be dropped.
  std::vector<bool> MayDrop(std::span<const Candidate> candidates);

  // A segment for which one of them was kept, if any was for a segment's sake.
  std::optional<std::uint64_t> keeper() const { return keeper_; }

  // At the commit: segments that the manifest lists only since this rule looked, the job's
  // own outputs aside, must hold higher numbers than all that was dropped; else kAborted.
  Status Recheck(const format::Manifest& now) const;

 private:
  void KeepHidden(const format::SealedSegment& segment, std::span<const Candidate> candidates,
                  std::vector<bool>& may_drop);

  engine::Directory& directory_;
  const format::Manifest manifest_;
  const std::set<std::uint64_t> victims_;
  std::uint64_t highest_dropped_ = 0;
  std::optional<std::uint64_t> keeper_;
};

}  // namespace freyja::compaction
