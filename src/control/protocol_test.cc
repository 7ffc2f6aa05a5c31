#include "control/protocol.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <concepts>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "control/field_lists.h"
#include "control/fields.h"
#include "io/test_support.h"

namespace freyja::control {
namespace {

using io::testing::CodeOf;

Status Decode(std::string_view line) {
  std::string command;
  Json arguments;
  return DecodeRequest(line, &command, &arguments);
}

TEST(ProtocolTest, RequestIsOneLineAndComesBackWhole) {
  const std::string line = EncodeRequest("job", {{"id", 7}, {"text", "a\nb"}});
  EXPECT_EQ(std::ranges::count(line, '\n'), 1);
  EXPECT_TRUE(line.ends_with('\n'));
  std::string command;
  Json arguments;
  EXPECT_OK(DecodeRequest(line, &command, &arguments));
  EXPECT_EQ(command, "job");
  EXPECT_EQ(arguments, (Json{{"id", 7}, {"text", "a\nb"}}));
}

TEST(ProtocolTest, ArgumentsMayBeLeftOut) { EXPECT_OK(Decode(R"({"freyja":1,"command":"a"})")); }

TEST(ProtocolTest, MalformedRequestsAreRefused) {
  for (const std::string_view line :
       {"", "nonsense", "[1]", "7", "{", R"({"freyja":1})", R"({"freyja":1,"command":5})",
        R"({"freyja":1,"command":"a","arguments":[]})", R"({"freyja":1,"command":"a","more":1})"}) {
    EXPECT_EQ(CodeOf(Decode(line)), StatusCode::kInvalidArgument) << line;
  }
}

TEST(ProtocolTest, OtherVersionsAreRefusedWithBothNumbers) {
  for (const std::string_view line : {R"({"command":"a"})", R"({"freyja":2,"command":"a","new":1})",
                                      R"({"freyja":"1","command":"a"})"}) {
    EXPECT_EQ(CodeOf(Decode(line)), StatusCode::kUnsupported) << line;
  }
  const Status refused = Decode(R"({"freyja":2,"command":"a"})");
  EXPECT_NE(refused.message().find("version 1"), std::string::npos) << refused.message();
  EXPECT_NE(refused.message().find("is 2"), std::string::npos) << refused.message();
}

TEST(ProtocolTest, DeepNestingIsRefused) {
  const std::string deep(200'000, '[');
  EXPECT_EQ(CodeOf(Decode(deep)), StatusCode::kInvalidArgument);
  const auto nested = [](std::size_t levels) {
    return R"({"freyja":1,"command":"a","arguments":{"x":)" + std::string(levels, '[') +
           std::string(levels, ']') + "}}";
  };
  EXPECT_OK(Decode(nested(5)));
  EXPECT_EQ(CodeOf(Decode(nested(200'000))), StatusCode::kInvalidArgument);
}

TEST(ProtocolTest, ErrorsKeepCodeAndMessage) {
  for (int i = 1; i <= static_cast<int>(StatusCode::kAborted); ++i) {
    const Status error(static_cast<StatusCode>(i), "because");
    const Result<Json> read = DecodeReply(EncodeReply(std::unexpected(error)));
    ASSERT_FALSE(read.has_value());
    EXPECT_EQ(read.error(), error);
  }
}

TEST(ProtocolTest, ResultComesBackAndBytesThatAreNotUtf8AreReplaced) {
  EXPECT_EQ(io::testing::Must(DecodeReply(EncodeReply(Json{{"a", 1}}))), (Json{{"a", 1}}));
  EXPECT_EQ(io::testing::Must(DecodeReply(EncodeReply(Json("\xff")))), Json("\xEF\xBF\xBD"));
}

TEST(ProtocolTest, RepliesThatCannotBeUnderstoodAreErrors) {
  for (const std::string_view line :
       {"", "{}", R"({"freyja":1,"ok":true})", R"({"freyja":1,"ok":false})",
        R"({"freyja":1,"ok":false,"code":"Ok","message":""})",
        R"({"freyja":1,"ok":false,"code":"NewOne","message":"m"})"}) {
    EXPECT_EQ(CodeOf(DecodeReply(line)), StatusCode::kIoError) << line;
  }
  EXPECT_EQ(CodeOf(DecodeReply(R"({"freyja":3,"ok":true,"result":1})")), StatusCode::kUnsupported);
}

// --- Fields ---------------------------------------------------------------------------

// Gives every number in it another value, and every text and flag one that is not the default.
void Disturb(Json& json, int& next) {
  if (json.is_object()) {
    // A status is a code and a message.
    if (json.contains("code")) json["code"] = "Busy";
    for (auto& [name, value] : json.items()) {
      if (name != "code") Disturb(value, next);
    }
  } else if (json.is_array()) {
    for (Json& element : json) Disturb(element, next);
  } else if (json.is_number() || json.is_null()) {
    json = ++next;
  } else if (json.is_string()) {
    json = "text" + std::to_string(++next);
  } else if (json.is_boolean()) {
    json = !json.get<bool>();
  }
}

// Each member that is written is read back into itself.
template <class Value>
void ExpectRoundTrip(const Value& value) {
  Json disturbed = ToJson(value);
  int next = 0;
  Disturb(disturbed, next);
  ASSERT_NE(disturbed, ToJson(value));
  Value read;
  EXPECT_OK(FromJson(disturbed, Unknown::kRefused, &read));
  EXPECT_EQ(ToJson(read), disturbed);
}

TEST(FieldsTest, EveryMemberComesBack) {
  ExpectRoundTrip(Stats{});
  ExpectRoundTrip(HotSwapConfig{});
  ExpectRoundTrip(CompactionLimits{});
  ExpectRoundTrip(CompactionReport{});
  ExpectRoundTrip(CompactionJobStatus{});
  CompactionPlan plan;
  plan.segments.resize(2);
  ExpectRoundTrip(plan);
  CompactionStatus status;
  status.jobs.resize(2);
  ExpectRoundTrip(status);
  std::vector<QuarantinedJob> quarantine(2);
  quarantine[0].input_files = {"1.data"};
  ExpectRoundTrip(quarantine);
  ExpectRoundTrip(std::vector<CompactionRecord>(2));
}

// Initialises a member of any type. An optional is made from it as from a value.
struct Anything {
  template <class Member>
    requires(!std::same_as<Member, std::optional<std::uint64_t>>)
  operator Member() const;
  operator std::uint64_t() const;
};

// How many members an aggregate has.
template <class Struct, class... Initialisers>
consteval std::size_t CountMembers() {
  if constexpr (requires { Struct{Initialisers{}..., Anything{}}; }) {
    return CountMembers<Struct, Initialisers..., Anything>();
  } else {
    return sizeof...(Initialisers);
  }
}

template <class Struct>
void ExpectListed(const char* name) {
  Struct value;
  std::set<std::string> names;
  std::set<const void*> members;
  const auto note = [&](const char* member_name, const auto& member) {
    names.insert(member_name);
    members.insert(&member);
  };
  VisitFields(note, value);
  EXPECT_EQ(names.size(), CountMembers<Struct>()) << name;
  EXPECT_EQ(members.size(), CountMembers<Struct>()) << name;
}

TEST(FieldsTest, EveryMemberOfTheHeadersIsListed) {
  struct Two {
    std::string text = "a";
    LatencySummary summary;
  };
  static_assert(CountMembers<Two>() == 2);
  ExpectListed<LatencySummary>("LatencySummary");
  ExpectListed<LatencyStats>("LatencyStats");
  ExpectListed<SchedulerStats>("SchedulerStats");
  ExpectListed<Stats>("Stats");
  ExpectListed<SegmentInfo>("SegmentInfo");
  ExpectListed<HotSwapConfig>("HotSwapConfig");
  ExpectListed<CompactionLimits>("CompactionLimits");
  ExpectListed<SegmentPlan>("SegmentPlan");
  ExpectListed<CompactionPlan>("CompactionPlan");
  ExpectListed<CompactionCounters>("CompactionCounters");
  ExpectListed<CompactionReport>("CompactionReport");
  ExpectListed<QuarantinedJob>("QuarantinedJob");
  ExpectListed<CompactionRecord>("CompactionRecord");
  ExpectListed<CompactionJobStatus>("CompactionJobStatus");
  ExpectListed<CompactionStatus>("CompactionStatus");
}

TEST(FieldsTest, SegmentsInEveryStateComeBack) {
  std::vector<SegmentInfo> segments(std::size(kSegmentStates));
  for (std::size_t i = 0; i < segments.size(); ++i) {
    segments[i].id = UINT64_MAX - i;
    segments[i].state = kSegmentStates[i];
    EXPECT_EQ(static_cast<std::size_t>(kSegmentStates[i]), i);
  }
  std::vector<SegmentInfo> read;
  EXPECT_OK(FromJson(ToJson(segments), Unknown::kRefused, &read));
  ASSERT_EQ(read.size(), segments.size());
  for (std::size_t i = 0; i < segments.size(); ++i) {
    EXPECT_EQ(read[i].id, segments[i].id);
    EXPECT_EQ(read[i].state, segments[i].state);
    EXPECT_NE(SegmentStateName(read[i].state), "unknown");
  }
  // One more would be missing in kSegmentStates.
  EXPECT_EQ(SegmentStateName(static_cast<SegmentState>(segments.size())), "unknown");
}

TEST(FieldsTest, AbsentMembersStayAsTheyAre) {
  HotSwapConfig config;
  config.max_input_bytes = 5;
  EXPECT_OK(FromJson(Json{{"segments", {3, 4}}}, Unknown::kRefused, &config));
  EXPECT_EQ(config.max_input_bytes, 5U);
  EXPECT_EQ(config.segments, (std::vector<std::uint64_t>{3, 4}));
}

TEST(FieldsTest, UnknownMembersAreRefusedInRequestsAndIgnoredInReplies) {
  const Json json = {{"max_input_byte", 5}};
  HotSwapConfig config;
  EXPECT_EQ(CodeOf(FromJson(json, Unknown::kRefused, &config)), StatusCode::kInvalidArgument);
  EXPECT_OK(FromJson(json, Unknown::kIgnored, &config));
}

TEST(FieldsTest, WrongTypesAndRangesAreRefusedByName) {
  for (const Json& json :
       {Json{{"segments", 3}}, Json{{"segments", {-1}}}, Json{{"segments", {1.5}}},
        Json{{"max_input_bytes", "5"}}, Json{{"max_input_bytes", -5}},
        Json{{"compaction_timeout", 9e18}}, Json{{"compaction_timeout", INT64_MAX}},
        Json{{"compaction_timeout", UINT64_MAX}}, Json{{"min_space_saving", "x"}},
        Json{{"seal_active", 1}}, Json{{"temp_dir", nullptr}}, Json{{"reason", 1}}, Json(7)}) {
    HotSwapConfig config;
    const Status refused = FromJson(json, Unknown::kRefused, &config);
    EXPECT_EQ(CodeOf(refused), StatusCode::kInvalidArgument) << json.dump();
    if (json.is_object()) {
      EXPECT_NE(refused.message().find(json.begin().key()), std::string::npos) << refused.message();
    }
  }
}

}  // namespace
}  // namespace freyja::control
