// Stanzas: RFC 822-like paragraphs, as Debian's package indexes are made of.
#pragma once

#include <string_view>
#include <vector>

#include "dataset.h"
#include "freyja/status.h"

namespace freyja::cli {

// Paragraphs of `Field: value` lines and continuation lines (which start with a space
// or a tab), separated by blank lines. The key is the value of the field `Package`, or
// of the first field if there is none; the text is the whole paragraph without its
// last line end. kInvalidArgument names `name` and the line.
[[nodiscard]] Result<std::vector<DataRecord>> ParseStanzas(std::string_view content,
                                                           std::string_view name);

// Whether `line` begins like the first line of a stanza.
bool LooksLikeField(std::string_view line);

// A key that was there before gets its stanza's version appended ("name=1.2-3"), and a
// number as well if that was there too ("name=1.2-3#2"), so that no record is lost.
void MakeKeysUnique(std::vector<DataRecord>& records);

}  // namespace freyja::cli
