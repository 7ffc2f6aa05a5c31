#include "control/protocol.h"

#include <nlohmann/json.hpp>
#include <utility>

namespace freyja::control {
namespace {

constexpr int kDeepest = 16;
constexpr const char* kVersion = "freyja";
constexpr const char* kCommand = "command";
constexpr const char* kArguments = "arguments";

std::string Line(const Json& json) {
  return json.dump(-1, ' ', false, Json::error_handler_t::replace) + '\n';
}

// A discarded value if it is no JSON object, or one so deep that copying it needs much stack.
Json ParseObject(std::string_view line) {
  bool too_deep = false;
  const auto keep = [&too_deep](int depth, Json::parse_event_t, const Json&) {
    too_deep = too_deep || depth > kDeepest;
    return !too_deep;
  };
  Json json = Json::parse(line, keep, /*allow_exceptions=*/false);
  return json.is_object() && !too_deep ? std::move(json) : Json(Json::value_t::discarded);
}

Status CheckVersion(const Json& json) {
  const auto version = json.find(kVersion);
  if (version != json.end() && *version == kProtocolVersion) return Status::Ok();
  const std::string other = version == json.end() ? "none" : version->dump();
  return Status(StatusCode::kUnsupported, "the control protocol here has version " +
                                              std::to_string(kProtocolVersion) +
                                              ", the other side's is " + other);
}

Status Malformed(std::string what) { return Status(StatusCode::kInvalidArgument, std::move(what)); }

Result<Json> NotUnderstood() {
  return std::unexpected(
      Status(StatusCode::kIoError, "the answer from the control socket can't be understood"));
}

Status ErrorOf(const Json& reply) {
  const auto code = reply.find("code");
  const auto message = reply.find("message");
  if (code == reply.end() || !code->is_string() || message == reply.end() ||
      !message->is_string()) {
    return NotUnderstood().error();
  }
  const StatusCode read = StatusCodeNamed(code->get<std::string>());
  return Status(read == StatusCode::kOk ? StatusCode::kIoError : read, message->get<std::string>());
}

}  // namespace

StatusCode StatusCodeNamed(std::string_view name) {
  for (int i = 0; i <= static_cast<int>(StatusCode::kAborted); ++i) {
    if (StatusCodeName(static_cast<StatusCode>(i)) == name) return static_cast<StatusCode>(i);
  }
  return StatusCode::kIoError;
}

std::string EncodeRequest(std::string_view command, const Json& arguments) {
  return Line({{kVersion, kProtocolVersion}, {kCommand, command}, {kArguments, arguments}});
}

std::string EncodeReply(const Result<Json>& result) {
  if (result) return Line({{kVersion, kProtocolVersion}, {"ok", true}, {"result", *result}});
  return Line({{kVersion, kProtocolVersion},
               {"ok", false},
               {"code", StatusCodeName(result.error().code())},
               {"message", result.error().message()}});
}

Status DecodeRequest(std::string_view line, std::string* command, Json* arguments) {
  const Json json = ParseObject(line);
  if (json.is_discarded()) return Malformed("the request is no JSON object");
  if (Status version = CheckVersion(json); !version.ok()) return version;
  for (const auto& [name, value] : json.items()) {
    if (name == kVersion) continue;
    if (name == kCommand && value.is_string()) {
      *command = value.get<std::string>();
    } else if (name == kArguments && value.is_object()) {
      *arguments = value;
    } else {
      return Malformed("the request's field '" + name + "' is not known, or of a wrong type");
    }
  }
  if (!json.contains(kCommand)) return Malformed("the request has no command");
  if (!json.contains(kArguments)) *arguments = Json::object();
  return Status::Ok();
}

Result<Json> DecodeReply(std::string_view line) {
  Json json = ParseObject(line);
  if (json.is_discarded()) return NotUnderstood();
  const auto ok = json.find("ok");
  if (ok == json.end() || !ok->is_boolean()) return NotUnderstood();
  if (!ok->get<bool>()) return std::unexpected(ErrorOf(json));
  if (Status version = CheckVersion(json); !version.ok())
    return std::unexpected(std::move(version));
  const auto result = json.find("result");
  if (result == json.end()) return NotUnderstood();
  return std::move(*result);
}

}  // namespace freyja::control
