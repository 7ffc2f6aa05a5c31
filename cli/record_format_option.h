// The option --format of load and dump.
#pragma once

#include <CLI/CLI.hpp>
#include <optional>
#include <string>

#include "records_io.h"

namespace freyja::cli {

void AddFormat(CLI::App& command, std::string* format);

// The format that `format` ("ndjson", "tsv", "auto") or else the extension of `file`
// names; empty if neither does.
std::optional<RecordFormat> FormatOf(const std::string& format, const std::string& file);

}  // namespace freyja::cli
