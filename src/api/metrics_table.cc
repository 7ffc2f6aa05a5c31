#include "api/metrics_table.h"

#include <algorithm>
#include <chrono>
#include <type_traits>

#include "control/fields.h"

namespace freyja::api {
namespace {

constexpr auto kCounter = MetricType::kCounter;
constexpr auto kGauge = MetricType::kGauge;
constexpr auto kHistogram = MetricType::kHistogram;

// Without an error the label is left away, so that the series is there before the first one.
std::vector<Sample> BackgroundError(const MetricSource& source) {
  const Status& error = source.stats.background_error;
  if (error.ok()) return {{.label_value = "", .value = std::uint64_t{0}}};
  return {{.label_value = StatusCodeName(error.code()), .value = std::uint64_t{1}}};
}

std::vector<Sample> DeadRatios(const MetricSource& source) {
  Histogram histogram{.bounds = {0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0},
                      .counts = std::vector<std::uint64_t>(12)};
  for (const SegmentInfo& segment : source.segments) {
    if (segment.state != SegmentState::kSealed || segment.record_bytes == 0) continue;
    const double ratio =
        static_cast<double>(segment.dead_bytes) / static_cast<double>(segment.record_bytes);
    const auto bucket = std::ranges::lower_bound(histogram.bounds, ratio);
    ++histogram.counts[static_cast<std::size_t>(bucket - histogram.bounds.begin())];
    histogram.sum += ratio;
  }
  return {{.label_value = "", .value = std::move(histogram)}};
}

double LongestPublishSeconds(const Stats& stats) {
  return static_cast<double>(stats.publish_us_longest) / 1e6;
}
double Seconds(std::chrono::duration<double> duration) { return duration.count(); }
double PublishP9999Seconds(const Stats& stats) { return Seconds(stats.publish_p9999); }
double SpaceAmplification(const Stats& stats) { return stats.space_amplification(); }
double WriteAmplification(const Stats& stats) { return stats.write_amplification(); }

std::vector<Sample> ForEachOperation(const Stats& stats, auto value_of) {
  const LatencyStats& latency = stats.latency;
  return {{.label_value = "read", .value = value_of(latency.reads)},
          {.label_value = "write", .value = value_of(latency.writes)},
          {.label_value = "read_compacting", .value = value_of(latency.reads_compacting)},
          {.label_value = "write_compacting", .value = value_of(latency.writes_compacting)}};
}
std::vector<Sample> MeasuredOperations(const MetricSource& source) {
  return ForEachOperation(source.stats, [](const LatencySummary& each) { return each.samples; });
}
template <auto kFigure>
std::vector<Sample> Latency(const MetricSource& source) {
  return ForEachOperation(source.stats,
                          [](const LatencySummary& each) { return Seconds(each.*kFigure); });
}

// Counters start at zero with every open of the store, as Prometheus expects.
constexpr Metric kMetrics[] = {
    {"freyja_keys", kGauge, "", "Keys in the store.", &Stats::keys},
    {"freyja_live_bytes", kGauge, "", "Bytes of records that the index points to.",
     &Stats::live_bytes},
    {"freyja_dead_bytes", kGauge, "",
     "Bytes of all other records, retired and quarantined segments left out.", &Stats::dead_bytes},
    {"freyja_disk_bytes", kGauge, "",
     "Bytes of all data and hint files, retired and quarantined ones included, each up to its end.",
     &Stats::disk_bytes},
    {"freyja_preallocated_bytes", kGauge, "", "Bytes allocated ahead and not used yet.",
     &Stats::preallocated_bytes},
    {"freyja_space_amplification_ratio", kGauge, "",
     "Bytes on disk per live byte; 0 if nothing is live.", SpaceAmplification},
    {"freyja_segments", kGauge, "", "Segments, retired and quarantined ones left out.",
     &Stats::segments},
    {"freyja_retired_segments", kGauge, "",
     "Segments replaced by a compaction and still held by readers.", &Stats::retired_segments},
    {"freyja_index_bytes", kGauge, "", "Memory that the index takes.", &Stats::index_bytes},
    {"freyja_quarantined_segments", kGauge, "",
     "Segments replaced by a compaction and kept so that it can be undone.",
     &Stats::quarantined_segments},
    {"freyja_quarantined_bytes", kGauge, "", "Bytes of the data files of those segments.",
     &Stats::quarantined_bytes},
    {"freyja_open_snapshots", kGauge, "", "Open snapshots; they hold retired segments.",
     &Stats::open_snapshots},

    {"freyja_last_sequence", kGauge, "", "Sequence number of the newest published record.",
     &Stats::last_sequence},
    {"freyja_durable_sequence", kGauge, "",
     "Sequence number up to which every record survives a power loss.", &Stats::durable_sequence},
    {"freyja_manifest_generation", kGauge, "", "Generation of the manifest.",
     &Stats::manifest_generation},
    {"freyja_recovery_discarded_tail_bytes", kGauge, "",
     "Bytes at the end of the log that the last open discarded.",
     &Stats::recovered_tail_bytes_discarded},
    {"freyja_recovery_copied_tail_records", kGauge, "",
     "Records at the end of the log that the last open copied.",
     &Stats::recovered_tail_records_copied},

    {"freyja_puts_total", kCounter, "", "Records put.", &Stats::puts},
    {"freyja_deletes_total", kCounter, "", "Keys deleted.", &Stats::deletes},
    {"freyja_user_written_bytes_total", kCounter, "", "Bytes of keys and values written by users.",
     &Stats::user_bytes_written},
    {"freyja_log_written_bytes_total", kCounter, "", "Bytes of records appended to the log.",
     &Stats::log_bytes_written},
    {"freyja_syncs_total", kCounter, "", "Syncs of the log.", &Stats::syncs},
    {"freyja_rolls_total", kCounter, "", "Changes of the log to a new segment.", &Stats::rolls},

    {"freyja_compactions_completed_total", kCounter, "", "Compactions that committed.",
     &Stats::compactions_completed},
    {"freyja_compactions_failed_total", kCounter, "",
     "Compactions that did not commit, cancelled and timed out ones included.",
     &Stats::compactions_failed},
    {"freyja_compaction_failures_in_a_row", kGauge, "",
     "Compactions that failed since the last one that did not.",
     &Stats::compaction_failures_in_a_row},
    {"freyja_compaction_read_bytes_total", kCounter, "", "Bytes read by compactions.",
     &Stats::compaction_bytes_read},
    {"freyja_compaction_written_bytes_total", kCounter, "", "Bytes written by compactions.",
     &Stats::compaction_bytes_written},
    {"freyja_compaction_reclaimed_bytes_total", kCounter, "",
     "Bytes that compactions freed on the disk.", &Stats::compaction_bytes_reclaimed},
    {"freyja_write_amplification_ratio", kGauge, "",
     "Bytes written by the log and by compactions per byte of the log, since the open.",
     WriteAmplification},
    {"freyja_publish_longest_seconds", kGauge, "",
     "Longest time one page of the index was locked to publish a compaction.",
     LongestPublishSeconds},
    {"freyja_publish_p9999_seconds", kGauge, "",
     "Upper bound of all but one in 10,000 times that a page was locked to publish a compaction.",
     PublishP9999Seconds},

    {"freyja_scheduler_running", kGauge, "",
     "1 if the scheduler is switched on and the store takes writes.",
     [](const Stats& stats) { return stats.scheduler.running ? 1.0 : 0.0; }},
    {"freyja_scheduler_paused", kGauge, "", "1 if the scheduler is paused.",
     [](const Stats& stats) { return stats.scheduler.paused ? 1.0 : 0.0; }},
    {"freyja_scheduler_backoff_seconds", kGauge, "",
     "Time until the scheduler tries again after a failure.",
     [](const Stats& stats) { return Seconds(stats.scheduler.backoff); }},
    {"freyja_compaction_limit_bytes_per_second", kGauge, "",
     "What compactions may read and write now; 0 if there is no limit.",
     [](const Stats& stats) { return static_cast<double>(stats.scheduler.bytes_per_second); }},
    {"freyja_compaction_throttled_seconds_total", kCounter, "",
     "Time that compactions waited for their rate or in a pause.",
     [](const Stats& stats) { return Seconds(stats.scheduler.throttled); }},
    {"freyja_write_delay_seconds", kGauge, "",
     "Delay of every write now, because of the ceiling on space.",
     [](const Stats& stats) { return Seconds(stats.scheduler.write_delay); }},
    {"freyja_delayed_writes_total", kCounter, "", "Writes delayed because of the ceiling on space.",
     [](const Stats& stats) { return static_cast<double>(stats.scheduler.delayed_writes); }},
    {"freyja_write_delay_seconds_total", kCounter, "",
     "Time that writes were delayed because of the ceiling on space.",
     [](const Stats& stats) { return Seconds(stats.scheduler.write_delay_total); }},

    {"freyja_measured_operations_total", kCounter, "operation",
     "Reads and writes whose latency was measured, one in 64.", MeasuredOperations},
    {"freyja_latency_mean_seconds", kGauge, "operation", "Mean latency since the open.",
     Latency<&LatencySummary::mean>},
    {"freyja_latency_p50_seconds", kGauge, "operation", "Median of latencies since the open.",
     Latency<&LatencySummary::p50>},
    {"freyja_latency_p99_seconds", kGauge, "operation",
     "99th percentile of latencies since the open.", Latency<&LatencySummary::p99>},
    {"freyja_latency_p999_seconds", kGauge, "operation",
     "99.9th percentile of latencies since the open.", Latency<&LatencySummary::p999>},

    {"freyja_read_only", kGauge, "",
     "1 if the store takes no writes: opened so, or turned so by a background error.",
     &Stats::read_only},
    {"freyja_background_error", kGauge, "code",
     "1 with the kind of the latest background error; 0 without a code if there was none.",
     BackgroundError},

    {"freyja_segments_by_state", kGauge, "state", "Segments in each state.", SumByState{nullptr}},
    {"freyja_segment_file_bytes", kGauge, "state",
     "Bytes of data files, each up to its last "
     "record.",
     SumByState{&SegmentInfo::file_bytes}},
    {"freyja_segment_live_bytes", kGauge, "state", "Bytes of live records.",
     SumByState{&SegmentInfo::live_bytes}},
    {"freyja_segment_dead_bytes", kGauge, "state", "Bytes of dead records.",
     SumByState{&SegmentInfo::dead_bytes}},
    {"freyja_segment_records", kGauge, "state", "Records, tombstones included.",
     SumByState{&SegmentInfo::records}},
    {"freyja_segment_live_records", kGauge, "state", "Records that the index points to.",
     SumByState{&SegmentInfo::live_records}},
    {"freyja_segment_tombstones", kGauge, "state", "Tombstones.",
     SumByState{&SegmentInfo::tombstones}},
    {"freyja_segment_pins", kGauge, "state", "Pinned reads that hold a segment.",
     SumByState{&SegmentInfo::pins}},
    {"freyja_segment_dead_ratio", kHistogram, "",
     "Sealed segments by the share of their bytes that is dead, as of now: not for rate().",
     DeadRatios},
};

constexpr bool IsWellFormed(const Metric& metric) {
  const bool counter = metric.type == kCounter;
  return metric.name.starts_with("freyja_") && metric.help.ends_with(".") &&
         metric.name.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789_") ==
             std::string_view::npos &&
         metric.name.ends_with("_total") == counter &&
         std::holds_alternative<SumByState>(metric.getter) == (metric.label == "state");
}
static_assert(std::ranges::all_of(kMetrics, IsWellFormed));

std::vector<Sample> SumsByState(const SumByState& sum, std::span<const SegmentInfo> segments) {
  std::vector<Sample> samples;
  for (const SegmentState state : control::kSegmentStates) {
    std::uint64_t total = 0;
    for (const SegmentInfo& segment : segments) {
      if (segment.state == state) total += sum.field == nullptr ? 1 : segment.*sum.field;
    }
    samples.push_back({.label_value = SegmentStateName(state), .value = total});
  }
  return samples;
}

}  // namespace

std::span<const Metric> MetricsTable() { return kMetrics; }

std::vector<Sample> Collect(const Metric& metric, const MetricSource& source) {
  return std::visit(
      [&source](const auto& getter) -> std::vector<Sample> {
        using Kind = std::remove_cvref_t<decltype(getter)>;
        if constexpr (std::is_same_v<Kind, SumByState>) {
          return SumsByState(getter, source.segments);
        } else if constexpr (std::is_same_v<Kind, bool Stats::*>) {
          return {{.label_value = "", .value = std::uint64_t{source.stats.*getter}}};
        } else if constexpr (std::is_member_object_pointer_v<Kind>) {
          return {{.label_value = "", .value = source.stats.*getter}};
        } else if constexpr (std::is_invocable_v<Kind, const Stats&>) {
          return {{.label_value = "", .value = getter(source.stats)}};
        } else {
          return getter(source);
        }
      },
      metric.getter);
}

}  // namespace freyja::api
