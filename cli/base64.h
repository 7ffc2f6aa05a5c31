// Base64 of RFC 4648 section 4: the standard alphabet, padded, nothing else.
// (Debian 12 packages no C++ library for it short of a whole TLS stack.)
#pragma once

#include <expected>
#include <string>
#include <string_view>

namespace freyja::cli {

void AppendBase64(std::string_view bytes, std::string& out);

// Strict: refuses white space, missing padding and stray bits behind the last byte,
// so that each byte string has exactly one spelling. The error says what is wrong.
std::expected<std::string, std::string> DecodeBase64(std::string_view text);

}  // namespace freyja::cli
