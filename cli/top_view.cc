#include "top_view.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <optional>
#include <string_view>
#include <utility>

#include "text.h"

namespace freyja::cli {
namespace {

constexpr std::size_t kJobBarWidth = 24;
constexpr std::size_t kSegmentColumns = 49;  // of a segment's line, beside its bar
constexpr std::size_t kShortestBar = 8;

// Of a counter between the two samples; nothing without an earlier one, or if the store was
// opened anew meanwhile.
class Rates {
 public:
  explicit Rates(const TopFrame& frame)
      : frame_(frame),
        seconds_(std::chrono::duration<double>(frame.now.at - frame.before.at).count()) {}

  std::optional<double> Of(std::uint64_t now, std::uint64_t before) const {
    if (seconds_ <= 0 || now < before) return std::nullopt;
    return static_cast<double>(now - before) / seconds_;
  }
  std::optional<double> Of(std::uint64_t Stats::* counter) const {
    return Of(frame_.now.stats.*counter, frame_.before.stats.*counter);
  }
  std::string Counts(std::optional<double> rate) const {
    return rate ? HumanCount(static_cast<std::uint64_t>(*rate)) + "/s" : "-";
  }
  std::string Bytes(std::uint64_t Stats::* counter) const {
    const auto rate = Of(counter);
    return rate ? HumanBytes(static_cast<std::uint64_t>(*rate)) + "/s" : "-";
  }

 private:
  const TopFrame& frame_;
  const double seconds_;
};

std::uint64_t MeasuredReads(const Stats& stats) {
  return stats.latency.reads.samples + stats.latency.reads_compacting.samples;
}

std::string LatencyText(const LatencySummary& latency) {
  if (latency.samples == 0) return "-";
  const auto us = [](std::chrono::nanoseconds time) {
    return static_cast<double>(time.count()) / 1000;
  };
  return fmt::format("{:.1f} / {:.1f} / {:.1f}", us(latency.p50), us(latency.p99),
                     us(latency.p999));
}

void AppendSpace(const Stats& stats, std::vector<std::string>& lines) {
  lines.push_back(fmt::format("keys       {:<16}live {:<12}dead {:<12}on disk {}",
                              HumanCount(stats.keys), HumanBytes(stats.live_bytes),
                              HumanBytes(stats.dead_bytes), HumanBytes(stats.disk_bytes)));
  const std::string quarantine =
      stats.quarantined_segments == 0
          ? ""
          : fmt::format("quarantine {} of {}", HumanBytes(stats.quarantined_bytes),
                        Counted(stats.quarantined_segments, "segment"));
  lines.push_back(fmt::format("amplified  space {:<10.2f}writes {:<10.2f}{}",
                              stats.space_amplification(), stats.write_amplification(),
                              quarantine));
}

void AppendLoad(const TopFrame& frame, std::vector<std::string>& lines) {
  const Rates rates(frame);
  const Stats& now = frame.now.stats;
  const Stats& before = frame.before.stats;
  const auto writes = rates.Of(now.puts + now.deletes, before.puts + before.deletes);
  const auto reads = rates.Of(MeasuredReads(now) * kLatencySampleInterval,
                              MeasuredReads(before) * kLatencySampleInterval);
  lines.push_back(fmt::format("writes     {:<16}{:<17}log {:<13}syncs {}", rates.Counts(writes),
                              rates.Bytes(&Stats::user_bytes_written),
                              rates.Bytes(&Stats::log_bytes_written),
                              rates.Counts(rates.Of(&Stats::syncs))));
  lines.push_back(fmt::format("gets       {}{}", reads ? "about " : "", rates.Counts(reads)));
  lines.push_back(fmt::format(
      "compaction read {:<11}written {:<11}reclaimed {:<11}done {}, failed {}",
      rates.Bytes(&Stats::compaction_bytes_read), rates.Bytes(&Stats::compaction_bytes_written),
      HumanBytes(now.compaction_bytes_reclaimed), HumanCount(now.compactions_completed),
      HumanCount(now.compactions_failed)));
}

void AppendLatencies(const LatencyStats& latency, std::vector<std::string>& lines) {
  lines.push_back(
      fmt::format("{:<11}{:<28}{}", "latency us", "p50 / p99 / p99.9", "while compacting"));
  lines.push_back(fmt::format("  reads    {:<28}{}", LatencyText(latency.reads),
                              LatencyText(latency.reads_compacting)));
  lines.push_back(fmt::format("  writes   {:<28}{}", LatencyText(latency.writes),
                              LatencyText(latency.writes_compacting)));
}

void AppendScheduler(const TopSample& now, std::vector<std::string>& lines) {
  const SchedulerStats& scheduler = now.stats.scheduler;
  const std::string rate =
      scheduler.bytes_per_second == 0 ? "no limit" : HumanBytes(scheduler.bytes_per_second) + "/s";
  const std::string what = !scheduler.running ? "off" : scheduler.decision;
  lines.push_back(
      fmt::format("scheduler  {}{} ({})", scheduler.paused ? "paused; " : "", what, rate));
  if (!now.stats.background_error.ok()) {
    lines.push_back("error      " + now.stats.background_error.ToString());
  }
}

std::string TimeLeft(const CompactionJobStatus& job, const TopFrame& frame) {
  const auto& earlier = frame.before.compaction.jobs;
  const auto before = std::ranges::find(earlier, job.id, &CompactionJobStatus::id);
  if (before == earlier.end()) return "";
  const auto rate = Rates(frame).Of(job.bytes_done, before->bytes_done);
  if (!rate || *rate <= 0) return "";
  const auto left =
      static_cast<double>(job.bytes_total - std::min(job.bytes_done, job.bytes_total));
  return fmt::format(", {} left", HumanDuration(left / *rate));
}

void AppendJobs(const TopFrame& frame, std::vector<std::string>& lines) {
  for (const CompactionJobStatus& job : frame.now.compaction.jobs) {
    lines.push_back(fmt::format("job {:<7}[{}] {} {}{}", job.id,
                                Bar(job.bytes_done, job.bytes_total, kJobBarWidth), job.phase,
                                Percent(job.bytes_done, job.bytes_total), TimeLeft(job, frame)));
  }
}

std::string SegmentLine(const SegmentInfo& segment, std::uint64_t largest, std::size_t bar_width) {
  return fmt::format("{:>8} {:<12}[{}] {:>10} {:>10}", segment.id, SegmentStateName(segment.state),
                     SegmentBar(segment.live_bytes, segment.dead_bytes, largest, bar_width),
                     HumanBytes(segment.live_bytes), HumanBytes(segment.dead_bytes));
}

// Those in quarantine last: nothing is to be reclaimed there by compacting.
auto ByUse(const SegmentInfo& segment) {
  return std::pair(segment.state != SegmentState::kQuarantined, segment.dead_bytes);
}

// In order of ids; where there is not room for all, those with the most dead bytes.
void AppendSegments(std::vector<SegmentInfo> segments, std::size_t columns, std::size_t rows,
                    std::vector<std::string>& lines) {
  if (rows < 2 || segments.empty()) return;
  const std::size_t bar_width =
      columns > kSegmentColumns + kShortestBar ? columns - kSegmentColumns : kShortestBar;
  std::uint64_t largest = 1;
  for (const SegmentInfo& each : segments) largest = std::max(largest, each.record_bytes);
  lines.push_back(fmt::format("{:>8} {:<12} {:<{}}  {:>10} {:>10}", "SEGMENT", "STATE",
                              "LIVE # DEAD .", bar_width, "LIVE", "DEAD"));
  --rows;
  const std::size_t shown = segments.size() <= rows ? segments.size() : rows - 1;
  if (shown < segments.size()) {
    std::ranges::sort(segments, std::greater{},
                      [](const SegmentInfo& each) { return std::pair(ByUse(each), each.id); });
  }
  const auto rest = segments.begin() + static_cast<std::ptrdiff_t>(shown);
  std::sort(segments.begin(), rest,
            [](const SegmentInfo& a, const SegmentInfo& b) { return a.id < b.id; });
  for (auto each = segments.begin(); each != rest; ++each) {
    lines.push_back(SegmentLine(*each, largest, bar_width));
  }
  if (rest == segments.end()) return;
  std::uint64_t live = 0;
  std::uint64_t dead = 0;
  for (auto each = rest; each != segments.end(); ++each) {
    live += each->live_bytes;
    dead += each->dead_bytes;
  }
  lines.push_back(fmt::format("     ... {} more with {} live and {} dead",
                              HumanCount(segments.size() - shown), HumanBytes(live),
                              HumanBytes(dead)));
}

}  // namespace

std::string SegmentBar(std::uint64_t live, std::uint64_t dead, std::uint64_t largest,
                       std::size_t width) {
  const auto share = [&](std::uint64_t bytes) -> std::size_t {
    if (bytes == 0 || largest == 0) return 0;
    const double exact =
        static_cast<double>(bytes) / static_cast<double>(largest) * static_cast<double>(width);
    return std::clamp<std::size_t>(static_cast<std::size_t>(std::llround(std::min(exact, 1e6))), 1,
                                   width);
  };
  std::size_t live_width = share(live);
  const std::size_t dead_width = std::min(share(dead), width);
  if (live_width + dead_width > width) live_width = width - std::min(dead_width, width);
  if (live_width == 0 && live != 0 && width > 1) {
    return "#" + std::string(width - 1, '.');
  }
  return std::string(live_width, '#') + std::string(dead_width, '.') +
         std::string(width - live_width - dead_width, ' ');
}

std::string Fit(const std::string& text, std::size_t columns) {
  const std::string line = OneLine(text);
  const auto begins = [](char c) { return (static_cast<unsigned char>(c) & 0xC0) != 0x80; };
  std::size_t end = 0;
  for (std::size_t characters = 0; end < line.size(); ++end) {
    if (begins(line[end]) && characters++ == columns) break;
  }
  return line.substr(0, end);
}

std::vector<std::string> RenderTop(const TopFrame& frame, std::size_t columns, std::size_t rows) {
  std::vector<std::string> lines;
  lines.push_back(fmt::format("{}   {}", frame.directory, frame.note));
  AppendSpace(frame.now.stats, lines);
  AppendLoad(frame, lines);
  AppendLatencies(frame.now.stats.latency, lines);
  AppendScheduler(frame.now, lines);
  AppendJobs(frame, lines);
  lines.emplace_back();
  AppendSegments(frame.now.segments, columns, rows - std::min(rows, lines.size()), lines);
  if (lines.size() > rows) lines.resize(rows);
  for (std::string& line : lines) line = Fit(line, columns);
  return lines;
}

}  // namespace freyja::cli
