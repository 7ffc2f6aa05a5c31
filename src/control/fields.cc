#include "control/fields.h"

#include <chrono>
#include <limits>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <utility>

#include "base/status_macros.h"
#include "control/field_lists.h"

namespace freyja::control {
namespace {

// Added to any point in time it overflows nothing.
constexpr std::chrono::hours kLongestDuration{100 * 366 * 24};

Status Wrong(std::string what) { return Status(StatusCode::kInvalidArgument, std::move(what)); }

// --- To JSON --------------------------------------------------------------------------

template <class Rep, class Period>
Json Encode(const std::chrono::duration<Rep, Period>& value) {
  return value.count();
}
template <class T>
  requires std::is_arithmetic_v<T>
Json Encode(const T& value) {
  return value;
}
Json Encode(const std::string& value) { return value; }
Json Encode(const std::filesystem::path& value) { return value.native(); }
Json Encode(const SegmentState& value) { return SegmentStateName(value); }
Json Encode(const std::optional<std::uint64_t>& value) { return value ? Json(*value) : Json(); }
Json Encode(const Status& value) {
  return {{"code", StatusCodeName(value.code())}, {"message", value.message()}};
}
template <class T>
Json Encode(const std::vector<T>& value);
template <class S>
  requires std::is_aggregate_v<S>
Json Encode(const S& value) {
  Json json = Json::object();
  const auto add = [&](const char* name, const auto& member) { json[name] = Encode(member); };
  VisitFields(add, value);
  return json;
}
template <class T>
Json Encode(const std::vector<T>& value) {
  Json json = Json::array();
  for (const T& element : value) json.push_back(Encode(element));
  return json;
}

// --- From JSON ------------------------------------------------------------------------

class Decoder {
 public:
  explicit Decoder(Unknown unknown) : unknown_(unknown) {}

  Status Decode(const Json& json, bool& value) const {
    if (!json.is_boolean()) return Wrong("is not true or false");
    value = json.get<bool>();
    return Status::Ok();
  }
  Status Decode(const Json& json, double& value) const {
    if (!json.is_number()) return Wrong("is no number");
    value = json.get<double>();
    return Status::Ok();
  }
  Status Decode(const Json& json, std::uint64_t& value) const {
    const bool negative =
        !json.is_number_unsigned() && json.is_number_integer() && json.get<std::int64_t>() < 0;
    if (!json.is_number_integer() || negative)
      return Wrong("is no whole number from 0 to 2^64 - 1");
    value = json.get<std::uint64_t>();
    return Status::Ok();
  }
  Status Decode(const Json& json, std::int64_t& value) const {
    constexpr auto kMost = static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max());
    if (!json.is_number_integer() ||
        (json.is_number_unsigned() && json.get<std::uint64_t>() > kMost)) {
      return Wrong("is no whole number below 2^63");
    }
    value = json.get<std::int64_t>();
    return Status::Ok();
  }
  template <class Rep, class Period>
  Status Decode(const Json& json, std::chrono::duration<Rep, Period>& value) const {
    using Duration = std::chrono::duration<Rep, Period>;
    constexpr std::int64_t kMost = std::chrono::duration_cast<Duration>(kLongestDuration).count();
    std::int64_t count = 0;
    FREYJA_RETURN_IF_ERROR(Decode(json, count));
    if (count > kMost || count < -kMost) return Wrong("is longer than a hundred years");
    value = Duration(count);
    return Status::Ok();
  }
  Status Decode(const Json& json, std::string& value) const {
    if (!json.is_string()) return Wrong("is no string");
    value = json.get<std::string>();
    return Status::Ok();
  }
  Status Decode(const Json& json, std::filesystem::path& value) const {
    std::string text;
    FREYJA_RETURN_IF_ERROR(Decode(json, text));
    value = std::move(text);
    return Status::Ok();
  }
  Status Decode(const Json& json, SegmentState& value) const {
    for (const SegmentState state : kSegmentStates) {
      if (json == SegmentStateName(state)) {
        value = state;
        return Status::Ok();
      }
    }
    return Wrong("is no state of a segment");
  }
  Status Decode(const Json& json, std::optional<std::uint64_t>& value) const {
    value.reset();
    if (json.is_null()) return Status::Ok();
    return Decode(json, value.emplace());
  }
  Status Decode(const Json& json, Status& value) const {
    if (!json.is_object()) return Wrong("is no object");
    std::string code;
    std::string message;
    FREYJA_RETURN_IF_ERROR(Decode(json.value("code", Json()), code));
    FREYJA_RETURN_IF_ERROR(Decode(json.value("message", Json()), message));
    value = Status(StatusCodeNamed(code), message);
    return Status::Ok();
  }
  template <class T>
  Status Decode(const Json& json, std::vector<T>& value) const {
    if (!json.is_array()) return Wrong("is no array");
    value.clear();
    for (const Json& element : json) FREYJA_RETURN_IF_ERROR(Decode(element, value.emplace_back()));
    return Status::Ok();
  }
  template <class S>
    requires std::is_aggregate_v<S>
  Status Decode(const Json& json, S& value) const {
    if (!json.is_object()) return Wrong("is no object");
    Status status;
    std::size_t seen = 0;
    std::string names;
    const auto read = [&](const char* name, auto& member) {
      names.append(name).append(" ");
      const auto found = json.find(name);
      if (found == json.end()) return;
      ++seen;
      if (!status.ok()) return;
      if (Status decoded = Decode(*found, member); !decoded.ok()) {
        status = Wrong(std::string("'") + name + "' " + decoded.message());
      }
    };
    VisitFields(read, value);
    if (!status.ok() || unknown_ == Unknown::kIgnored || seen == json.size()) return status;
    return Wrong("has a field that is none of: " + names);
  }

 private:
  const Unknown unknown_;
};

}  // namespace

Json ToJson(const Stats& value) { return Encode(value); }
Json ToJson(const std::vector<SegmentInfo>& value) { return Encode(value); }
Json ToJson(const HotSwapConfig& value) { return Encode(value); }
Json ToJson(const CompactionLimits& value) { return Encode(value); }
Json ToJson(const CompactionPlan& value) { return Encode(value); }
Json ToJson(const CompactionReport& value) { return Encode(value); }
Json ToJson(const CompactionJobStatus& value) { return Encode(value); }
Json ToJson(const CompactionStatus& value) { return Encode(value); }
Json ToJson(const std::vector<QuarantinedJob>& value) { return Encode(value); }
Json ToJson(const std::vector<CompactionRecord>& value) { return Encode(value); }

Status FromJson(const Json& json, Unknown unknown, Stats* value) {
  return Decoder(unknown).Decode(json, *value);
}
Status FromJson(const Json& json, Unknown unknown, std::vector<SegmentInfo>* value) {
  return Decoder(unknown).Decode(json, *value);
}
Status FromJson(const Json& json, Unknown unknown, HotSwapConfig* value) {
  return Decoder(unknown).Decode(json, *value);
}
Status FromJson(const Json& json, Unknown unknown, CompactionLimits* value) {
  return Decoder(unknown).Decode(json, *value);
}
Status FromJson(const Json& json, Unknown unknown, CompactionPlan* value) {
  return Decoder(unknown).Decode(json, *value);
}
Status FromJson(const Json& json, Unknown unknown, CompactionReport* value) {
  return Decoder(unknown).Decode(json, *value);
}
Status FromJson(const Json& json, Unknown unknown, CompactionJobStatus* value) {
  return Decoder(unknown).Decode(json, *value);
}
Status FromJson(const Json& json, Unknown unknown, CompactionStatus* value) {
  return Decoder(unknown).Decode(json, *value);
}
Status FromJson(const Json& json, Unknown unknown, std::vector<QuarantinedJob>* value) {
  return Decoder(unknown).Decode(json, *value);
}
Status FromJson(const Json& json, Unknown unknown, std::vector<CompactionRecord>* value) {
  return Decoder(unknown).Decode(json, *value);
}
Status FromJson(const Json& json, Unknown unknown, std::uint64_t* value) {
  return Decoder(unknown).Decode(json, *value);
}

}  // namespace freyja::control
