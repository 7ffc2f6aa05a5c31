// The spellings of the command line: escapes, base64, UTF-8. Properties, for any bytes:
// - escaping leaves no control character, is UTF-8 if anything is, and is undone exactly;
// - what unescapes is the same after another round; what doesn't names a column that exists;
// - base64 is undone exactly, and each byte string has one spelling;
// - UTF-8 is what RFC 3629 says.
#include <charconv>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base64.h"
#include "fuzz/input.h"
#include "fuzz/property.h"
#include "fuzz/targets.h"
#include "fuzz/text_checks.h"
#include "text.h"

namespace freyja::fuzz {

namespace {

void CheckEscapes(std::string_view text) {
  const std::string escaped = cli::Escape(text);
  Expect(!HasControlCharacter(escaped), "a control character was not escaped");
  Expect(cli::IsUtf8(escaped), "escaped text is not UTF-8");
  const auto back = cli::UnescapeField(escaped);
  Expect(back.has_value() && *back == text, "escaping is not undone");
  Expect(!HasControlCharacter(cli::OneLine(text)), "a message of several lines");

  const auto plain = cli::UnescapeField(text);
  if (plain) {
    Expect(plain->size() <= text.size(), "unescaping made it longer");
    const auto again = cli::UnescapeField(cli::Escape(*plain));
    Expect(again.has_value() && *again == *plain, "another round changes it");
    return;
  }
  constexpr std::string_view kWhere = "bad escape at column ";
  std::string_view message = plain.error();
  Expect(message.starts_with(kWhere), "refused without a column");
  message.remove_prefix(kWhere.size());
  std::size_t column = 0;
  std::from_chars(message.data(), message.data() + message.size(), column);
  Expect(column >= 1 && column <= text.size() && text[column - 1] == '\\', "the wrong column");
  Expect(cli::UnescapeField(text.substr(0, column - 1)).has_value(), "not the first bad escape");
}

void CheckBase64(std::string_view text) {
  std::string encoded;
  cli::AppendBase64(text, encoded);
  Expect(encoded.size() == (text.size() + 2) / 3 * 4, "base64 of the wrong length");
  const auto back = cli::DecodeBase64(encoded);
  Expect(back.has_value() && *back == text, "base64 is not undone");
  const auto decoded = cli::DecodeBase64(text);
  if (!decoded) return Expect(!decoded.error().empty(), "refused without a reason");
  std::string again;
  cli::AppendBase64(*decoded, again);
  Expect(again == text, "a second spelling in base64");
}

}  // namespace

void FuzzText(Bytes data) {
  const std::vector<std::byte> bytes = Input(data).Rest();
  const std::string_view text = base::AsChars(bytes);
  CheckEscapes(text);
  CheckBase64(text);
  Expect(cli::IsUtf8(text) == IsUtf8OnItsOwnTerms(text), "UTF-8 is judged wrongly");
}

}  // namespace freyja::fuzz
