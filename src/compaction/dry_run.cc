// What a job would do now, without doing it.
#include <algorithm>
#include <array>
#include <chrono>
#include <ctime>
#include <string>

#include "base/status_macros.h"
#include "compaction/job.h"
#include "compaction/job_manager.h"
#include "compaction/survey.h"

namespace freyja::compaction {

namespace {

std::chrono::milliseconds EstimateTime(std::uint64_t bytes, std::uint64_t bytes_per_second) {
  if (bytes_per_second == 0) return std::chrono::milliseconds(0);
  const double seconds = static_cast<double>(bytes) / static_cast<double>(bytes_per_second);
  return std::chrono::milliseconds(1 + static_cast<std::int64_t>(seconds * 1000));
}

std::string FormatUtc(std::uint64_t ms_since_epoch) {
  const auto seconds = static_cast<std::time_t>(ms_since_epoch / 1000);
  std::tm time{};
  std::array<char, 32> text{};
  if (gmtime_r(&seconds, &time) == nullptr) return "a time beyond the calendar";
  return {text.data(), std::strftime(text.data(), text.size(), "%Y-%m-%d %H:%M:%S UTC", &time)};
}

}  // namespace

// What is being retired now is held by somebody; that is why its bytes are still there.
std::string JobManager::WhyRetiredStays(const SegmentInfo& segment) const {
  const std::string compacted =
      "compacted " + std::to_string(segment.retired_for.count() / 1000) + " s ago; ";
  if (segment.pins != 0) {
    return compacted + std::to_string(segment.pins) + " pinned reads hold its file";
  }
  const std::size_t snapshots = store_.publisher().open_snapshots();
  if (snapshots != 0) {
    return compacted + std::to_string(snapshots) + " open iterators hold its file";
  }
  return compacted + "its file goes as soon as the reads under way have ended";
}

std::string JobManager::WhyUnavailable(std::uint64_t id) const {
  std::string why = "outside of what the job may take";
  store_.segments().ForEach([&](const engine::Segment& segment) {
    if (segment.id() != id) return;
    if (segment.damaged()) why = "a record in it does not verify: left alone until the next open";
    if (segment.mapping().faulted()) why = "the disk failed to read it: left alone";
  });
  return why;
}

// Found by asking the rule again.
std::string JobManager::WhyTombstonesStay(std::uint64_t id, const Plan& plan) const {
  std::string why(PassOverName(PassOver::kTombstonesNeeded));
  const auto keeper = KeeperOfTombstones(store_, plan, id);
  return keeper ? why + ": segment " + std::to_string(*keeper) + " holds what they hide" : why;
}

std::string JobManager::WhyQuarantined(std::uint64_t id) const {
  for (const format::QuarantinedJob& job : store_.quarantine().Jobs()) {
    if (std::ranges::count(job.segments, id, &format::SealedSegment::id) == 0) continue;
    const std::string until =
        job.keep_until_ms == 0 ? "space is needed" : FormatUtc(job.keep_until_ms);
    return "quarantined until " + until + ", so that job " + std::to_string(job.id) +
           " can be undone";
  }
  return "leaves quarantine now";
}

std::uint64_t JobManager::BytesPerSecond() const {
  if (const std::uint64_t limit = throttle_->rate(); limit != 0) return limit;
  const engine::CompactionTotals& totals = store_.totals();
  const double seconds = static_cast<double>(totals.busy_us.load()) / 1e6;
  const std::uint64_t moved = totals.bytes_read.load() + 2 * totals.bytes_written.load();
  return seconds <= 0 ? 0 : static_cast<std::uint64_t>(static_cast<double>(moved) / seconds);
}

Result<CompactionPlan> JobManager::DryRun(const HotSwapConfig& config) {
  FREYJA_RETURN_IF_ERROR(CheckConfig(config));
  PlanScope scope = OnlyStep(config).scope;
  scope.expired_by = &expiry_;
  scope.with_log = config.seal_active;
  FREYJA_ASSIGN_OR_RETURN(const Survey survey, SurveyStore(store_, scope));
  CompactionPlan plan;
  plan.reason = survey.plan.reason;
  plan.bytes_read = survey.plan.input_bytes;
  plan.bytes_written = survey.plan.output_bytes;
  plan.bytes_reclaimed = survey.plan.gain();
  plan.disk_bytes_needed = survey.plan.disk_bytes;
  // Outputs are written once and read once more to verify them.
  plan.estimated_time = EstimateTime(plan.bytes_read + 2 * plan.bytes_written, BytesPerSecond());
  if (const std::uint64_t failed = store_.totals().failures_in_a_row.load(); failed != 0) {
    plan.reason += "; the last " + std::to_string(failed) +
                   " jobs failed: " + store_.health().error().ToString();
  }
  for (const SegmentInfo& segment : store_.GetSegments()) {
    SegmentPlan entry{.id = segment.id,
                      .record_bytes = segment.record_bytes,
                      .dead_bytes = segment.dead_bytes,
                      .reason = {}};
    entry.chosen = std::ranges::binary_search(survey.plan.victims, segment.id);
    if (!entry.chosen && segment.dead_bytes == 0) continue;
    if (!entry.chosen) entry.reason = WhyNot(segment, survey, scope);
    plan.segments.push_back(std::move(entry));
  }
  return plan;
}

std::string JobManager::WhyNot(const SegmentInfo& segment, const Survey& survey,
                               const PlanScope& scope) const {
  if (segment.state == SegmentState::kRetired) return WhyRetiredStays(segment);
  if (segment.state == SegmentState::kQuarantined) return WhyQuarantined(segment.id);
  if (segment.state != SegmentState::kSealed && !scope.with_log) {
    return std::string(SegmentStateName(segment.state)) + ": only sealed segments are compacted";
  }
  if (!scope.only.empty() && !scope.only.contains(segment.id)) return "was not asked for";
  const auto& others = survey.plan.passed_over;
  const auto why = std::ranges::find(others, segment.id, &PassedOver::id);
  if (why == others.end() || why->reason == PassOver::kUnavailable) {
    return WhyUnavailable(segment.id);
  }
  if (why->reason == PassOver::kTombstonesNeeded) return WhyTombstonesStay(segment.id, survey.plan);
  return std::string(PassOverName(why->reason));
}

}  // namespace freyja::compaction
