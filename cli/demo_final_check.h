// The demo's last word: the store is opened again and compared with the model.
#pragma once

#include <cstdint>
#include <string>

#include "demo_model.h"
#include "freyja/options.h"

namespace freyja::cli {

struct FinalCheck {
  bool reopen_matches_model = false;  // every key by Get, every key by iterator, and the count
  bool check_ok = false;              // VerifyChecksums found nothing
  std::string problem;                // the first, empty if both are true
  std::uint64_t keys = 0;
  double reopen_ms = 0;
};

// The store in `path` must be closed and no thread may use the model.
[[nodiscard]] FinalCheck RunFinalCheck(const std::filesystem::path& path, const Options& options,
                                       DemoModel& model);

}  // namespace freyja::cli
