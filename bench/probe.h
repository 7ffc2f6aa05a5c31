// What is measured of one store in a process of its own, so that stores don't pollute one
// another: memory, bytes written, and opening.
#pragma once

#include <cstdint>
#include <filesystem>
#include <nlohmann/json_fwd.hpp>
#include <string>

#include "freyja/status.h"
#include "peer.h"

namespace freyja::bench {

struct ProbeParameters {
  std::filesystem::path directory;
  std::uint64_t keys = 0;
  std::size_t value_bytes = 0;
  std::uint64_t seed = 0;
  std::uint64_t cache_bytes = kDefaultCacheBytes;
};

// Of a store from its making to its closing: filled, each key read once, each overwritten once.
struct Footprint {
  // After the reads, less what the process had before it opened the store.
  std::uint64_t anonymous_bytes = 0;
  std::uint64_t page_table_bytes = 0;
  std::uint64_t resident_bytes = 0;  // of which the files' pages are the page cache's
  std::uint64_t cache_bytes = 0;     // of the anonymous ones, the configured cache
  std::uint64_t put_bytes = 0;       // of keys and values
  std::uint64_t written_bytes = 0;   // to the disk, closing included
  std::uint64_t disk_bytes = 0;      // allocated, after closing
  std::uint64_t operations = 0;
  double cpu_seconds = 0;  // of the whole process, opening and closing included

  // What is left of a cache's bookkeeping may be less than nothing.
  double MemoryPerKey(std::uint64_t keys) const {
    const auto bytes =
        static_cast<double>(anonymous_bytes + page_table_bytes) - static_cast<double>(cache_bytes);
    return bytes / static_cast<double>(keys);
  }
};

struct OpenFigures {
  double seconds = 0;  // of opening, and the first get
  double cpu_seconds = 0;
  std::uint64_t checked = 0;
  std::uint64_t missing = 0;  // of the checked keys
};

// The answers are checked as those of the workloads.
[[nodiscard]] Result<Footprint> MeasureFootprint(const PeerKind& kind,
                                                 const ProbeParameters& parameters);
// Fills a new store and closes it.
[[nodiscard]] Status FillAndClose(const PeerKind& kind, const ProbeParameters& parameters);
// Fills a new store and leaves it open, for as long as the result lives.
[[nodiscard]] Result<std::unique_ptr<Peer>> FillAndKeep(const PeerKind& kind,
                                                        const ProbeParameters& parameters);
// Opens what one of those has filled, and reads a sample of its keys. kCorruption: a value is
// wrong, or a key is missing though `may_miss` is not set.
[[nodiscard]] Result<OpenFigures> MeasureOpen(const PeerKind& kind,
                                              const ProbeParameters& parameters, bool may_miss);

void to_json(nlohmann::json& json, const Footprint& footprint);
void from_json(const nlohmann::json& json, Footprint& footprint);
void to_json(nlohmann::json& json, const OpenFigures& figures);
void from_json(const nlohmann::json& json, OpenFigures& figures);

}  // namespace freyja::bench
