// What compactions did or would do: as JSON, whose names are part of the command line's promises,
// and as text for people.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <span>
#include <string>

#include "freyja/compaction.h"

namespace freyja::cli {

// Of a compaction or an undo.
nlohmann::ordered_json ReportJson(const CompactionReport& report);
std::string ReportText(const CompactionReport& report);
// That `job` was undone.
std::string UndoText(std::uint64_t job, const CompactionReport& report);

nlohmann::ordered_json PlanJson(const CompactionPlan& plan);
std::string PlanText(const CompactionPlan& plan);

// Arrays, in the order given; times in milliseconds since the Unix epoch.
nlohmann::ordered_json QuarantineJson(std::span<const QuarantinedJob> jobs);
std::string QuarantineText(std::span<const QuarantinedJob> jobs);
nlohmann::ordered_json HistoryJson(std::span<const CompactionRecord> records);
std::string HistoryText(std::span<const CompactionRecord> records);

// "until 2026-03-01 12:00:00 UTC", or that no time ends it.
std::string KeptUntil(const QuarantinedJob& job);

}  // namespace freyja::cli
