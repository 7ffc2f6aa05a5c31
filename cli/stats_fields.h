// Statistics as named fields: the JSON of `stats` and `segments`, whose names are
// part of the command line's promises, the text for people, and the one for Prometheus.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "freyja/stats.h"

namespace freyja::cli {

// Flat; sizes in bytes, times in microseconds.
nlohmann::ordered_json StatsJson(const Stats& stats);
nlohmann::ordered_json SegmentJson(const SegmentInfo& segment);

// Several lines each, with units.
std::string StatsText(const Stats& stats);
std::string SegmentsText(const std::vector<SegmentInfo>& segments);

// For Prometheus, with the absolute path of `directory` as the label store; bytes of it that
// are not UTF-8 are escaped.
Result<std::string> StatsPrometheus(const Stats& stats, const std::vector<SegmentInfo>& segments,
                                    const std::string& directory);

// One line with its '\n'; bytes that are not UTF-8 (in a file's name) are replaced.
std::string JsonLine(const nlohmann::ordered_json& json);

}  // namespace freyja::cli
