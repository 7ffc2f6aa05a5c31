// Runs parts in processes of their own, some at a time, and puts their reports together.
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <iosfwd>
#include <nlohmann/json_fwd.hpp>
#include <vector>

#include "torture/parts.h"

namespace freyja::torture {

struct RunPlan {
  std::vector<Part> parts;
  std::uint64_t seed = 1;
  std::chrono::milliseconds time{0};  // all parts together; zero: their quick forms
  std::filesystem::path directory;
  unsigned jobs = 1;
};

// The part's process is this program called again. One that ends in any other way than by
// leaving its report, or does not end, is a violation. The JSON has settings, "figures",
// "must_be_zero", "violations" (their sum), "problems", "skipped", "not_modelled" and
// "parts", each part's own report with its wall time and the command that repeats it.
nlohmann::ordered_json RunParts(const RunPlan& plan);

void PrintOutcome(const nlohmann::ordered_json& outcome, std::ostream& out);

}  // namespace freyja::torture
