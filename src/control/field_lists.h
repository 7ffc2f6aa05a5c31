// The members of the public structures, once for both directions: VisitFields calls
// visit(name, member) for each.
#pragma once

#include <concepts>
#include <type_traits>

#include "freyja/compaction.h"
#include "freyja/control.h"
#include "freyja/stats.h"

namespace freyja::control {

template <class Struct, class Wanted>
concept Of = std::same_as<std::remove_const_t<Struct>, Wanted>;

template <class Visit, Of<LatencySummary> S>
void VisitFields(Visit& visit, S& s) {
  visit("samples", s.samples);
  visit("mean", s.mean);
  visit("p50", s.p50);
  visit("p99", s.p99);
  visit("p999", s.p999);
}

template <class Visit, Of<LatencyStats> S>
void VisitFields(Visit& visit, S& s) {
  visit("reads", s.reads);
  visit("writes", s.writes);
  visit("reads_compacting", s.reads_compacting);
  visit("writes_compacting", s.writes_compacting);
}

template <class Visit, Of<SchedulerStats> S>
void VisitFields(Visit& visit, S& s) {
  visit("running", s.running);
  visit("paused", s.paused);
  visit("decision", s.decision);
  visit("backoff", s.backoff);
  visit("bytes_per_second", s.bytes_per_second);
  visit("throttled", s.throttled);
  visit("write_delay", s.write_delay);
  visit("delayed_writes", s.delayed_writes);
  visit("write_delay_total", s.write_delay_total);
}

template <class Visit, Of<Stats> S>
void VisitFields(Visit& visit, S& s) {
  visit("keys", s.keys);
  visit("live_bytes", s.live_bytes);
  visit("dead_bytes", s.dead_bytes);
  visit("disk_bytes", s.disk_bytes);
  visit("preallocated_bytes", s.preallocated_bytes);
  visit("segments", s.segments);
  visit("retired_segments", s.retired_segments);
  visit("quarantined_segments", s.quarantined_segments);
  visit("quarantined_bytes", s.quarantined_bytes);
  visit("index_bytes", s.index_bytes);
  visit("last_sequence", s.last_sequence);
  visit("durable_sequence", s.durable_sequence);
  visit("manifest_generation", s.manifest_generation);
  visit("puts", s.puts);
  visit("deletes", s.deletes);
  visit("user_bytes_written", s.user_bytes_written);
  visit("log_bytes_written", s.log_bytes_written);
  visit("syncs", s.syncs);
  visit("rolls", s.rolls);
  visit("compactions_completed", s.compactions_completed);
  visit("compactions_failed", s.compactions_failed);
  visit("compaction_bytes_read", s.compaction_bytes_read);
  visit("compaction_bytes_written", s.compaction_bytes_written);
  visit("compaction_bytes_reclaimed", s.compaction_bytes_reclaimed);
  visit("compaction_failures_in_a_row", s.compaction_failures_in_a_row);
  visit("publish_us_longest", s.publish_us_longest);
  visit("publish_p9999", s.publish_p9999);
  visit("open_snapshots", s.open_snapshots);
  visit("recovered_tail_bytes_discarded", s.recovered_tail_bytes_discarded);
  visit("recovered_tail_records_copied", s.recovered_tail_records_copied);
  visit("scheduler", s.scheduler);
  visit("latency", s.latency);
  visit("read_only", s.read_only);
  visit("background_error", s.background_error);
}

template <class Visit, Of<SegmentInfo> S>
void VisitFields(Visit& visit, S& s) {
  visit("id", s.id);
  visit("file", s.file);
  visit("state", s.state);
  visit("file_bytes", s.file_bytes);
  visit("record_bytes", s.record_bytes);
  visit("records", s.records);
  visit("tombstones", s.tombstones);
  visit("live_records", s.live_records);
  visit("live_bytes", s.live_bytes);
  visit("dead_bytes", s.dead_bytes);
  visit("lowest_sequence", s.lowest_sequence);
  visit("highest_sequence", s.highest_sequence);
  visit("pins", s.pins);
  visit("retired_for", s.retired_for);
}

template <class Visit, Of<HotSwapConfig> S>
void VisitFields(Visit& visit, S& s) {
  visit("temp_dir", s.temp_dir);
  visit("min_space_saving", s.min_space_saving);
  visit("compaction_timeout", s.compaction_timeout);
  visit("seal_active", s.seal_active);
  visit("max_input_bytes", s.max_input_bytes);
  visit("step_bytes", s.step_bytes);
  visit("segments", s.segments);
  visit("combine_small", s.combine_small);
  visit("reason", s.reason);
}

template <class Visit, Of<CompactionLimits> S>
void VisitFields(Visit& visit, S& s) {
  visit("bytes_per_second", s.bytes_per_second);
  visit("latency_target", s.latency_target);
  visit("space_ceiling", s.space_ceiling);
  visit("bytes_ceiling", s.bytes_ceiling);
  visit("max_write_delay", s.max_write_delay);
}

template <class Visit, Of<SegmentPlan> S>
void VisitFields(Visit& visit, S& s) {
  visit("id", s.id);
  visit("chosen", s.chosen);
  visit("record_bytes", s.record_bytes);
  visit("dead_bytes", s.dead_bytes);
  visit("reason", s.reason);
}

template <class Visit, Of<CompactionPlan> S>
void VisitFields(Visit& visit, S& s) {
  visit("segments", s.segments);
  visit("bytes_read", s.bytes_read);
  visit("bytes_written", s.bytes_written);
  visit("bytes_reclaimed", s.bytes_reclaimed);
  visit("disk_bytes_needed", s.disk_bytes_needed);
  visit("reason", s.reason);
  visit("estimated_time", s.estimated_time);
}

template <class Visit, Of<CompactionCounters> S>
void VisitFields(Visit& visit, S& s) {
  visit("records_read", s.records_read);
  visit("bytes_read", s.bytes_read);
  visit("records_copied", s.records_copied);
  visit("bytes_copied", s.bytes_copied);
  visit("records_dropped", s.records_dropped);
  visit("bytes_dropped", s.bytes_dropped);
  visit("records_expired", s.records_expired);
  visit("tombstones_kept", s.tombstones_kept);
}

template <class Visit, Of<CompactionReport> S>
void VisitFields(Visit& visit, S& s) {
  visit("job_id", s.job_id);
  visit("ran", s.ran);
  visit("steps", s.steps);
  visit("stopped", s.stopped);
  visit("reason", s.reason);
  visit("input_files", s.input_files);
  visit("output_files", s.output_files);
  visit("counters", s.counters);
  visit("bytes_before", s.bytes_before);
  visit("bytes_after", s.bytes_after);
  visit("space_saved", s.space_saved);
  visit("duration", s.duration);
  visit("publish_duration", s.publish_duration);
  visit("longest_publish_pause", s.longest_publish_pause);
}

template <class Visit, Of<QuarantinedJob> S>
void VisitFields(Visit& visit, S& s) {
  visit("id", s.id);
  visit("input_files", s.input_files);
  visit("output_files", s.output_files);
  visit("bytes", s.bytes);
  visit("keep_until_ms", s.keep_until_ms);
  visit("why_not", s.why_not);
}

template <class Visit, Of<CompactionRecord> S>
void VisitFields(Visit& visit, S& s) {
  visit("job_id", s.job_id);
  visit("ended_at_ms", s.ended_at_ms);
  visit("outcome", s.outcome);
  visit("reason", s.reason);
  visit("steps", s.steps);
  visit("input_files", s.input_files);
  visit("output_files", s.output_files);
  visit("bytes_before", s.bytes_before);
  visit("bytes_after", s.bytes_after);
  visit("bytes_copied", s.bytes_copied);
  visit("duration", s.duration);
}

template <class Visit, Of<CompactionJobStatus> S>
void VisitFields(Visit& visit, S& s) {
  visit("id", s.id);
  visit("reason", s.reason);
  visit("phase", s.phase);
  visit("bytes_total", s.bytes_total);
  visit("bytes_done", s.bytes_done);
}

template <class Visit, Of<CompactionStatus> S>
void VisitFields(Visit& visit, S& s) {
  visit("paused", s.paused);
  visit("limits", s.limits);
  visit("jobs", s.jobs);
}

}  // namespace freyja::control
