// One hot-swap compaction, from plan to retirement.
//
// The steps, and what a crash or an error in each leaves behind:
//  1. Plan     choose sealed victims whose outputs fit on the disk.      nothing
//  2. Copy     what is live, and tombstones still needed, to fresh ids.  unlisted files
//  3. Seal     outputs and hints, each when it is full: sync, re-read,
//              compare; where nothing limits the rate on a second thread,
//              beside the copying of the next or, for the last, step 4.  unlisted files
//  4. Cover    after the last decision to drop something: make the log durable through F,
//              the highest number published, so that nothing durable is dropped for a
//              newer version that a power cut could take.                unlisted files
//  5. Prepare  map and register the outputs; from here nothing allocates.
//  6. Commit   one manifest replacement. Before its rename: roll back. After the
//              directory's sync: only forward. In between, on an error, the outcome is
//              unknown: both sets are kept and the store turns read-only.
//  7. Publish  each copied key moves by compare-and-swap from its exact old location to
//              the new one; one that was overwritten or deleted meanwhile does not.
//  8. Retire   the victims hold nothing live; their files go when no reader, pin or
//              snapshot opened before now is left.
// Steps 1 to 4 are in job.cc, 5 to 8 in swap.cc (swap.h).
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "compaction/events.h"
#include "compaction/expiry.h"
#include "compaction/job_state.h"
#include "compaction/planner.h"
#include "compaction/survey.h"
#include "compaction/swap.h"
#include "compaction/tombstone_rule.h"
#include "engine/store.h"

namespace freyja::compaction {

// One of the steps of a job (steps.h), each of which commits by itself.
struct Step {
  PlanScope scope;
  std::chrono::steady_clock::time_point job_start = std::chrono::steady_clock::now();
  bool is_first = true;
  bool is_last = true;      // as far as is known before it
  bool quarantine = false;  // what it replaces is kept, beside what earlier steps replaced
};
Step OnlyStep(const HotSwapConfig& config);

// Memory: 24 bytes for every record copied until it is published, 32 more until its output is
// sealed (two of them at most are not), and a few buffers of 2 MiB.
class HotSwapJob final : public HotSwap {
 public:
  HotSwapJob(engine::Store& store, const ExpiryClock& expiry, EventDispatcher& events,
             JobState& state, Step step);
  // The whole job in one step.
  HotSwapJob(engine::Store& store, const ExpiryClock& expiry, EventDispatcher& events,
             JobState& state)
      : HotSwapJob(store, expiry, events, state, OnlyStep(state.config())) {}

  // Number of the newest record when the victims were chosen; 0: they were not.
  std::uint64_t planned_at() const { return planned_at_; }
  const std::vector<std::uint64_t>& output_ids() const { return output_ids_; }
  // Whether all that the job replaced so far was in quarantine when it committed.
  bool quarantined() const { return keeps_victims_; }

 private:
  // A record that hides older ones and may be dropped if there are none.
  struct Hider {
    TombstoneRule::Candidate candidate;
    engine::Location location;
  };

  Result<bool> Build() override;
  Status Edit(format::Manifest& manifest) override;
  void AfterCommit() override;

  Status MakePlan();
  Status RemoveStrayOutputs();
  Result<Survey> SurveyWithRoom();
  std::uint64_t TotalOfAllSteps() const;
  Status Copy();
  Status CopyVictim(engine::Segment& victim);
  Status CopyRun(const engine::Segment& victim, std::span<const engine::ScannedRecord> run);
  Status CopyRecord(const engine::Segment& victim, const engine::ScannedRecord& scanned,
                    const format::KeyHash& hash);
  Status CopyLive(const format::Record& record, std::uint64_t hash, engine::Location old);
  bool IsSuperseded(const format::Record& record, std::uint64_t hash) const;
  Result<engine::FoundRecord> ReadHider(const Hider& hider) const;
  Status ResolveHiders();
  Result<Output*> OutputFor(std::size_t bytes);
  Status PaceCopy();
  void EmitProgress();
  Status StartSealing();
  Status AwaitSealing();
  Status Cover();
  Status PlaceOutputs();
  Status Prepare();
  void Quarantine(format::Manifest& manifest);

  const ExpiryClock& expiry_;
  const Step step_;
  std::chrono::steady_clock::time_point last_progress_;

  Plan plan_;
  std::uint64_t planned_at_ = 0;
  std::optional<engine::Reserve::Loan> loan_;  // for outputs that fit in no other space
  std::unique_ptr<TombstoneRule> rule_;
  std::vector<Hider> hiders_;
  std::uint64_t covered_ = 0;  // F
  bool was_cached_ = true;     // most of what the victims hold, before it was read
  std::vector<format::QuarantinedJob> evicted_;  // for which quarantine has no room any more
  std::uint64_t bytes_verified_ = 0;
  std::vector<std::uint64_t> output_ids_;
};

}  // namespace freyja::compaction
