#include "text.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <ctime>
#include <nlohmann/json.hpp>

namespace freyja::cli {
namespace {

bool IsControl(unsigned char byte) { return byte < 0x20 || byte == 0x7f; }

int HexDigit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

void AppendHex(unsigned char byte, std::string& out) {
  static constexpr std::string_view kDigits = "0123456789abcdef";
  out += "\\x";
  out += kDigits[byte >> 4];
  out += kDigits[byte & 15];
}

// The byte an escape of one letter stands for, or -1.
int SimpleEscape(char letter) {
  switch (letter) {
    case 't':
      return '\t';
    case 'n':
      return '\n';
    case 'r':
      return '\r';
    case '\\':
      return '\\';
    default:
      return -1;
  }
}

void AppendControl(unsigned char byte, std::string& out) {
  switch (byte) {
    case '\t':
      out += "\\t";
      return;
    case '\n':
      out += "\\n";
      return;
    case '\r':
      out += "\\r";
      return;
    default:
      AppendHex(byte, out);
  }
}

}  // namespace

bool IsUtf8(std::string_view bytes) {
  if (std::ranges::none_of(bytes, [](char c) { return static_cast<unsigned char>(c) >= 0x80; })) {
    return true;
  }
  try {
    static_cast<void>(nlohmann::json(bytes).dump());  // strict: throws on anything but UTF-8
    return true;
  } catch (const nlohmann::json::type_error&) {
    return false;
  }
}

void AppendEscaped(std::string_view field, std::string& out) {
  const bool raw_high_bytes = IsUtf8(field);
  for (const char c : field) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '\\') {
      out += "\\\\";
    } else if (IsControl(byte)) {
      AppendControl(byte, out);
    } else if (byte >= 0x80 && !raw_high_bytes) {
      AppendHex(byte, out);
    } else {
      out += c;
    }
  }
}

std::string Escape(std::string_view field) {
  std::string out;
  AppendEscaped(field, out);
  return out;
}

std::expected<std::string, std::string> UnescapeField(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '\\') {
      out += text[i];
      continue;
    }
    const char letter = i + 1 < text.size() ? text[i + 1] : '\0';
    if (const int byte = SimpleEscape(letter); byte >= 0) {
      out += static_cast<char>(byte);
      i += 1;
      continue;
    }
    const int high = letter == 'x' && i + 3 < text.size() ? HexDigit(text[i + 2]) : -1;
    const int low = high >= 0 ? HexDigit(text[i + 3]) : -1;
    if (low < 0) {
      return std::unexpected(fmt::format(
          "bad escape at column {}: a backslash begins \\t, \\n, \\r, \\\\ or \\xHH", i + 1));
    }
    out += static_cast<char>(high * 16 + low);
    i += 3;
  }
  return out;
}

std::string OneLine(std::string_view text) {
  std::string out;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (IsControl(byte)) {
      AppendControl(byte, out);
    } else {
      out += c;
    }
  }
  return out;
}

std::string HumanBytes(std::uint64_t bytes) {
  static constexpr std::array<std::string_view, 6> kUnits = {"KiB", "MiB", "GiB",
                                                             "TiB", "PiB", "EiB"};
  if (bytes < 1024) return fmt::format("{} B", bytes);
  double amount = static_cast<double>(bytes) / 1024;
  std::size_t unit = 0;
  // 1023.95 would print as 1024.0 of the smaller unit.
  while (amount >= 1023.95 && unit + 1 < kUnits.size()) {
    amount /= 1024;
    ++unit;
  }
  return fmt::format("{:.1f} {}", amount, kUnits[unit]);
}

std::string HumanSignedBytes(std::int64_t bytes) {
  const auto magnitude = static_cast<std::uint64_t>(bytes);
  return bytes < 0 ? "-" + HumanBytes(~magnitude + 1) : HumanBytes(magnitude);
}

std::string HumanCount(std::uint64_t count) {
  std::string digits = std::to_string(count);
  for (std::size_t end = digits.size(); end > 3; end -= 3) digits.insert(end - 3, 1, ',');
  return digits;
}

std::string Counted(std::uint64_t count, std::string_view noun) {
  return fmt::format("{} {}{}", HumanCount(count), noun, count == 1 ? "" : "s");
}

std::string HumanDuration(double seconds) {
  if (seconds < 0.001) return fmt::format("{:.0f} us", seconds * 1e6);
  if (seconds < 1) return fmt::format("{:.0f} ms", seconds * 1e3);
  if (seconds < 60) return fmt::format("{:.1f} s", seconds);
  const auto whole = static_cast<std::uint64_t>(std::llround(seconds));
  if (whole < 3600) return fmt::format("{} min {} s", whole / 60, whole % 60);
  return fmt::format("{} h {} min", whole / 3600, whole % 3600 / 60);
}

std::string UtcTime(std::uint64_t since_epoch_ms) {
  const auto seconds = static_cast<std::time_t>(since_epoch_ms / 1000);
  std::tm parts{};
  if (::gmtime_r(&seconds, &parts) == nullptr) return fmt::format("{} ms UTC", since_epoch_ms);
  return fmt::format("{:04}-{:02}-{:02} {:02}:{:02}:{:02} UTC", parts.tm_year + 1900,
                     parts.tm_mon + 1, parts.tm_mday, parts.tm_hour, parts.tm_min, parts.tm_sec);
}

std::string Percent(std::uint64_t part, std::uint64_t whole) {
  if (whole == 0) return "-";
  return fmt::format("{:.1f} %", 100 * static_cast<double>(part) / static_cast<double>(whole));
}

std::string Bar(std::uint64_t part, std::uint64_t whole, std::size_t width) {
  std::size_t filled = 0;
  if (whole > 0 && width > 0) {
    const double share = std::min(1.0, static_cast<double>(part) / static_cast<double>(whole));
    filled = static_cast<std::size_t>(std::lround(share * static_cast<double>(width)));
    if (part > 0) filled = std::max<std::size_t>(filled, 1);
    if (part < whole) filled = std::min(filled, width - 1);
  }
  return std::string(filled, '#') + std::string(width - filled, '.');
}

}  // namespace freyja::cli
