// DemoOptions: what the command line says about a run of `freyja demo`.
#pragma once

#include <cstdint>
#include <filesystem>

#include "freyja/options.h"

namespace freyja::cli {

struct DemoOptions {
  double seconds = 20;
  std::uint64_t seed = 1;
  unsigned readers = 2;
  unsigned writers = 1;
  std::filesystem::path dir;    // empty: a fresh temporary directory
  std::filesystem::path input;  // empty: the machine's package index
  bool keep = false;
  bool json = false;
  std::uint64_t segment_bytes = std::uint64_t{8} << 20;
  Sync sync = Sync::kInterval;
  // Of all writers together, the same whether compaction runs or not. 0: no limit.
  double write_mib_per_second = 40;
};

}  // namespace freyja::cli
