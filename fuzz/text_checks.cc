#include "fuzz/text_checks.h"

#include <algorithm>
#include <cstddef>
#include <map>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "dataset.h"
#include "fuzz/input.h"
#include "fuzz/property.h"
#include "line_reader.h"
#include "text.h"

namespace freyja::fuzz {

namespace {

using cli::Record;
using cli::RecordFormat;

// Long enough to have lines on both sides of it.
constexpr std::size_t kMaxLineBytes = 200;

struct Loaded {
  std::vector<Record> records;
  std::uint64_t first_bad_line = 0;  // 0: none
  bool any_too_long = false;
};

void CheckDumped(const Record& record, RecordFormat format) {
  std::string line;
  cli::AppendRecord(format, record.key, record.value, record.expires_at_ms, line);
  Expect(line.ends_with('\n'), "a dumped record is not a line");
  line.pop_back();
  std::string visible = line;
  // The tab between the fields of TSV; JSON leaves DEL as it is.
  std::erase(visible, format == RecordFormat::kTsv ? '\t' : '\x7f');
  Expect(!HasControlCharacter(visible), "a dumped record has control characters");
  Expect(IsUtf8OnItsOwnTerms(line), "a dumped record is not UTF-8");
  Expect(!cli::IsBlankLine(format, line), "a dumped record is a blank line");
  Expect(line.size() <= cli::MaxLineBytes(record.key.size(), record.value.size()),
         "a dumped record is longer than a line may be");
  const auto again = cli::ParseRecord(format, line);
  Expect(again.has_value(), "a dumped record is refused");
  Record expected = record;
  if (format == RecordFormat::kTsv) expected.expires_at_ms = 0;
  Expect(*again == expected, "a dumped record reads back as another");
}

void TakeLine(std::string_view line, std::uint64_t number, RecordFormat format, Loaded& loaded) {
  if (cli::IsBlankLine(format, line)) return;
  auto record = cli::ParseRecord(format, line);
  if (!record) {
    Expect(!record.error().empty(), "refused without a reason");
    Expect(!HasControlCharacter(cli::OneLine(record.error())), "a message of several lines");
    if (loaded.first_bad_line == 0) loaded.first_bad_line = number;
    return;
  }
  Expect(!record->key.empty(), "a record without a key");
  CheckDumped(*record, RecordFormat::kNdjson);
  CheckDumped(*record, RecordFormat::kTsv);
  loaded.records.push_back(*std::move(record));
}

// Gives `content` in pieces of up to `piece` bytes.
cli::LineReader::Source InPieces(std::string_view content, std::size_t piece) {
  return [content, piece](char* data, std::size_t size) mutable -> Result<std::size_t> {
    const std::size_t count = std::min({size, piece, content.size()});
    content.copy(data, count);
    content.remove_prefix(count);
    return count;
  };
}

Loaded LoadLines(std::string_view content, RecordFormat format, std::size_t piece) {
  Loaded loaded;
  cli::LineReader reader(InPieces(content, piece), kMaxLineBytes);
  std::uint64_t lines = 0;
  for (;;) {
    const auto outcome = reader.Next();
    Expect(outcome.has_value(), "reading memory failed");
    if (*outcome == cli::LineReader::Outcome::kEnd) break;
    Expect(reader.line_number() == ++lines, "a line was numbered wrong");
    if (*outcome == cli::LineReader::Outcome::kTooLong) {
      loaded.any_too_long = true;
      continue;
    }
    Expect(reader.line().size() <= kMaxLineBytes, "a line that is too long was passed on");
    Expect(reader.line().find('\n') == std::string_view::npos, "a line end in a line");
    TakeLine(reader.line(), lines, format, loaded);
  }
  Expect(reader.bytes_read() == content.size(), "bytes were counted wrong");
  const auto ends = static_cast<std::uint64_t>(std::ranges::count(content, '\n'));
  const bool open_end = !content.empty() && !content.ends_with('\n');
  Expect(lines == ends + (open_end ? 1 : 0), "lines were lost");
  return loaded;
}

using Newest = std::map<std::string, std::string>;

void CheckDataset(std::string_view content, RecordFormat format, const Loaded& loaded) {
  const auto kind =
      format == RecordFormat::kNdjson ? cli::DataFormat::kNdjson : cli::DataFormat::kTsv;
  const auto records = cli::ParseRecords(content, kind, "the input");
  Expect(records.has_value() == (loaded.first_bad_line == 0), "load and demo don't agree");
  if (!records) {
    const std::string where = "the input: line " + std::to_string(loaded.first_bad_line) + ": ";
    Expect(records.error().message().starts_with(where), "the wrong line was reported");
    Expect(records.error().code() == StatusCode::kInvalidArgument, "refused with the wrong code");
    return;
  }
  Newest expected;
  for (const Record& record : loaded.records) {
    expected.insert_or_assign(record.key, record.value);
  }
  Newest found;
  for (const auto& [key, text] : *records) {
    Expect(found.emplace(key, text).second, "a key is there twice");
  }
  Expect(found == expected, "load and demo read different records");
}

void CheckDumpLoads(const Loaded& loaded, RecordFormat format, std::size_t piece) {
  std::string dump;
  for (const Record& record : loaded.records) {
    cli::AppendRecord(format, record.key, record.value, record.expires_at_ms, dump);
  }
  const Loaded again = LoadLines(dump, format, piece);
  Expect(again.first_bad_line == 0, "a dump does not load");
  if (again.any_too_long) return;
  Expect(again.records.size() == loaded.records.size(), "a dump loads as more or fewer records");
  for (std::size_t i = 0; i < again.records.size(); ++i) {
    Record expected = loaded.records[i];
    if (format == RecordFormat::kTsv) expected.expires_at_ms = 0;
    Expect(again.records[i] == expected, "a dump loads as other records");
  }
}

}  // namespace

bool IsUtf8OnItsOwnTerms(std::string_view bytes) {
  for (std::size_t i = 0; i < bytes.size();) {
    const auto first = static_cast<unsigned char>(bytes[i++]);
    if (first < 0x80) continue;
    const int more = first >= 0xF0 ? 3 : first >= 0xE0 ? 2 : 1;
    if (first < 0xC2 || first > 0xF4) return false;
    std::uint32_t code = first & (0x3FU >> more);
    for (int k = 0; k < more; ++k) {
      if (i == bytes.size()) return false;
      const auto next = static_cast<unsigned char>(bytes[i++]);
      if (next >> 6 != 2) return false;
      code = code << 6 | (next & 0x3FU);
    }
    constexpr std::uint32_t kSmallest[] = {0, 0x80, 0x800, 0x10000};
    if (code < kSmallest[more] || code > 0x10FFFF || (code >= 0xD800 && code <= 0xDFFF)) {
      return false;
    }
  }
  return true;
}

bool HasControlCharacter(std::string_view text) {
  return std::ranges::any_of(text, [](char c) {
    const auto byte = static_cast<unsigned char>(c);
    return byte < 0x20 || byte == 0x7F;
  });
}

void CheckLoading(std::span<const std::byte> bytes, RecordFormat format) {
  Input in(bytes);
  const std::size_t piece = 1 + in.Below(64);
  const std::vector<std::byte> rest = in.Rest();
  const std::string_view content = base::AsChars(rest);
  const Loaded loaded = LoadLines(content, format, piece);
  // The loader of data sets has no limit for lines.
  if (!loaded.any_too_long) CheckDataset(content, format, loaded);
  if (loaded.records.empty()) return;
  CheckDumpLoads(loaded, RecordFormat::kNdjson, piece);
  CheckDumpLoads(loaded, RecordFormat::kTsv, piece);
}

}  // namespace freyja::fuzz
