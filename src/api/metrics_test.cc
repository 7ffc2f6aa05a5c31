// The text form for Prometheus: names, values, labels, and that document and table agree.
#include "freyja/metrics.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <chrono>
#include <cstdint>
#include <fstream>
#include <limits>
#include <map>
#include <regex>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include "api/metrics_table.h"

namespace freyja {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

std::string ReadSource(const std::string& name) {
  std::ifstream file(std::string(FREYJA_SOURCE_DIR) + "/" + name);
  EXPECT_TRUE(file.is_open()) << name;
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

std::vector<std::string> Lines(const std::string& text) {
  std::istringstream stream(text);
  std::vector<std::string> lines;
  for (std::string line; std::getline(stream, line);) lines.push_back(line);
  return lines;
}

std::string TextOf(const Stats& stats, const std::vector<SegmentInfo>& segments = {},
                   std::string_view label = {}) {
  const auto text = PrometheusText(stats, segments, label);
  EXPECT_TRUE(text.has_value()) << text.error().ToString();
  return text.value_or("");
}

// The value of the one line that begins with `series` and a space, or what is wrong.
std::string ValueOf(const std::string& text, const std::string& series) {
  std::vector<std::string> values;
  for (const std::string& line : Lines(text)) {
    if (line.starts_with(series + " ")) values.push_back(line.substr(series.size() + 1));
  }
  return values.size() == 1 ? values[0] : std::to_string(values.size()) + " lines";
}

SegmentInfo Segment(SegmentState state, std::uint64_t live_bytes, std::uint64_t dead_bytes) {
  SegmentInfo info;
  info.state = state;
  info.live_bytes = live_bytes;
  info.dead_bytes = dead_bytes;
  info.record_bytes = live_bytes + dead_bytes;
  return info;
}

TEST(MetricsTest, EveryMetricHasHelpTypeAndThenItsSamplesAndComesOnce) {
  const std::string text = TextOf({}, {}, "s");
  EXPECT_TRUE(text.ends_with("\n"));
  std::string metric;
  std::set<std::string> seen;
  std::set<std::string> series;
  for (const std::string& line : Lines(text)) {
    std::smatch match;
    if (std::regex_match(line, match, std::regex("# HELP (freyja_[a-z0-9_]+) .+\\."))) {
      metric = match[1];
      EXPECT_TRUE(seen.insert(metric).second) << line;
    } else if (line.starts_with("#")) {
      EXPECT_TRUE(
          std::regex_match(line, std::regex("# TYPE " + metric + " (counter|gauge|histogram)")))
          << line;
    } else {
      EXPECT_TRUE(std::regex_match(
          line, match,
          std::regex("(" + metric +
                     R"re((_bucket|_sum|_count)?\{store="s"[^{}]*\}) [0-9.e+-]+)re")))
          << line;
      EXPECT_TRUE(series.insert(match[1]).second) << "twice: " << line;
    }
  }
  EXPECT_EQ(seen.size(), api::MetricsTable().size());
}

// Stats grows; this fails for a field that nobody can monitor.
TEST(MetricsTest, EveryFigureOfStatsIsAMetric) {
  const std::string header = ReadSource("include/freyja/stats.h");
  const std::string fields = header.substr(header.find("struct SchedulerStats {"));
  const std::string table = ReadSource("src/api/metrics_table.cc");
  const std::regex field(R"(\n  [\w:]+(?:<[^;]*>)? (\w+)(?: = [^;]+|\{[^;]*\})?;)");
  std::size_t found = 0;
  for (std::sregex_iterator it(fields.begin(), fields.end(), field), end; it != end; ++it) {
    const std::string name = (*it)[1];
    if (name == "decision") continue;  // a text for people
    EXPECT_TRUE(
        std::regex_search(table, std::regex("(&Stats::|stats\\.|scheduler\\.)" + name + "\\b")))
        << "Stats::" << name << " is missing in the table of metrics";
    ++found;
  }
  EXPECT_GE(found, 37u) << "the fields of Stats were not recognised";
}

TEST(MetricsTest, FiguresOfStatsAreWrittenInBaseUnits) {
  Stats stats;
  stats.live_bytes = 400;
  stats.disk_bytes = 1000;
  stats.puts = 7;
  stats.publish_us_longest = 2500;
  stats.publish_p9999 = std::chrono::nanoseconds(1500);
  stats.read_only = true;
  const std::string text = TextOf(stats);
  EXPECT_EQ(ValueOf(text, "freyja_live_bytes"), "400");
  EXPECT_EQ(ValueOf(text, "freyja_space_amplification_ratio"), "2.5");
  EXPECT_EQ(ValueOf(text, "freyja_puts_total"), "7");
  EXPECT_EQ(ValueOf(text, "freyja_publish_longest_seconds"), "0.0025");
  EXPECT_EQ(ValueOf(text, "freyja_publish_p9999_seconds"), "1.5e-06");
  EXPECT_EQ(ValueOf(text, "freyja_read_only"), "1");
}

TEST(MetricsTest, FiguresOfTheSchedulerAreWrittenInSeconds) {
  Stats stats;
  stats.scheduler.running = true;
  stats.scheduler.backoff = std::chrono::milliseconds(1500);
  stats.scheduler.bytes_per_second = 2048;
  stats.scheduler.throttled = std::chrono::microseconds(250'000);
  stats.scheduler.write_delay = std::chrono::microseconds(500);
  stats.scheduler.delayed_writes = 3;
  stats.scheduler.write_delay_total = std::chrono::microseconds(4'500'000);
  const std::string text = TextOf(stats);
  EXPECT_EQ(ValueOf(text, "freyja_scheduler_running"), "1");
  EXPECT_EQ(ValueOf(text, "freyja_scheduler_paused"), "0");
  EXPECT_EQ(ValueOf(text, "freyja_scheduler_backoff_seconds"), "1.5");
  EXPECT_EQ(ValueOf(text, "freyja_compaction_limit_bytes_per_second"), "2048");
  EXPECT_EQ(ValueOf(text, "freyja_compaction_throttled_seconds_total"), "0.25");
  EXPECT_EQ(ValueOf(text, "freyja_write_delay_seconds"), "5e-04");
  EXPECT_EQ(ValueOf(text, "freyja_delayed_writes_total"), "3");
  EXPECT_EQ(ValueOf(text, "freyja_write_delay_seconds_total"), "4.5");
  stats.scheduler.paused = true;
  EXPECT_EQ(ValueOf(TextOf(stats), "freyja_scheduler_paused"), "1");
}

TEST(MetricsTest, LatenciesAreToldApartByOperation) {
  Stats stats;
  std::uint64_t next = 0;
  for (LatencySummary* const each :
       {&stats.latency.reads, &stats.latency.writes, &stats.latency.reads_compacting,
        &stats.latency.writes_compacting}) {
    each->samples = ++next;
    each->mean = std::chrono::microseconds(10 + next);
    each->p50 = std::chrono::microseconds(20 + next);
    each->p99 = std::chrono::microseconds(30 + next);
    each->p999 = std::chrono::microseconds(40 + next);
  }
  const std::string text = TextOf(stats);
  int expected = 0;
  for (const std::string operation : {"read", "write", "read_compacting", "write_compacting"}) {
    const std::string number = std::to_string(++expected);
    const std::string labels = "{operation=\"" + operation + "\"}";
    EXPECT_EQ(ValueOf(text, "freyja_measured_operations_total" + labels), number);
    EXPECT_EQ(ValueOf(text, "freyja_latency_mean_seconds" + labels), "1." + number + "e-05");
    EXPECT_EQ(ValueOf(text, "freyja_latency_p50_seconds" + labels), "2." + number + "e-05");
    EXPECT_EQ(ValueOf(text, "freyja_latency_p99_seconds" + labels), "3." + number + "e-05");
    EXPECT_EQ(ValueOf(text, "freyja_latency_p999_seconds" + labels), "4." + number + "e-05");
  }
}

// Two fields swapped in the table would look right otherwise.
TEST(MetricsTest, EachMetricHasTheFieldOfItsName) {
  Stats stats;
  std::map<std::string, std::uint64_t> expected;
  std::uint64_t next = 1000;
  const auto set = [&](std::uint64_t& field, const std::string& name) {
    field = ++next;
    expected[name] = next;
  };
  set(stats.keys, "freyja_keys");
  set(stats.live_bytes, "freyja_live_bytes");
  set(stats.dead_bytes, "freyja_dead_bytes");
  set(stats.disk_bytes, "freyja_disk_bytes");
  set(stats.preallocated_bytes, "freyja_preallocated_bytes");
  set(stats.segments, "freyja_segments");
  set(stats.retired_segments, "freyja_retired_segments");
  set(stats.quarantined_segments, "freyja_quarantined_segments");
  set(stats.quarantined_bytes, "freyja_quarantined_bytes");
  set(stats.index_bytes, "freyja_index_bytes");
  set(stats.open_snapshots, "freyja_open_snapshots");
  set(stats.last_sequence, "freyja_last_sequence");
  set(stats.durable_sequence, "freyja_durable_sequence");
  set(stats.manifest_generation, "freyja_manifest_generation");
  set(stats.recovered_tail_bytes_discarded, "freyja_recovery_discarded_tail_bytes");
  set(stats.recovered_tail_records_copied, "freyja_recovery_copied_tail_records");
  set(stats.puts, "freyja_puts_total");
  set(stats.deletes, "freyja_deletes_total");
  set(stats.user_bytes_written, "freyja_user_written_bytes_total");
  set(stats.log_bytes_written, "freyja_log_written_bytes_total");
  set(stats.syncs, "freyja_syncs_total");
  set(stats.rolls, "freyja_rolls_total");
  set(stats.compactions_completed, "freyja_compactions_completed_total");
  set(stats.compactions_failed, "freyja_compactions_failed_total");
  set(stats.compaction_failures_in_a_row, "freyja_compaction_failures_in_a_row");
  set(stats.compaction_bytes_read, "freyja_compaction_read_bytes_total");
  set(stats.compaction_bytes_written, "freyja_compaction_written_bytes_total");
  set(stats.compaction_bytes_reclaimed, "freyja_compaction_reclaimed_bytes_total");
  const std::string text = TextOf(stats);
  for (const auto& [name, value] : expected) {
    EXPECT_EQ(ValueOf(text, name), std::to_string(value)) << name;
  }
}

TEST(MetricsTest, CountersAreExactUpTo64Bits) {
  Stats stats;
  stats.log_bytes_written = std::numeric_limits<std::uint64_t>::max();
  EXPECT_EQ(ValueOf(TextOf(stats), "freyja_log_written_bytes_total"), "18446744073709551615");
}

TEST(MetricsTest, BackgroundErrorHasItsKindAsLabelAndNeverItsText) {
  Stats stats;
  EXPECT_EQ(ValueOf(TextOf(stats), "freyja_background_error"), "0");
  stats.background_error = Status(StatusCode::kIoError, "7.data: offset 4096");
  const std::string text = TextOf(stats);
  EXPECT_EQ(ValueOf(text, "freyja_background_error{code=\"IoError\"}"), "1");
  EXPECT_EQ(ValueOf(text, "freyja_background_error"), "0 lines");
  EXPECT_THAT(text, Not(HasSubstr("7.data")));
}

TEST(MetricsTest, SegmentsAreSummedByStateAndEmptyStatesAreZero) {
  SegmentInfo sealed = Segment(SegmentState::kSealed, 10, 20);
  sealed.file_bytes = 31;
  sealed.records = 4;
  sealed.live_records = 3;
  sealed.tombstones = 2;
  sealed.pins = 1;
  const std::string text = TextOf({}, {sealed, Segment(SegmentState::kActive, 5, 6), sealed});
  const auto value = [&](const std::string& name, const std::string& state) {
    return ValueOf(text, "freyja_segment" + name + "{state=\"" + state + "\"}");
  };
  EXPECT_EQ(value("s_by_state", "sealed"), "2");
  EXPECT_EQ(value("s_by_state", "active"), "1");
  EXPECT_EQ(value("_live_bytes", "sealed"), "20");
  EXPECT_EQ(value("_live_bytes", "active"), "5");
  EXPECT_EQ(value("_dead_bytes", "sealed"), "40");
  EXPECT_EQ(value("_file_bytes", "sealed"), "62");
  EXPECT_EQ(value("_records", "sealed"), "8");
  EXPECT_EQ(value("_live_records", "sealed"), "6");
  EXPECT_EQ(value("_tombstones", "sealed"), "4");
  EXPECT_EQ(value("_pins", "sealed"), "2");
  for (const std::string state : {"prepared", "full", "retired", "quarantined"}) {
    EXPECT_EQ(value("s_by_state", state), "0") << state;
  }
}

TEST(MetricsTest, NumberOfSeriesDoesNotDependOnTheNumberOfSegments) {
  const std::vector<SegmentInfo> many(1000, Segment(SegmentState::kSealed, 1, 1));
  EXPECT_EQ(Lines(TextOf({}, {})).size(), Lines(TextOf({}, many)).size());
}

TEST(MetricsTest, HistogramBucketsAreCumulativeAndAValueOnABoundIsBelowIt) {
  const std::string text =
      TextOf({},
             {Segment(SegmentState::kSealed, 10, 0), Segment(SegmentState::kSealed, 50, 50),
              Segment(SegmentState::kSealed, 49, 51), Segment(SegmentState::kSealed, 0, 10),
              Segment(SegmentState::kSealed, 0, 0), Segment(SegmentState::kActive, 0, 10)},
             "s");
  const auto bucket = [&](const std::string& bound) {
    return ValueOf(text, R"(freyja_segment_dead_ratio_bucket{store="s",le=")" + bound + "\"}");
  };
  EXPECT_EQ(bucket("0"), "1");
  EXPECT_EQ(bucket("0.4"), "1");
  EXPECT_EQ(bucket("0.5"), "2");
  EXPECT_EQ(bucket("0.6"), "3");
  EXPECT_EQ(bucket("0.9"), "3");
  EXPECT_EQ(bucket("1"), "4");
  EXPECT_EQ(bucket("+Inf"), "4");
  EXPECT_EQ(ValueOf(text, "freyja_segment_dead_ratio_sum{store=\"s\"}"), "2.01");
  EXPECT_EQ(ValueOf(text, "freyja_segment_dead_ratio_count{store=\"s\"}"), "4");
}

TEST(MetricsTest, StoreLabelIsOnEverySeriesAndEscaped) {
  const std::string text = TextOf({}, {}, "a\\b\"c\nd\xC3\xA9}");
  std::size_t samples = 0;
  for (const std::string& line : Lines(text)) {
    if (line.starts_with("#")) continue;
    EXPECT_THAT(line, HasSubstr("{store=\"a\\\\b\\\"c\\nd\xC3\xA9}\""));
    ++samples;
  }
  EXPECT_GT(samples, 50u);
}

TEST(MetricsTest, WithoutLabelsThereAreNoBraces) {
  EXPECT_THAT(TextOf({}), HasSubstr("\nfreyja_keys 0\n"));
}

TEST(MetricsTest, LabelThatIsNotUtf8IsRefused) {
  for (const std::string_view bad :
       {"\x80", "a\xFF", "\xC0\x80", "\xC3", "\xE0\x80\x80", "\xE2\x82", "\xED\xA0\x80",
        "\xF0\x80\x80\x80", "\xF4\x90\x80\x80", "\xF5\x80\x80\x80", "\xE2\x28\xA1"}) {
    const auto text = PrometheusText(Stats{}, {}, bad);
    ASSERT_FALSE(text.has_value()) << ::testing::PrintToString(bad);
    EXPECT_EQ(text.error().code(), StatusCode::kInvalidArgument);
  }
  for (const std::string_view good : {"\x7F", "\xC2\x80", "\xE0\xA0\x80", "\xED\x9F\xBF",
                                      "\xF0\x90\x80\x80", "\xF4\x8F\xBF\xBF"}) {
    EXPECT_TRUE(PrometheusText(Stats{}, {}, good).has_value()) << ::testing::PrintToString(good);
  }
}

TEST(MetricsTest, SeveralStoresShareOneHeaderAMetric) {
  std::array<StoreMetrics, 2> stores;
  stores[0].store_label = "a";
  stores[0].stats.keys = 1;
  stores[1].store_label = "b";
  stores[1].stats.keys = 2;
  stores[1].segments = {Segment(SegmentState::kFull, 1, 0)};
  const auto text = PrometheusText(stores);
  ASSERT_TRUE(text.has_value()) << text.error().ToString();
  EXPECT_THAT(*text, HasSubstr("# TYPE freyja_keys gauge\n"
                               "freyja_keys{store=\"a\"} 1\n"
                               "freyja_keys{store=\"b\"} 2\n"
                               "# HELP "));
  EXPECT_EQ(ValueOf(*text, R"(freyja_segments_by_state{store="a",state="full"})"), "0");
  EXPECT_EQ(ValueOf(*text, R"(freyja_segments_by_state{store="b",state="full"})"), "1");
}

TEST(MetricsTest, SeveralStoresWithTheSameLabelAreRefused) {
  const std::array<StoreMetrics, 2> stores{};
  const auto text = PrometheusText(stores);
  ASSERT_FALSE(text.has_value());
  EXPECT_EQ(text.error().code(), StatusCode::kInvalidArgument);
}

TEST(MetricsTest, DocumentListsExactlyTheMetricsOfTheTable) {
  std::vector<std::string> documented;
  for (const std::string& line : Lines(ReadSource("docs/monitoring_metrics.md"))) {
    if (line.starts_with("| `freyja_")) documented.push_back(line);
  }
  constexpr std::array kTypes = {"counter", "gauge", "histogram"};
  std::vector<std::string> emitted;
  for (const api::Metric& metric : api::MetricsTable()) {
    const std::string label = metric.label.empty() ? "" : "`" + std::string(metric.label) + "`";
    emitted.push_back("| `" + std::string(metric.name) + "` | " +
                      kTypes.at(static_cast<std::size_t>(metric.type)) + " | " + label + " | " +
                      std::string(metric.help) + " |");
  }
  EXPECT_EQ(documented, emitted);
}

}  // namespace
}  // namespace freyja
