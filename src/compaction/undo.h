// Taking a compaction back: what it replaced, still in quarantine, replaces its outputs.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "compaction/swap.h"
#include "format/manifest.h"

namespace freyja::compaction {

// Why the job can't be undone any more, or empty. Its outputs must all be sealed segments: a
// later compaction that took one holds records that the old segments would then hold as well.
std::string WhyNotUndoable(const format::QuarantinedJob& job, const format::Manifest& manifest);
// The job to be undone. kNotFound: nothing of it is in quarantine; kAborted: too late.
Result<format::QuarantinedJob> FindUndoable(const format::Manifest& manifest, std::uint64_t job_id);

// "undoes job 7": the reason of its own job.
std::string UndoReason(std::uint64_t job_id);

std::vector<QuarantinedJob> DescribeQuarantine(const format::Manifest& manifest);

// A hot swap with the roles reversed. It changes the abstract map as little as the compaction
// did: the old segments hold every record of the outputs under its own number; all else that
// they hold is older than what replaced it, and whatever hides that is still there, because the
// tombstone rule counted them all the time. So writes made since stay.
//
// Every record of the old segments is verified first. Memory: 80 bytes for each record of the
// outputs until it is matched, 24 for each that moves.
class UndoJob final : public HotSwap {
 public:
  UndoJob(engine::Store& store, EventDispatcher& events, JobState& state);

 private:
  using Key = std::pair<format::KeyHash, std::uint64_t>;  // and sequence number

  Result<bool> Build() override;
  Status Edit(format::Manifest& manifest) override;

  Status FindJob();
  Status LoadOutputs();
  Status Want(const engine::Segment& output, const engine::ScannedRecord& scanned);
  Status RestoreSegment(const format::SealedSegment& sealed);
  Status Match(const engine::ScannedRecord& scanned, std::vector<engine::Index::Move>& moves);

  format::QuarantinedJob job_;
  std::map<Key, engine::Location> wanted_;  // puts of the outputs that no old segment has had yet
};

}  // namespace freyja::compaction
