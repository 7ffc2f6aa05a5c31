#include "record_format_option.h"

#include <filesystem>

namespace freyja::cli {

void AddFormat(CLI::App& command, std::string* format) {
  command.add_option("--format", *format, "ndjson, tsv or auto (default)")
      ->check(CLI::IsMember({"ndjson", "tsv", "auto"}))
      ->type_name("FORMAT");
}

std::optional<RecordFormat> FormatOf(const std::string& format, const std::string& file) {
  if (format == "ndjson") return RecordFormat::kNdjson;
  if (format == "tsv") return RecordFormat::kTsv;
  const std::string extension = std::filesystem::path(file).extension().string();
  if (extension == ".ndjson" || extension == ".jsonl" || extension == ".json") {
    return RecordFormat::kNdjson;
  }
  if (extension == ".tsv" || extension == ".txt") return RecordFormat::kTsv;
  return std::nullopt;
}

}  // namespace freyja::cli
