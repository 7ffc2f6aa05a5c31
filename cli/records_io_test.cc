#include "records_io.h"

#include <gtest/gtest.h>
#include <rapidcheck.h>
#include <rapidcheck/gtest.h>

#include <string>

namespace freyja::cli {
namespace {

using namespace std::string_literals;

std::string LineOf(RecordFormat format, const Record& record) {
  std::string line;
  AppendRecord(format, record.key, record.value, record.expires_at_ms, line);
  return line;
}

std::string ErrorOf(RecordFormat format, std::string_view line) {
  const auto record = ParseRecord(format, line);
  return record ? "accepted" : record.error();
}

std::string NdjsonError(std::string_view line) { return ErrorOf(RecordFormat::kNdjson, line); }
std::string TsvError(std::string_view line) { return ErrorOf(RecordFormat::kTsv, line); }

bool Mentions(const std::string& error, std::string_view what) {
  return error.find(what) != std::string::npos;
}

// Any bytes, with those that have a meaning in the formats more often than chance has it.
rc::Gen<std::string> AnyBytes() {
  return rc::gen::container<std::string>(rc::gen::weightedOneOf<char>(
      {{3, rc::gen::arbitrary<char>()},
       {1, rc::gen::element('\0', '\t', '\n', '\r', '\\', '"', '{', '}', 'x', '\x7f', '\xc3',
                            '\xa9', '\xff')}}));
}

void RoundTrips(RecordFormat format, const Record& record) {
  const std::string line = LineOf(format, record);
  RC_ASSERT(line.ends_with('\n'));
  RC_ASSERT(line.find('\n') == line.size() - 1);
  RC_ASSERT(line.find('\r') == std::string::npos);
  RC_ASSERT(line.find('\0') == std::string::npos);
  const auto parsed = ParseRecord(format, std::string_view(line).substr(0, line.size() - 1));
  RC_ASSERT(parsed.has_value());
  RC_ASSERT(*parsed == record);
}

RC_GTEST_PROP(RecordsIo, NdjsonGivesBackAnyBytesAndExpiry, ()) {
  const auto key = *rc::gen::nonEmpty(AnyBytes());
  const auto value = *AnyBytes();
  RoundTrips(RecordFormat::kNdjson, {key, value, *rc::gen::arbitrary<std::uint64_t>()});
}

RC_GTEST_PROP(RecordsIo, TsvGivesBackAnyBytes, ()) {
  const auto key = *rc::gen::nonEmpty(AnyBytes());
  const auto value = *AnyBytes();
  RoundTrips(RecordFormat::kTsv, {key, value, 0});
}

RC_GTEST_PROP(RecordsIo, ParsingAnyBytesEitherRefusesOrGivesARecordThatRoundTrips, ()) {
  const auto line = *AnyBytes();
  const auto format = *rc::gen::element(RecordFormat::kNdjson, RecordFormat::kTsv);
  if (const auto record = ParseRecord(format, line)) RoundTrips(format, *record);
}

RC_GTEST_PROP(RecordsIo, NoLineIsLongerThanTheStatedLimit, ()) {
  const auto key = *rc::gen::nonEmpty(AnyBytes());
  const auto value = *AnyBytes();
  const auto format = *rc::gen::element(RecordFormat::kNdjson, RecordFormat::kTsv);
  RC_ASSERT(LineOf(format, {key, value, UINT64_MAX}).size() <=
            MaxLineBytes(key.size(), value.size()));
}

TEST(RecordsIo, Utf8IsWrittenAsTextAndOtherBytesAsBase64) {
  EXPECT_EQ(LineOf(RecordFormat::kNdjson, {"k\xc3\xa9", "v", 0}),
            "{\"key\":\"k\xc3\xa9\",\"value\":\"v\"}\n");
  EXPECT_EQ(LineOf(RecordFormat::kNdjson, {"\xff", "v\xc3", 7}),
            "{\"key_base64\":\"/w==\",\"value_base64\":\"dsM=\",\"expires_at_ms\":7}\n");
}

TEST(RecordsIo, TsvEscapesControlBytesAndBackslashes) {
  EXPECT_EQ(LineOf(RecordFormat::kTsv, {"a\tb\\"s, "\0\r\n\x7f"s, 0}),
            "a\\tb\\\\\t\\x00\\r\\n\\x7f\n");
  EXPECT_EQ(LineOf(RecordFormat::kTsv, {"\xc3\xa9", "\xc3", 0}), "\xc3\xa9\t\\xc3\n");
}

TEST(RecordsIo, NdjsonTakesEitherSpellingInAnyOrderWithBlanks) {
  const auto record = ParseRecord(RecordFormat::kNdjson,
                                  " { \"value_base64\" : \"AAE=\" , \"key\" : \"\\u0000k\" } \r");
  ASSERT_TRUE(record.has_value()) << record.error();
  EXPECT_EQ(*record, (Record{"\0k"s, "\0\x01"s, 0}));
}

TEST(RecordsIo, EmptyValuesAreValues) {
  EXPECT_EQ(ParseRecord(RecordFormat::kTsv, "k\t")->value, "");
  EXPECT_EQ(ParseRecord(RecordFormat::kNdjson, R"({"key":"k","value":""})")->value, "");
}

TEST(RecordsIo, EmptyKeysAreRefused) {
  EXPECT_EQ(TsvError("\tv"), "the key is empty");
  EXPECT_EQ(NdjsonError(R"({"key":"","value":"v"})"), "the key is empty");
}

TEST(RecordsIo, MissingFieldsAreNamed) {
  EXPECT_EQ(NdjsonError(R"({"value":"v"})"), "no field \"key\" or \"key_base64\"");
  EXPECT_EQ(NdjsonError(R"({"key":"k"})"), "no field \"value\" or \"value_base64\"");
  EXPECT_EQ(NdjsonError("{}"), "no field \"key\" or \"key_base64\"");
}

TEST(RecordsIo, DoubledFieldsAreRefusedWhicheverWayTheyAreSpelt) {
  EXPECT_EQ(NdjsonError(R"({"key":"a","key":"b","value":"v"})"), "a second key in field \"key\"");
  EXPECT_EQ(NdjsonError(R"({"key":"a","value":"v","value_base64":"dg=="})"),
            "a second value in field \"value_base64\"");
  EXPECT_TRUE(Mentions(NdjsonError(R"({"key":"a","expires_at_ms":1,"expires_at_ms":1})"), "twice"));
}

TEST(RecordsIo, UnknownFieldsAreRefusedNotDropped) {
  EXPECT_EQ(NdjsonError(R"({"key":"k","value":"v","ttl":5})"), "unknown field \"ttl\"");
}

TEST(RecordsIo, FieldsOfAnotherTypeAreNamedWithIt) {
  EXPECT_EQ(NdjsonError(R"({"key":1,"value":"v"})"), "field \"key\" is a number, not a string");
  EXPECT_EQ(NdjsonError(R"({"key":"k","value":null})"), "field \"value\" is null, not a string");
  EXPECT_EQ(NdjsonError(R"({"key":"k","value":{"a":1}})"),
            "field \"value\" is an object, not a string");
  EXPECT_EQ(NdjsonError(R"({"key":"k","value":["a"]})"),
            "field \"value\" is an array, not a string");
  EXPECT_EQ(NdjsonError(R"({"key":"k","value":"v","expires_at_ms":-1})"),
            "field \"expires_at_ms\" is a negative number, not a number of milliseconds");
  EXPECT_EQ(NdjsonError(R"({"key":"k","value":"v","expires_at_ms":"1"})"),
            "field \"expires_at_ms\" is a string, not a number of milliseconds");
}

TEST(RecordsIo, LinesThatAreNoObjectSayWhatTheyAre) {
  EXPECT_EQ(NdjsonError("[1]"), "the line is an array, not a JSON object");
  EXPECT_EQ(NdjsonError("\"k\""), "the line is a string, not a JSON object");
  EXPECT_EQ(NdjsonError("17"), "the line is a number, not a JSON object");
}

TEST(RecordsIo, MalformedJsonIsRefusedWithItsColumn) {
  EXPECT_TRUE(Mentions(NdjsonError(R"({"key":"k","value":"v")"), "not valid JSON at column"));
  EXPECT_TRUE(Mentions(NdjsonError(R"({"key":"k","value":"v"} x)"), "not valid JSON at column 25"));
  EXPECT_TRUE(Mentions(NdjsonError("{\"key\":\"\xff\",\"value\":\"v\"}"), "not valid JSON"));
  EXPECT_TRUE(Mentions(NdjsonError(R"({"key":"\ud800","value":"v"})"), "not valid JSON"));
  EXPECT_TRUE(Mentions(NdjsonError(""), "not valid JSON"));
}

TEST(RecordsIo, DeepNestingIsRefusedWithoutFollowingIt) {
  const std::string deep = R"({"key":)" + std::string(1'000'000, '[');
  EXPECT_EQ(NdjsonError(deep), "field \"key\" is an array, not a string");
}

TEST(RecordsIo, BadBase64SaysWhereAndWhy) {
  EXPECT_EQ(NdjsonError(R"({"key_base64":"a?==","value":"v"})"),
            "field \"key_base64\": character 2 is not base64");
  EXPECT_TRUE(Mentions(NdjsonError(R"({"key_base64":"abc","value":"v"})"), "multiple of 4"));
}

TEST(RecordsIo, TsvWithoutOrWithTooManyTabsIsRefused) {
  EXPECT_EQ(TsvError("no tab here"), "no tab between key and value");
  EXPECT_TRUE(Mentions(TsvError("a\tb\tc"), "more than one tab"));
}

TEST(RecordsIo, BadTsvEscapesNameTheColumn) {
  EXPECT_TRUE(Mentions(TsvError("a\\q\tv"), "key: bad escape at column 2"));
  EXPECT_TRUE(Mentions(TsvError("k\tab\\"), "value: bad escape at column 3"));
  EXPECT_TRUE(Mentions(TsvError("k\t\\x0"), "value: bad escape at column 1"));
  EXPECT_TRUE(Mentions(TsvError("k\t\\xg0"), "value: bad escape at column 1"));
}

TEST(RecordsIo, HugeFieldsRoundTrip) {
  Record record{std::string(65536, '\xfe'), std::string(std::size_t{3} << 20, '\0'), 0};
  for (const RecordFormat format : {RecordFormat::kNdjson, RecordFormat::kTsv}) {
    const std::string line = LineOf(format, record);
    const auto parsed = ParseRecord(format, std::string_view(line).substr(0, line.size() - 1));
    ASSERT_TRUE(parsed.has_value());
    EXPECT_TRUE(*parsed == record);
  }
}

TEST(RecordsIo, KeysAloneAreWrittenWithoutAValue) {
  std::string lines;
  AppendKey(RecordFormat::kNdjson, "k", lines);
  AppendKey(RecordFormat::kNdjson, "\xff", lines);
  AppendKey(RecordFormat::kTsv, "a\tb", lines);
  EXPECT_EQ(lines, "{\"key\":\"k\"}\n{\"key_base64\":\"/w==\"}\na\\tb\n");
}

TEST(RecordsIo, BlankLinesStandForNothing) {
  EXPECT_TRUE(IsBlankLine(RecordFormat::kNdjson, " \t"));
  EXPECT_TRUE(IsBlankLine(RecordFormat::kTsv, ""));
  EXPECT_FALSE(IsBlankLine(RecordFormat::kTsv, " \t"));  // the key " " with an empty value
}

}  // namespace
}  // namespace freyja::cli
