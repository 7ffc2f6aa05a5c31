#include "line_reader.h"

#include <gtest/gtest.h>
#include <rapidcheck.h>
#include <rapidcheck/gtest.h>

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

namespace freyja::cli {
namespace {

// Hands out `text` at most `piece` bytes at a time.
LineReader::Source FromString(std::string text, std::size_t piece) {
  return [text = std::move(text), piece, at = std::size_t{0}](
             char* data, std::size_t size) mutable -> Result<std::size_t> {
    const std::size_t count = std::min({size, piece, text.size() - at});
    std::copy_n(text.data() + at, count, data);
    at += count;
    return count;
  };
}

constexpr std::size_t kNoLimit = 1 << 30;

// The lines, "<too long>" for one over the limit.
std::vector<std::string> LinesOf(const std::string& text, std::size_t piece,
                                 std::size_t max_line_bytes = kNoLimit) {
  LineReader reader(FromString(text, piece), max_line_bytes);
  std::vector<std::string> lines;
  for (;;) {
    const auto outcome = reader.Next();
    if (!outcome || *outcome == LineReader::Outcome::kEnd) return lines;
    const bool too_long = *outcome == LineReader::Outcome::kTooLong;
    lines.push_back(too_long ? "<too long>" : std::string(reader.line()));
    EXPECT_EQ(reader.line_number(), lines.size());
  }
}

using Lines = std::vector<std::string>;

TEST(LineReader, CutsAtUnixAndDosLineEnds) {
  EXPECT_EQ(LinesOf("a\nb\r\n\nc\rd\n", 100), (Lines{"a", "b", "", "c\rd"}));
}

TEST(LineReader, LastLineNeedsNoLineEnd) {
  EXPECT_EQ(LinesOf("a\nb", 1), (Lines{"a", "b"}));
  EXPECT_EQ(LinesOf("a\n", 1), (Lines{"a"}));
}

TEST(LineReader, EmptyInputHasNoLines) { EXPECT_EQ(LinesOf("", 1), Lines{}); }

TEST(LineReader, LinesOverTheLimitAreSkippedAndCounted) {
  EXPECT_EQ(LinesOf("1234\n12345\nok\n", 2, 4), (Lines{"1234", "<too long>", "ok"}));
  EXPECT_EQ(LinesOf("1234567890", 2, 4), (Lines{"<too long>"}));
  EXPECT_EQ(LinesOf(std::string(5'000'000, 'x') + "\nok", 4096, 1000), (Lines{"<too long>", "ok"}));
}

TEST(LineReader, AHugeLineComesWhole) {
  const std::string huge(std::size_t{3} << 20, 'h');
  EXPECT_EQ(LinesOf("a\n" + huge + "\nb\n", 65536), (Lines{"a", huge, "b"}));
}

RC_GTEST_PROP(LineReader, LinesDoNotDependOnHowTheInputIsCut, ()) {
  const auto text = *rc::gen::container<std::string>(rc::gen::element('a', '\n', '\r', '\0'));
  const auto piece = *rc::gen::inRange<std::size_t>(1, 8);
  const auto limit = *rc::gen::inRange<std::size_t>(0, 6);
  RC_ASSERT(LinesOf(text, piece, limit) == LinesOf(text, 1'000'000, limit));
}

TEST(LineReader, FirstVisibleByteSkipsBlanksAndConsumesNothing) {
  LineReader reader(FromString(" \r\n\t{x", 1), kNoLimit);
  EXPECT_EQ(reader.FirstVisibleByte().value(), '{');
  ASSERT_EQ(reader.Next().value(), LineReader::Outcome::kLine);
  EXPECT_EQ(reader.line(), " ");
  LineReader blank(FromString(" \n", 1), kNoLimit);
  EXPECT_EQ(blank.FirstVisibleByte().value(), '\0');
}

TEST(LineReader, AFailingSourceFailsTheCall) {
  LineReader reader(
      [](char*, std::size_t) -> Result<std::size_t> {
        return std::unexpected(Status(StatusCode::kIoError, "broken"));
      },
      kNoLimit);
  const auto outcome = reader.Next();
  ASSERT_FALSE(outcome.has_value());
  EXPECT_EQ(outcome.error().message(), "broken");
}

}  // namespace
}  // namespace freyja::cli
