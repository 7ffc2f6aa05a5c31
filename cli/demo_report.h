// DemoReport: what a run of the demo found out, as text and as JSON.
#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "demo_compactions.h"
#include "demo_context.h"
#include "demo_final_check.h"
#include "demo_options.h"

namespace freyja::cli {

struct DemoReport {
  DemoOptions options;
  std::string source;
  std::uint64_t records = 0;
  std::uint64_t record_bytes = 0;  // of the loaded texts
  std::uint64_t records_skipped = 0;
  double load_seconds = 0;
  double seconds = 0;  // that readers, writers and compaction ran
  bool interrupted = false;

  std::uint64_t reads = 0;
  std::uint64_t reads_during_swap = 0;
  std::uint64_t missed = 0;
  std::uint64_t stale = 0;
  std::uint64_t corrupt = 0;
  std::uint64_t writes = 0;
  std::uint64_t deletes = 0;
  std::uint64_t rounds = 0;
  std::uint64_t iterations = 0;
  PhaseLatencies read_latencies;
  PhaseLatencies write_latencies;
  CompactionTotals compactions;

  double space_amplification_highest = 0;
  double space_amplification_final = 0;
  double write_amplification = 0;
  std::string background_error;  // the store's first one, empty if there was none
  FinalCheck final_check;
  std::vector<std::string> notes;  // the first wrong answers, in words
  std::string kept_in;             // the store's directory, if it's still there

  bool answers_right() const { return missed == 0 && stale == 0 && corrupt == 0; }
  bool passed() const {
    return answers_right() && final_check.reopen_matches_model && final_check.check_ok;
  }
};

// One object; docs and scripts rely on its names.
nlohmann::json ReportAsJson(const DemoReport& report);
// Several lines of at most 100 columns, each with its '\n'.
std::string ReportAsText(const DemoReport& report);

}  // namespace freyja::cli
