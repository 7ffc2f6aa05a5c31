#include "text.h"

#include <gtest/gtest.h>
#include <rapidcheck.h>
#include <rapidcheck/gtest.h>

#include <CLI/CLI.hpp>
#include <string>
#include <vector>

#include "base64.h"
#include "commands.h"
#include "key_guard.h"
#include "usage_error.h"

namespace freyja::cli {
namespace {

TEST(Text, Utf8IsToldFromOtherBytes) {
  EXPECT_TRUE(IsUtf8(""));
  EXPECT_TRUE(IsUtf8("caf\xc3\xa9 \xf0\x9f\x98\x80"));
  EXPECT_FALSE(IsUtf8("\xc3"));          // cut
  EXPECT_FALSE(IsUtf8("\xc0\x80"));      // overlong
  EXPECT_FALSE(IsUtf8("\xed\xa0\x80"));  // a surrogate
  EXPECT_FALSE(IsUtf8("\xf5\x80\x80\x80"));
}

RC_GTEST_PROP(Text, UnescapingUndoesEscaping, (const std::string& bytes)) {
  const auto back = UnescapeField(Escape(bytes));
  RC_ASSERT(back.has_value());
  RC_ASSERT(*back == bytes);
}

TEST(Text, MessagesStayOnOneLine) { EXPECT_EQ(OneLine("a\nb\\c\x1b[0m"), "a\\nb\\c\\x1b[0m"); }

TEST(Text, BytesHaveTheUnitThatFits) {
  EXPECT_EQ(HumanBytes(0), "0 B");
  EXPECT_EQ(HumanBytes(1023), "1023 B");
  EXPECT_EQ(HumanBytes(1536), "1.5 KiB");
  EXPECT_EQ(HumanBytes((1 << 20) - 1), "1.0 MiB");
  EXPECT_EQ(HumanBytes(UINT64_MAX), "16.0 EiB");
  EXPECT_EQ(HumanSignedBytes(-1536), "-1.5 KiB");
  EXPECT_EQ(HumanSignedBytes(INT64_MIN), "-8.0 EiB");
}

TEST(Text, CountsAreGrouped) {
  EXPECT_EQ(HumanCount(0), "0");
  EXPECT_EQ(HumanCount(999), "999");
  EXPECT_EQ(HumanCount(1000), "1,000");
  EXPECT_EQ(HumanCount(1234567), "1,234,567");
  EXPECT_EQ(Counted(1, "record"), "1 record");
  EXPECT_EQ(Counted(2000, "record"), "2,000 records");
}

TEST(Text, DurationsHaveTheUnitThatFits) {
  EXPECT_EQ(HumanDuration(0.000085), "85 us");
  EXPECT_EQ(HumanDuration(0.25), "250 ms");
  EXPECT_EQ(HumanDuration(1.25), "1.2 s");
  EXPECT_EQ(HumanDuration(200), "3 min 20 s");
  EXPECT_EQ(HumanDuration(7260), "2 h 1 min");
}

TEST(Text, ABarShowsSomethingOfWhateverIsThere) {
  EXPECT_EQ(Bar(0, 100, 10), "..........");
  EXPECT_EQ(Bar(1, 1000, 10), "#.........");
  EXPECT_EQ(Bar(999, 1000, 10), "#########.");
  EXPECT_EQ(Bar(1000, 1000, 10), "##########");
  EXPECT_EQ(Bar(0, 0, 10), "..........");
}

RC_GTEST_PROP(Base64, GivesBackAnyBytes, (const std::string& bytes)) {
  std::string text;
  AppendBase64(bytes, text);
  const auto back = DecodeBase64(text);
  RC_ASSERT(back.has_value());
  RC_ASSERT(*back == bytes);
}

RC_GTEST_PROP(Base64, EachByteStringHasOneSpelling, ()) {
  const auto length = *rc::gen::inRange<std::size_t>(0, 4) * 4;
  const auto text = *rc::gen::container<std::string>(length, rc::gen::element('A', 'B', 'Q', '='));
  const auto bytes = DecodeBase64(text);
  RC_CLASSIFY(bytes.has_value(), "accepted");
  if (!bytes) return;
  std::string again;
  AppendBase64(*bytes, again);
  RC_ASSERT(again == text);
}

TEST(Base64, AgreesWithTheExamplesOfRfc4648) {
  std::string text;
  AppendBase64("foob", text);
  EXPECT_EQ(text, "Zm9vYg==");
  EXPECT_EQ(DecodeBase64("Zm9vYmE=").value(), "fooba");
  EXPECT_FALSE(DecodeBase64("Zm9vYmE"));
  EXPECT_FALSE(DecodeBase64("Zm9vYmF="));  // bits behind the last byte
  EXPECT_FALSE(DecodeBase64("===="));
  EXPECT_FALSE(DecodeBase64("Zm9=YmE="));
}

TEST(UtcTime, IsInWholeSecondsAndTakesAnyNumber) {
  EXPECT_EQ(UtcTime(0), "1970-01-01 00:00:00 UTC");
  EXPECT_EQ(UtcTime(1'772'366'400'999), "2026-03-01 12:00:00 UTC");
  EXPECT_TRUE(UtcTime(UINT64_MAX).ends_with("UTC"));
}

// What the option is after a command line with `text`; 0 if that is refused.
std::uint64_t Duration(const std::string& text) {
  CLI::App app;
  std::uint64_t seconds = 0;
  AddDuration(app, "--keep", &seconds, "");
  try {
    app.parse(std::vector<std::string>{"--keep=" + text});
  } catch (const CLI::ParseError&) {
    return 0;
  }
  return seconds;
}

TEST(Duration, HasAUnitOrIsInSeconds) {
  EXPECT_EQ(Duration("90"), 90U);
  EXPECT_EQ(Duration("90s"), 90U);
  EXPECT_EQ(Duration("30m"), 1800U);
  EXPECT_EQ(Duration("12h"), 43'200U);
  EXPECT_EQ(Duration("7d"), 604'800U);
}

TEST(Duration, NonsenseIsRefused) {
  for (const char* text : {"0", "0s", "-5", "-5m", "5x", "x", "1.5h", "40000d",
                           "99999999999999999999", "9999999999999999999d"}) {
    EXPECT_EQ(Duration(text), 0U) << text;
  }
}

TEST(KeyGuard, KeysToDeleteReachTheParserAsNeitherListNorOption) {
  const std::vector<std::string> typed = {"delete", "--sync", "[a,b]", "-", "--", "-k", "--"};
  std::vector<std::string> keys;
  for (const std::string& argument : GuardKeys(typed)) {
    EXPECT_FALSE(argument.starts_with('['));
    if (argument.starts_with('-')) {
      EXPECT_EQ(argument, "--sync");
    } else {
      keys.push_back(WithoutGuard(argument));
    }
  }
  EXPECT_EQ(keys, (std::vector<std::string>{"delete", "[a,b]", "-", "-k", "--"}));
}

TEST(KeyGuard, OtherCommandsAreLeftAlone) {
  const std::vector<std::string> typed = {"get", "db", "--", "[a]"};
  EXPECT_EQ(GuardKeys(typed), typed);
}

TEST(UsageError, SuggestsOnlyWhatATypingErrorExplains) {
  EXPECT_EQ(ClosestWord("--jsno", {"--json", "--quiet"}), "--json");
  EXPECT_EQ(ClosestWord("stat", {"put", "stats", "segments"}), "stats");
  EXPECT_EQ(ClosestWord("stast", {"put", "stats", "segments"}), "stats");
  EXPECT_EQ(ClosestWord("pat", {"put", "get"}), "put");
  EXPECT_EQ(ClosestWord("frobnicate", {"put", "get", "stats"}), "");
}

}  // namespace
}  // namespace freyja::cli
