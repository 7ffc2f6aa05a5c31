// Data sets of any format, as `demo` detects and reads them. Properties:
// - what is refused is refused with the number of a line that exists;
// - keys are unique and not empty;
// - of stanzas, no line that isn't blank is lost, and each record's text reads back as
//   that one stanza.
#include <charconv>
#include <cstdint>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "dataset.h"
#include "dataset_stanza.h"
#include "fuzz/input.h"
#include "fuzz/property.h"
#include "fuzz/targets.h"

namespace freyja::fuzz {

namespace {

using cli::DataFormat;
using cli::DataRecord;

std::uint64_t LinesOf(std::string_view content) {
  std::uint64_t lines = 1;
  for (const char c : content) lines += c == '\n' ? 1 : 0;
  return lines;
}

void CheckRefusal(const Status& error, std::string_view content) {
  Expect(error.code() == StatusCode::kInvalidArgument, "refused with the wrong code");
  constexpr std::string_view kWhere = "some file: line ";
  std::string_view message = error.message();
  Expect(message.starts_with(kWhere), "refused without a line");
  message.remove_prefix(kWhere.size());
  std::uint64_t line = 0;
  const auto [end, problem] =
      std::from_chars(message.data(), message.data() + message.size(), line);
  Expect(problem == std::errc() && *end == ':', "refused without the number of a line");
  Expect(line >= 1 && line <= LinesOf(content), "a line that doesn't exist was reported");
}

std::string_view WithoutEnd(std::string_view line) {
  return line.substr(0, line.find_last_not_of(" \t\r\n") + 1);
}

// All lines that aren't blank, without white space at their ends.
std::vector<std::string> VisibleLines(std::string_view content) {
  std::vector<std::string> lines;
  while (!content.empty()) {
    const auto length = std::min(content.find('\n'), content.size());
    const std::string_view line = WithoutEnd(content.substr(0, length));
    if (!line.empty()) lines.emplace_back(line);
    content.remove_prefix(std::min(length + 1, content.size()));
  }
  return lines;
}

void CheckStanzas(std::string_view content, const std::vector<DataRecord>& records) {
  std::vector<std::string> lines;
  for (const DataRecord& record : records) {
    for (std::string& line : VisibleLines(record.text)) lines.push_back(std::move(line));
    const auto alone = cli::ParseStanzas(record.text, "one record");
    Expect(alone.has_value() && alone->size() == 1, "a stanza doesn't read back as one");
    Expect(alone->front().text == record.text, "a stanza reads back as another");
    Expect(record.key.starts_with(alone->front().key), "a stanza reads back with another key");
  }
  Expect(lines == VisibleLines(content), "lines were lost");
}

}  // namespace

void FuzzDataset(Bytes data) {
  Input in(data);
  const unsigned choice = in.U8();
  const std::vector<std::byte> rest = in.Rest();
  const std::string_view content = base::AsChars(rest);

  DataFormat format = DataFormat::kStanzas;
  if ((choice & 1) != 0) {
    const auto detected = cli::DetectFormat(content);
    if (!detected) {
      Expect(detected.error().code() == StatusCode::kInvalidArgument, "the wrong code");
      return;
    }
    format = *detected;
  }
  const auto records = cli::ParseRecords(content, format, "some file");
  if (!records) return CheckRefusal(records.error(), content);
  std::set<std::string_view> keys;
  for (const DataRecord& record : *records) {
    Expect(!record.key.empty(), "a record without a key");
    Expect(keys.insert(record.key).second, "a key is there twice");
  }
  if (format == DataFormat::kStanzas) CheckStanzas(content, *records);
}

}  // namespace freyja::fuzz
