#include "dataset_stanza.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstddef>
#include <optional>
#include <string>
#include <unordered_set>

namespace freyja::cli {
namespace {

bool IsFieldNameByte(char c) { return c > ' ' && c < 0x7f && c != ':'; }

bool IsBlank(std::string_view line) {
  return line.find_first_not_of(" \t\r") == std::string_view::npos;
}

std::string_view Trimmed(std::string_view text) {
  const std::size_t first = text.find_first_not_of(" \t\r");
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(" \t\r") - first + 1);
}

// The value of `field` in a stanza's text, without continuation lines.
std::optional<std::string_view> FieldValue(std::string_view stanza, std::string_view field) {
  std::size_t begin = 0;
  while (begin < stanza.size()) {
    const std::size_t end = std::min(stanza.find('\n', begin), stanza.size());
    const std::string_view line = stanza.substr(begin, end - begin);
    if (line.size() > field.size() && line.starts_with(field) && line[field.size()] == ':') {
      return Trimmed(line.substr(field.size() + 1));
    }
    begin = end + 1;
  }
  return std::nullopt;
}

Status LineError(std::string_view name, std::size_t line, std::string_view what) {
  return Status(StatusCode::kInvalidArgument, fmt::format("{}: line {}: {}", name, line, what));
}

Result<DataRecord> MakeRecord(std::string_view stanza, std::string_view name, std::size_t line) {
  std::optional<std::string_view> key = FieldValue(stanza, "Package");
  if (!key) key = FieldValue(stanza, stanza.substr(0, stanza.find(':')));
  if (!key || key->empty()) {
    return std::unexpected(LineError(name, line,
                                     "the stanza's first field has no value to be "
                                     "its key"));
  }
  return DataRecord{std::string(*key), std::string(stanza)};
}

}  // namespace

bool LooksLikeField(std::string_view line) {
  std::size_t length = 0;
  while (length < line.size() && IsFieldNameByte(line[length])) ++length;
  if (length == 0 || length == line.size() || line[length] != ':') return false;
  const std::string_view rest = line.substr(length + 1);
  return rest.empty() || rest[0] == ' ' || rest[0] == '\t' || rest[0] == '\r';
}

Result<std::vector<DataRecord>> ParseStanzas(std::string_view content, std::string_view name) {
  std::vector<DataRecord> records;
  std::size_t stanza_begin = 0;
  std::size_t stanza_end = 0;
  std::size_t stanza_line = 0;  // 0: between stanzas
  std::size_t line_number = 0;
  std::size_t begin = 0;
  while (begin <= content.size()) {
    const bool at_end = begin == content.size();
    const std::size_t end = std::min(content.find('\n', begin), content.size());
    const std::string_view line = content.substr(begin, end - begin);
    ++line_number;
    if (at_end || IsBlank(line)) {
      if (stanza_line != 0) {
        auto record =
            MakeRecord(content.substr(stanza_begin, stanza_end - stanza_begin), name, stanza_line);
        if (!record) return std::unexpected(record.error());
        records.push_back(*std::move(record));
        stanza_line = 0;
      }
      if (at_end) break;
    } else {
      const bool continues = line[0] == ' ' || line[0] == '\t';
      if (continues && stanza_line == 0) {
        return std::unexpected(LineError(name, line_number,
                                         "a stanza can't begin with a "
                                         "continuation line"));
      }
      if (!continues && !LooksLikeField(line)) {
        return std::unexpected(LineError(name, line_number,
                                         "expected 'Field: value', a "
                                         "continuation line or a blank line"));
      }
      if (stanza_line == 0) {
        stanza_begin = begin;
        stanza_line = line_number;
      }
      stanza_end = end;
    }
    begin = std::min(end + 1, content.size());
  }
  return records;
}

void MakeKeysUnique(std::vector<DataRecord>& records) {
  std::unordered_set<std::string> taken;
  taken.reserve(records.size());
  for (DataRecord& record : records) {
    if (taken.insert(record.key).second) continue;
    const std::string name = record.key;
    const std::string versioned =
        fmt::format("{}={}", name, FieldValue(record.text, "Version").value_or("?"));
    record.key = versioned;
    for (int number = 2; !taken.insert(record.key).second; ++number) {
      record.key = fmt::format("{}#{}", versioned, number);
    }
  }
}

}  // namespace freyja::cli
