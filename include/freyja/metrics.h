// A store's statistics in the text form that Prometheus scrapes (version 0.0.4). The names
// are listed in docs/monitoring_metrics.md and are promises: monitoring/freyja.rules.yml
// has alert rules on them.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "freyja/stats.h"
#include "freyja/status.h"

namespace freyja {

// What an HTTP server answers a scrape with.
inline constexpr std::string_view kPrometheusContentType =
    "text/plain; version=0.0.4; charset=utf-8";

// Every figure of `stats`, and of `segments` the sums by state and a distribution: the number
// of series doesn't depend on the number of segments. Every series has the label store, unless
// `store_label` is empty. Thread-safe. Errors: kInvalidArgument (a label that is not UTF-8),
// kOutOfMemory.
//
//   PrometheusText(store.GetStats(), store.GetSegments(), "users")
[[nodiscard]] Result<std::string> PrometheusText(const Stats& stats,
                                                 std::span<const SegmentInfo> segments,
                                                 std::string_view store_label = {});

struct StoreMetrics {
  Stats stats;
  std::vector<SegmentInfo> segments;
  std::string store_label;
};

// The same for several stores in one answer, where texts of single stores must not simply
// follow each other. Besides: kInvalidArgument if two stores have the same label.
[[nodiscard]] Result<std::string> PrometheusText(std::span<const StoreMetrics> stores);

}  // namespace freyja
