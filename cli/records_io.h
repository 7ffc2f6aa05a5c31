// Records as lines of text: what `load` reads, `dump` and `scan` write. Pure
// functions without I/O, safe on any input. Thread-safe.
//
//   NDJSON  {"key":"..","value":".."}; a field that is not UTF-8 is written as
//           "key_base64" or "value_base64" instead, and either spelling is read.
//           A record that expires has "expires_at_ms" (milliseconds since 1970).
//           Any other, doubled or missing field is an error.
//   TSV     key<TAB>value with the escapes of text.h. It has no place for an expiry.
//
// ParseRecord gives back exactly the bytes AppendRecord was given.
#pragma once

#include <cstdint>
#include <expected>
#include <string>
#include <string_view>

namespace freyja::cli {

enum class RecordFormat { kNdjson, kTsv };

struct Record {
  std::string key;
  std::string value;
  std::uint64_t expires_at_ms = 0;  // 0: never

  friend bool operator==(const Record&, const Record&) = default;
};

// `line` without its line end. The error says what is wrong, not where the line is.
// A key's length is not checked here, except that an empty key is an error.
std::expected<Record, std::string> ParseRecord(RecordFormat format, std::string_view line);

// Appends one line, its '\n' included.
void AppendRecord(RecordFormat format, std::string_view key, std::string_view value,
                  std::uint64_t expires_at_ms, std::string& out);

// The same for a key alone: {"key":".."}, or the escaped key. ParseRecord refuses it.
void AppendKey(RecordFormat format, std::string_view key, std::string& out);

// True for a line that stands for no record: empty, or blank in NDJSON.
bool IsBlankLine(RecordFormat format, std::string_view line);

// Longest line that a record within these limits can need, every byte escaped.
std::size_t MaxLineBytes(std::size_t max_key_bytes, std::size_t max_value_bytes);

}  // namespace freyja::cli
