#include "stats_fields.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <string_view>

#include "freyja/metrics.h"
#include "text.h"

namespace freyja::cli {
namespace {

using Json = nlohmann::ordered_json;

constexpr std::size_t kBarWidth = 20;

void AppendSection(std::string_view title, std::string& out) {
  out += fmt::format("{}{}\n", out.empty() ? "" : "\n", title);
}

void AppendField(std::string_view label, std::string_view text, std::string& out) {
  out += fmt::format("  {:<27} {}\n", label, text);
}

void AppendContents(const Stats& stats, std::string& out) {
  const std::uint64_t record_bytes = stats.live_bytes + stats.dead_bytes;
  AppendSection("Contents", out);
  AppendField("keys", HumanCount(stats.keys), out);
  AppendField("live",
              fmt::format("{} ({} of all records)", HumanBytes(stats.live_bytes),
                          Percent(stats.live_bytes, record_bytes)),
              out);
  AppendField(
      "dead",
      fmt::format("{} ({})", HumanBytes(stats.dead_bytes), Percent(stats.dead_bytes, record_bytes)),
      out);
  AppendField("on disk", HumanBytes(stats.disk_bytes), out);
  AppendField("allocated ahead", HumanBytes(stats.preallocated_bytes), out);
  AppendField("space amplification", fmt::format("{:.2f}", stats.space_amplification()), out);
  AppendField("segments", HumanCount(stats.segments), out);
  AppendField("retired segments", HumanCount(stats.retired_segments), out);
  AppendField("quarantined segments",
              fmt::format("{} ({})", HumanCount(stats.quarantined_segments),
                          HumanBytes(stats.quarantined_bytes)),
              out);
  AppendField("open snapshots", HumanCount(stats.open_snapshots), out);
  AppendField("index in memory", HumanBytes(stats.index_bytes), out);
}

void AppendLog(const Stats& stats, std::string& out) {
  AppendSection("Log", out);
  AppendField("last sequence number", HumanCount(stats.last_sequence), out);
  AppendField("durable sequence number", HumanCount(stats.durable_sequence), out);
  AppendField("manifest generation", HumanCount(stats.manifest_generation), out);
  AppendField("tail discarded at open", HumanBytes(stats.recovered_tail_bytes_discarded), out);
  AppendField("tail copied at open", HumanCount(stats.recovered_tail_records_copied) + " records",
              out);
  AppendField("read-only", stats.read_only ? "yes" : "no", out);
  AppendField("background error",
              stats.background_error.ok() ? "none" : OneLine(stats.background_error.ToString()),
              out);
}

void AppendSinceOpen(const Stats& stats, std::string& out) {
  AppendSection("Since this open", out);
  AppendField("puts", HumanCount(stats.puts), out);
  AppendField("deletes", HumanCount(stats.deletes), out);
  AppendField("keys and values written", HumanBytes(stats.user_bytes_written), out);
  AppendField("log written", HumanBytes(stats.log_bytes_written), out);
  AppendField("write amplification", fmt::format("{:.2f}", stats.write_amplification()), out);
  AppendField("syncs", HumanCount(stats.syncs), out);
  AppendField("rolls", HumanCount(stats.rolls), out);
  AppendField(
      "compactions",
      fmt::format("{} done, {} failed ({} in a row)", HumanCount(stats.compactions_completed),
                  HumanCount(stats.compactions_failed),
                  HumanCount(stats.compaction_failures_in_a_row)),
      out);
  AppendField("compaction read", HumanBytes(stats.compaction_bytes_read), out);
  AppendField("compaction written", HumanBytes(stats.compaction_bytes_written), out);
  AppendField("compaction reclaimed", HumanBytes(stats.compaction_bytes_reclaimed), out);
  AppendField("longest publish", HumanDuration(static_cast<double>(stats.publish_us_longest) / 1e6),
              out);
}

}  // namespace

Json StatsJson(const Stats& stats) {
  return {
      {"keys", stats.keys},
      {"live_bytes", stats.live_bytes},
      {"dead_bytes", stats.dead_bytes},
      {"disk_bytes", stats.disk_bytes},
      {"preallocated_bytes", stats.preallocated_bytes},
      {"space_amplification", stats.space_amplification()},
      {"segments", stats.segments},
      {"retired_segments", stats.retired_segments},
      {"quarantined_segments", stats.quarantined_segments},
      {"quarantined_bytes", stats.quarantined_bytes},
      {"open_snapshots", stats.open_snapshots},
      {"index_bytes", stats.index_bytes},
      {"last_sequence", stats.last_sequence},
      {"durable_sequence", stats.durable_sequence},
      {"manifest_generation", stats.manifest_generation},
      {"recovered_tail_bytes_discarded", stats.recovered_tail_bytes_discarded},
      {"recovered_tail_records_copied", stats.recovered_tail_records_copied},
      {"puts", stats.puts},
      {"deletes", stats.deletes},
      {"user_bytes_written", stats.user_bytes_written},
      {"log_bytes_written", stats.log_bytes_written},
      {"write_amplification", stats.write_amplification()},
      {"syncs", stats.syncs},
      {"rolls", stats.rolls},
      {"compactions_completed", stats.compactions_completed},
      {"compactions_failed", stats.compactions_failed},
      {"compaction_failures_in_a_row", stats.compaction_failures_in_a_row},
      {"compaction_bytes_read", stats.compaction_bytes_read},
      {"compaction_bytes_written", stats.compaction_bytes_written},
      {"compaction_bytes_reclaimed", stats.compaction_bytes_reclaimed},
      {"publish_us_longest", stats.publish_us_longest},
      {"read_only", stats.read_only},
      {"background_error", stats.background_error.ok() ? "" : stats.background_error.ToString()},
  };
}

Json SegmentJson(const SegmentInfo& segment) {
  return {
      {"id", segment.id},
      {"file", segment.file},
      {"state", SegmentStateName(segment.state)},
      {"file_bytes", segment.file_bytes},
      {"record_bytes", segment.record_bytes},
      {"records", segment.records},
      {"tombstones", segment.tombstones},
      {"live_records", segment.live_records},
      {"live_bytes", segment.live_bytes},
      {"dead_bytes", segment.dead_bytes},
      {"lowest_sequence", segment.lowest_sequence},
      {"highest_sequence", segment.highest_sequence},
      {"pins", segment.pins},
      {"retired_ms", segment.retired_for.count()},
  };
}

std::string StatsText(const Stats& stats) {
  std::string out;
  AppendContents(stats, out);
  AppendLog(stats, out);
  AppendSinceOpen(stats, out);
  return out;
}

std::string SegmentsText(const std::vector<SegmentInfo>& segments) {
  std::size_t file_width = 4;
  for (const SegmentInfo& segment : segments) {
    file_width = std::max(file_width, OneLine(segment.file).size());
  }
  std::string out = fmt::format("{:<{}}  {:<11}  {:>10}  {:>11}  {:>10}  {:>10}  {:>10}  {}\n",
                                "FILE", file_width, "STATE", "SIZE", "RECORDS", "TOMBSTONES",
                                "LIVE", "DEAD", "LIVE # DEAD .");
  for (const SegmentInfo& segment : segments) {
    out += fmt::format(
        "{:<{}}  {:<11}  {:>10}  {:>11}  {:>10}  {:>10}  {:>10}  {}\n", OneLine(segment.file),
        file_width, SegmentStateName(segment.state), HumanBytes(segment.file_bytes),
        HumanCount(segment.records), HumanCount(segment.tombstones), HumanBytes(segment.live_bytes),
        HumanBytes(segment.dead_bytes),
        segment.records == 0 ? "(empty)"
                             : Bar(segment.live_bytes, segment.record_bytes, kBarWidth));
  }
  return out;
}

Result<std::string> StatsPrometheus(const Stats& stats, const std::vector<SegmentInfo>& segments,
                                    const std::string& directory) {
  std::filesystem::path path = std::filesystem::absolute(directory).lexically_normal();
  if (!path.has_filename()) path = path.parent_path();  // "db/" is "db"
  const std::string label = path.string();
  return PrometheusText(stats, segments, IsUtf8(label) ? label : Escape(label));
}

std::string JsonLine(const Json& json) {
  return json.dump(-1, ' ', false, Json::error_handler_t::replace) + '\n';
}

}  // namespace freyja::cli
