// What the targets of the command line's text have in common.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "records_io.h"

namespace freyja::fuzz {

// UTF-8 as RFC 3629 has it, read on its own: no surrogates, no overlong forms, nothing
// above U+10FFFF.
bool IsUtf8OnItsOwnTerms(std::string_view bytes);
bool HasControlCharacter(std::string_view text);

// Takes `content` as `load` does, line by line, from a source that gives it in pieces, and as
// the loader of data sets does, and holds the two against each other. Properties:
// - a line is a record or is refused with a reason, and the first refusal is reported with
//   its line's number;
// - a record written by `dump` is one line without control characters and reads back as
//   the same record; TSV only loses the expiry;
// - what all lines that were taken are dumped as loads as the same records.
void CheckLoading(std::span<const std::byte> content, cli::RecordFormat format);

}  // namespace freyja::fuzz
