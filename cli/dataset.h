// Dataset: the records that `freyja demo` loads, and where they came from.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "freyja/status.h"

namespace freyja::cli {

struct DataRecord {
  std::string key;
  std::string text;
};

struct Dataset {
  std::vector<DataRecord> records;  // keys are unique
  std::string source;               // for people: what was read, and what was made up
  std::uint64_t skipped = 0;        // records left out because of the store's limits

  std::uint64_t TextBytes() const;
};

enum class DataFormat : std::uint8_t { kStanzas, kNdjson, kTsv };
std::string_view DataFormatName(DataFormat format);

// Decided by the first line that isn't blank. kInvalidArgument if it is like none.
[[nodiscard]] Result<DataFormat> DetectFormat(std::string_view content);

// `content` as records. `name` (a file or a command) and a line number are in every
// message. A key that repeats: the last record wins in NDJSON and TSV, as if loaded
// one after another; of stanzas all are kept, see MakeKeysUnique.
[[nodiscard]] Result<std::vector<DataRecord>> ParseRecords(std::string_view content,
                                                           DataFormat format,
                                                           std::string_view name);

// Reads a file of any of the formats. kInvalidArgument if it holds no record.
[[nodiscard]] Result<Dataset> LoadDatasetFile(const std::filesystem::path& file);

// How the machine's own package index is read; tests put in others.
struct PackageSources {
  std::string index_command = "apt-cache dumpavail 2>/dev/null";
  std::filesystem::path installed_packages = "/var/lib/dpkg/status";
  std::size_t enough_records = 5000;    // an index with fewer isn't used
  std::size_t made_up_records = 40000;  // size of a data set that is filled up
};

// The package index; without a useful one the stanzas of the installed packages,
// repeated under numbered names; without those, generated records. `source` says which.
[[nodiscard]] Dataset LoadPackageIndex(const PackageSources& sources = {});

// Drops the records whose key, or key and text together, are longer than the limits, and
// counts them.
void DropOversized(Dataset& dataset, std::size_t max_key_bytes, std::size_t max_record_bytes);

}  // namespace freyja::cli
