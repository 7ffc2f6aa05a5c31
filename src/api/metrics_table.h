// The table of metrics: what each is called, what it means and where its value comes from.
// A new figure is one more row of metrics_table.cc and one of docs/monitoring_metrics.md.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "freyja/stats.h"

namespace freyja::api {

enum class MetricType : std::uint8_t { kCounter, kGauge, kHistogram };

// counts[i] observations were at most bounds[i] and above the bound before; one more count
// than bounds, for those above the last. The bounds ascend.
struct Histogram {
  std::vector<double> bounds;
  std::vector<std::uint64_t> counts;
  double sum = 0;
};

struct MetricSource {
  const Stats& stats;
  std::span<const SegmentInfo> segments;
};

using Number = std::variant<std::uint64_t, double>;

// One series. The label is Metric::label; an empty value is the same as no label.
struct Sample {
  std::string_view label_value;
  std::variant<std::uint64_t, double, Histogram> value;
};

// A field summed over the segments of each state; nullptr counts the segments.
struct SumByState {
  std::uint64_t SegmentInfo::* field;
};

// The first three make one series without a label, SumByState one per state, and the last
// whatever it returns: labelled series, histograms.
using Getter = std::variant<std::uint64_t Stats::*, bool Stats::*, double (*)(const Stats&),
                            SumByState, std::vector<Sample> (*)(const MetricSource&)>;

struct Metric {
  std::string_view name;
  MetricType type;
  std::string_view label;  // that its series have besides store; "" for none
  std::string_view help;
  Getter getter;
};

std::span<const Metric> MetricsTable();
std::vector<Sample> Collect(const Metric& metric, const MetricSource& source);

}  // namespace freyja::api
