// Statistics as named fields: the JSON of `stats` and `segments`, whose names are
// part of the command line's promises, and the text for people.
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

// One line with its '\n'; bytes that are not UTF-8 (in a file's name) are replaced.
std::string JsonLine(const nlohmann::ordered_json& json);

}  // namespace freyja::cli
