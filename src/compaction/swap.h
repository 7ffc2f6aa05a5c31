// A hot swap: sealed segments are replaced by others that hold the same newest records.
//
// What a compaction (job.h) and an undo (undo.h) have in common; they differ in where the new
// segments come from. The steps, numbered as in job.h:
//  5. Prepare  map and register the new segments; from here nothing allocates.
//  6. Commit   one manifest replacement. Before its rename: roll back. After the
//              directory's sync: only forward. In between, on an error, the outcome is
//              unknown: both sets are kept and the store turns read-only.
//  7. Publish  each key moves by compare-and-swap from its exact old location to the new
//              one; one that was overwritten or deleted meanwhile does not.
//  8. Retire   the victims hold nothing live; their files go when no reader, pin or
//              snapshot opened before now is left, or stay in quarantine.
#pragma once

#include <chrono>
#include <cstdint>
#include <future>
#include <memory>
#include <string>
#include <vector>

#include "compaction/events.h"
#include "compaction/job_state.h"
#include "engine/sealed_writer.h"
#include "engine/store.h"

namespace freyja::compaction {

// Runs on one thread, once.
class HotSwap {
 public:
  HotSwap(const HotSwap&) = delete;
  HotSwap& operator=(const HotSwap&) = delete;

  // With the statistics and events of one hot swap, whether it is all of its job or a step.
  Result<CompactionReport> Run();

 protected:
  // A segment that takes the place of victims.
  struct Output {
    std::unique_ptr<engine::SealedWriter> writer;  // null: the segment was there before
    std::future<Status> sealing;                   // valid: another thread has the writer
    engine::Segment* segment = nullptr;            // from Register on
    std::vector<engine::Index::Move> moves;        // new locations lack the slot until then
  };
  // The index's slot of an expired record.
  struct Removal {
    std::uint64_t hash = 0;
    engine::Location location;
  };

  HotSwap(engine::Store& store, EventDispatcher& events, JobState& state,
          std::chrono::steady_clock::time_point job_start)
      : store_(store), events_(events), state_(state), job_start_(job_start) {}
  // Rolls back, unless it has committed.
  virtual ~HotSwap();

  // All steps before the commit: victims_ and outputs_ are complete, and registered. False:
  // there is nothing to do.
  virtual Result<bool> Build() = 0;
  // The change of the manifest; may be called twice.
  virtual Status Edit(format::Manifest& manifest) = 0;
  // After the commit; must not throw.
  virtual void AfterCommit() {}

  // Ok, or kCancelled or kTimedOut.
  Status CheckStop() const;
  Status Pace(std::uint64_t bytes_moved);
  Status Register(Output& output, std::unique_ptr<engine::Segment> segment);
  // Puts the outputs in the place of the victims. kAborted: one of them is sealed no more.
  // kIoError: what the index holds of one of them can't be trusted.
  Status ReplaceVictims(format::Manifest& manifest) const;
  void Emit(CompactionEventType type, std::string reason = {});

  engine::Store& store_;
  EventDispatcher& events_;
  JobState& state_;
  std::string reason_;  // why these victims, or why none
  std::vector<engine::PinnedSegment> victims_;
  bool keeps_victims_ = false;  // their files are in quarantine after the commit
  std::vector<Output> outputs_;
  std::vector<Removal> removals_;
  CompactionEventType completed_ = CompactionEventType::kCompleted;  // the last event

  CompactionCounters counters_;
  std::vector<std::string> input_files_;
  std::vector<std::string> output_files_;
  std::uint64_t bytes_before_ = 0;
  std::uint64_t bytes_after_ = 0;

 private:
  engine::ManifestStore::CommitResult Commit();
  void Publish();
  Status Retire();
  void SettleSealing(Output& output) noexcept;
  void RollBack() noexcept;
  CompactionReport Report() const;
  Result<CompactionReport> End(Status status);

  const std::chrono::steady_clock::time_point job_start_;
  const std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
  bool committed_ = false;
  std::uint64_t bytes_paid_ = 0;
  std::chrono::microseconds publish_duration_{};
  engine::LockHolds holds_;  // of index pages, to publish
};

}  // namespace freyja::compaction
