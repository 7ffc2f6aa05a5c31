#include "dataset.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <fstream>
#include <memory>
#include <sstream>
#include <unordered_map>
#include <utility>

#include "dataset_stanza.h"
#include "records_io.h"
#include "text.h"

namespace freyja::cli {
namespace {

Status Invalid(std::string message) {
  return Status(StatusCode::kInvalidArgument, std::move(message));
}

// The line at `begin` without its end, and where the next one begins.
std::pair<std::string_view, std::size_t> LineAt(std::string_view content, std::size_t begin) {
  const std::size_t end = std::min(content.find('\n', begin), content.size());
  std::string_view line = content.substr(begin, end - begin);
  if (line.ends_with('\r')) line.remove_suffix(1);
  return {line, std::min(end + 1, content.size())};
}

Result<std::vector<DataRecord>> ParseLines(std::string_view content, RecordFormat format,
                                           std::string_view name) {
  std::vector<DataRecord> records;
  std::unordered_map<std::string, std::size_t> index_of;
  std::size_t line_number = 0;
  for (std::size_t begin = 0; begin < content.size();) {
    const auto [line, next] = LineAt(content, begin);
    begin = next;
    ++line_number;
    if (IsBlankLine(format, line)) continue;
    auto record = ParseRecord(format, line);
    if (!record) {
      return std::unexpected(
          Invalid(fmt::format("{}: line {}: {}", name, line_number, record.error())));
    }
    const auto [at, is_new] = index_of.try_emplace(record->key, records.size());
    if (is_new) {
      records.push_back({std::move(record->key), std::move(record->value)});
    } else {
      records[at->second].text = std::move(record->value);
    }
  }
  return records;
}

Result<std::string> ReadFile(const std::filesystem::path& file) {
  std::error_code error;
  if (std::filesystem::is_directory(file, error)) {
    return std::unexpected(Invalid(fmt::format("{}: is a directory", file.string())));
  }
  std::ifstream stream(file, std::ios::binary);
  std::ostringstream content;
  if (stream.is_open() && stream.peek() != std::ifstream::traits_type::eof()) {
    content << stream.rdbuf();
  }
  if (!stream.is_open() || stream.bad() || content.bad()) {
    return std::unexpected(
        Status(StatusCode::kIoError, fmt::format("{}: can't be read", file.string())));
  }
  return std::move(content).str();
}

// What a shell command prints; nothing if it can't be run or fails.
std::string OutputOf(const std::string& command) {
  const auto close = [](std::FILE* pipe) { pclose(pipe); };
  std::unique_ptr<std::FILE, decltype(close)> pipe(popen(command.c_str(), "re"), close);
  std::string output;
  if (pipe == nullptr) return output;
  char buffer[1 << 16];
  while (const std::size_t bytes = std::fread(buffer, 1, sizeof(buffer), pipe.get())) {
    output.append(buffer, bytes);
  }
  if (pclose(pipe.release()) != 0) output.clear();
  return output;
}

std::vector<DataRecord> StanzasOrNothing(const std::string& content) {
  Result<std::vector<DataRecord>> records = ParseStanzas(content, "");
  if (!records) return {};
  MakeKeysUnique(*records);
  return *std::move(records);
}

// Copies of the records under numbered names, until there are `wanted`.
void FillUp(std::vector<DataRecord>& records, std::size_t wanted) {
  const std::size_t originals = records.size();
  for (std::size_t i = originals; i < wanted; ++i) {
    const DataRecord& original = records[i % originals];
    records.push_back({fmt::format("{}~{}", original.key, i / originals + 1), original.text});
  }
}

std::vector<DataRecord> GeneratedRecords(std::size_t wanted) {
  constexpr std::string_view kWords[] = {"store", "segment", "record", "reader", "writer",
                                         "index", "epoch",   "log",    "page",   "swap"};
  std::vector<DataRecord> records;
  for (std::size_t i = 0; i < wanted; ++i) {
    std::string text = fmt::format("Package: made-up-{}\nVersion: 1.{}\nDescription:", i, i % 97);
    for (std::size_t word = 0; word < 60 + i * 31 % 120; ++word) {
      text.append(" ").append(kWords[(i * 7 + word * (1 + i % 9)) % std::size(kWords)]);
    }
    records.push_back({fmt::format("made-up-{}", i), std::move(text)});
  }
  return records;
}

}  // namespace

std::uint64_t Dataset::TextBytes() const {
  std::uint64_t bytes = 0;
  for (const DataRecord& record : records) bytes += record.text.size();
  return bytes;
}

std::string_view DataFormatName(DataFormat format) {
  switch (format) {
    case DataFormat::kStanzas:
      return "stanzas";
    case DataFormat::kNdjson:
      return "NDJSON";
    case DataFormat::kTsv:
      return "TSV";
  }
  return "unknown";
}

Result<DataFormat> DetectFormat(std::string_view content) {
  for (std::size_t begin = 0; begin < content.size();) {
    const auto [line, next] = LineAt(content, begin);
    begin = next;
    const std::size_t first = line.find_first_not_of(" \t");
    if (first == std::string_view::npos) continue;
    if (line[first] == '{') return DataFormat::kNdjson;
    if (LooksLikeField(line)) return DataFormat::kStanzas;
    if (line.find('\t') != std::string_view::npos) return DataFormat::kTsv;
    return std::unexpected(
        Invalid("neither NDJSON ({\"key\":...), TSV (key<TAB>value) nor stanzas "
                "(Field: value)"));
  }
  return std::unexpected(Invalid("holds no record"));
}

Result<std::vector<DataRecord>> ParseRecords(std::string_view content, DataFormat format,
                                             std::string_view name) {
  if (format == DataFormat::kNdjson) return ParseLines(content, RecordFormat::kNdjson, name);
  if (format == DataFormat::kTsv) return ParseLines(content, RecordFormat::kTsv, name);
  Result<std::vector<DataRecord>> records = ParseStanzas(content, name);
  if (records) MakeKeysUnique(*records);
  return records;
}

Result<Dataset> LoadDatasetFile(const std::filesystem::path& file) {
  const Result<std::string> content = ReadFile(file);
  if (!content) return std::unexpected(content.error());
  const Result<DataFormat> format = DetectFormat(*content);
  if (!format) {
    return std::unexpected(Invalid(file.string() + ": " + format.error().message()));
  }
  Result<std::vector<DataRecord>> records = ParseRecords(*content, *format, file.string());
  if (!records) return std::unexpected(records.error());
  return Dataset{.records = *std::move(records),
                 .source = fmt::format("{} ({})", file.string(), DataFormatName(*format))};
}

Dataset LoadPackageIndex(const PackageSources& sources) {
  Dataset dataset;
  dataset.records = StanzasOrNothing(OutputOf(sources.index_command));
  if (!dataset.records.empty() && dataset.records.size() >= sources.enough_records) {
    dataset.source = "the package index (apt-cache dumpavail)";
    return dataset;
  }
  const Result<std::string> installed = ReadFile(sources.installed_packages);
  dataset.records = installed ? StanzasOrNothing(*installed) : std::vector<DataRecord>{};
  if (!dataset.records.empty()) {
    const std::size_t stanzas = dataset.records.size();
    dataset.source = fmt::format("{} installed packages", HumanCount(stanzas));
    if (stanzas < sources.made_up_records) {
      FillUp(dataset.records, sources.made_up_records);
      dataset.source += ", repeated under numbered names";
    }
    dataset.source += " (no useful package index)";
    return dataset;
  }
  dataset.records = GeneratedRecords(sources.made_up_records);
  dataset.source = "generated records; this machine has no package index";
  return dataset;
}

void DropOversized(Dataset& dataset, std::size_t max_key_bytes, std::size_t max_record_bytes) {
  dataset.skipped += std::erase_if(dataset.records, [&](const DataRecord& record) {
    return record.key.size() > max_key_bytes ||
           record.key.size() + record.text.size() > max_record_bytes;
  });
}

}  // namespace freyja::cli
