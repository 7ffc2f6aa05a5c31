#include "records_io.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>
#include <optional>
#include <utility>

#include "base64.h"
#include "text.h"

namespace freyja::cli {
namespace {

using Json = nlohmann::json;

// Takes one flat object as it is parsed: nothing is built for input that is refused,
// however deeply it nests, and a doubled field is seen (a document tree hides it).
class RecordReader : public nlohmann::json_sax<Json> {
 public:
  bool start_object(std::size_t) override {
    if (in_object_) return RefuseValue("an object");
    in_object_ = true;
    return true;
  }
  bool end_object() override { return true; }
  bool start_array(std::size_t) override { return RefuseValue("an array"); }
  bool end_array() override { return true; }
  bool null() override { return RefuseValue("null"); }
  bool boolean(bool) override { return RefuseValue("true or false"); }
  bool number_integer(number_integer_t) override { return RefuseValue("a negative number"); }
  bool number_float(number_float_t, const string_t&) override { return RefuseValue("a number"); }
  bool binary(binary_t&) override { return RefuseValue("binary"); }

  bool key(string_t& name) override {
    if (name != "key" && name != "key_base64" && name != "value" && name != "value_base64" &&
        name != "expires_at_ms") {
      return Refuse(fmt::format("unknown field \"{}\"", Escape(name.substr(0, 100))));
    }
    field_ = name;
    return true;
  }

  bool number_unsigned(number_unsigned_t number) override {
    if (!in_object_ || field_ != "expires_at_ms") return RefuseValue("a number");
    if (expires_at_ms_) return Refuse("field \"expires_at_ms\" is there twice");
    expires_at_ms_ = number;
    return true;
  }

  bool string(string_t& text) override {
    if (!in_object_ || field_ == "expires_at_ms") return RefuseValue("a string");
    std::optional<std::string>& slot = field_.starts_with("key") ? key_ : value_;
    if (slot) return Refuse(fmt::format("a second {} in field \"{}\"", SlotName(), field_));
    if (!field_.ends_with("_base64")) {
      slot = std::move(text);
      return true;
    }
    auto decoded = DecodeBase64(text);
    if (!decoded) return Refuse(fmt::format("field \"{}\": {}", field_, decoded.error()));
    slot = std::move(*decoded);
    return true;
  }

  bool parse_error(std::size_t position, const std::string&,
                   const nlohmann::detail::exception& error) override {
    std::string_view what = error.what();
    // The library's text begins with its own error number and the place, counted in lines.
    if (const auto detail = what.find(": "); detail != what.npos) what.remove_prefix(detail + 2);
    return Refuse(fmt::format("not valid JSON at column {}: {}", position, what.substr(0, 200)));
  }

  std::expected<Record, std::string> Finish() && {
    if (!error_.empty()) return std::unexpected(std::move(error_));
    if (!key_) return std::unexpected("no field \"key\" or \"key_base64\"");
    if (!value_) return std::unexpected("no field \"value\" or \"value_base64\"");
    return Record{std::move(*key_), std::move(*value_), expires_at_ms_.value_or(0)};
  }

 private:
  bool Refuse(std::string error) {
    error_ = std::move(error);
    return false;
  }
  bool RefuseValue(std::string_view kind) {
    if (!in_object_) return Refuse(fmt::format("the line is {}, not a JSON object", kind));
    const bool number = field_ == "expires_at_ms";
    return Refuse(fmt::format("field \"{}\" is {}, not {}", field_, kind,
                              number ? "a number of milliseconds" : "a string"));
  }
  std::string_view SlotName() const { return field_.starts_with("key") ? "key" : "value"; }

  bool in_object_ = false;
  std::string field_;
  std::optional<std::string> key_;
  std::optional<std::string> value_;
  std::optional<std::uint64_t> expires_at_ms_;
  std::string error_;
};

std::expected<Record, std::string> ParseNdjson(std::string_view line) {
  RecordReader reader;
  // The answer says no more than Finish does: whether the reader has an error.
  static_cast<void>(Json::sax_parse(line, &reader));
  return std::move(reader).Finish();
}

std::expected<Record, std::string> ParseTsv(std::string_view line) {
  const std::size_t tab = line.find('\t');
  if (tab == line.npos) return std::unexpected("no tab between key and value");
  if (line.find('\t', tab + 1) != line.npos) {
    return std::unexpected("more than one tab; a tab within a key or value is written \\t");
  }
  auto key = UnescapeField(line.substr(0, tab));
  if (!key) return std::unexpected("key: " + key.error());
  auto value = UnescapeField(line.substr(tab + 1));
  if (!value) return std::unexpected("value: " + value.error());
  return Record{std::move(*key), std::move(*value), 0};
}

void AppendJsonField(std::string_view name, std::string_view bytes, std::string& out) {
  try {
    out += fmt::format("\"{}\":{}", name, Json(bytes).dump());
  } catch (const Json::type_error&) {  // not UTF-8
    out += fmt::format("\"{}_base64\":\"", name);
    AppendBase64(bytes, out);
    out += '"';
  }
}

}  // namespace

std::expected<Record, std::string> ParseRecord(RecordFormat format, std::string_view line) {
  auto record = format == RecordFormat::kNdjson ? ParseNdjson(line) : ParseTsv(line);
  if (record && record->key.empty()) return std::unexpected("the key is empty");
  return record;
}

void AppendRecord(RecordFormat format, std::string_view key, std::string_view value,
                  std::uint64_t expires_at_ms, std::string& out) {
  if (format == RecordFormat::kTsv) {
    AppendEscaped(key, out);
    out += '\t';
    AppendEscaped(value, out);
    out += '\n';
    return;
  }
  out += '{';
  AppendJsonField("key", key, out);
  out += ',';
  AppendJsonField("value", value, out);
  if (expires_at_ms != 0) out += fmt::format(",\"expires_at_ms\":{}", expires_at_ms);
  out += "}\n";
}

void AppendKey(RecordFormat format, std::string_view key, std::string& out) {
  if (format == RecordFormat::kTsv) {
    AppendEscaped(key, out);
  } else {
    out += '{';
    AppendJsonField("key", key, out);
    out += '}';
  }
  out += '\n';
}

bool IsBlankLine(RecordFormat format, std::string_view line) {
  if (format == RecordFormat::kTsv) return line.empty();
  return line.find_first_not_of(" \t\r") == line.npos;
}

std::size_t MaxLineBytes(std::size_t max_key_bytes, std::size_t max_value_bytes) {
  constexpr std::size_t kLongestEscape = 6;  // \u0000
  constexpr std::size_t kPunctuation = 4096;
  return (max_key_bytes + max_value_bytes) * kLongestEscape + kPunctuation;
}

}  // namespace freyja::cli
