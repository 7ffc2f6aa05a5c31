// Bytes and quantities as text a person can read. Thread-safe; no I/O.
#pragma once

#include <cstdint>
#include <expected>
#include <string>
#include <string_view>

namespace freyja::cli {

bool IsUtf8(std::string_view bytes);

// Appends `field` with \t \n \r \\ and \xHH for every other control character.
// Bytes from 0x80 on stay as they are if the whole field is UTF-8 and become \xHH
// otherwise. UnescapeField gives back exactly the same bytes.
void AppendEscaped(std::string_view field, std::string& out);
std::string Escape(std::string_view field);

// The inverse; raw bytes other than a backslash stand for themselves. The error says
// what is wrong and at which column (from 1).
std::expected<std::string, std::string> UnescapeField(std::string_view text);

// `text` with control characters escaped, but backslashes left alone: for messages.
std::string OneLine(std::string_view text);

std::string HumanBytes(std::uint64_t bytes);                      // "17 B", "1.5 KiB", "128 MiB"
std::string HumanSignedBytes(std::int64_t bytes);                 // "-1.5 KiB"
std::string HumanCount(std::uint64_t count);                      // "1,234,567"
std::string Counted(std::uint64_t count, std::string_view noun);  // "1 record", "2,000 records"
std::string HumanDuration(double seconds);                        // "85 us", "1.2 s", "3 min 20 s"
// "2026-03-01 12:00:00 UTC" of milliseconds since the Unix epoch.
std::string UtcTime(std::uint64_t since_epoch_ms);
std::string Percent(std::uint64_t part, std::uint64_t whole);  // "37.5 %"; "-" of nothing

// `width` characters, '#' for the share of `part` in `whole` and '.' for the rest;
// a part that is neither nothing nor all shows at least one of each.
std::string Bar(std::uint64_t part, std::uint64_t whole, std::size_t width);

}  // namespace freyja::cli
