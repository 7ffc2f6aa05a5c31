// What goes over the control socket: one JSON object a line, each way.
//
//   {"freyja":1,"command":"job","arguments":{"id":7}}
//   {"freyja":1,"ok":true,"result":{...}}
//   {"freyja":1,"ok":false,"code":"InvalidArgument","message":"..."}
//
// Every request has one reply, in order. Commands and arguments that are not known are refused;
// fields of a result that are not known are ignored, so that results can grow within a version.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>

#include "freyja/status.h"

namespace freyja::control {

using Json = nlohmann::ordered_json;

inline constexpr int kProtocolVersion = 1;

// kIoError for names that are not known, as those of a newer FreyjaDB.
StatusCode StatusCodeNamed(std::string_view name);

// Both with their '\n'. Bytes that are not UTF-8 are replaced.
std::string EncodeRequest(std::string_view command, const Json& arguments);
std::string EncodeReply(const Result<Json>& result);

// kInvalidArgument: malformed; kUnsupported: another version.
Status DecodeRequest(std::string_view line, std::string* command, Json* arguments);
// The reply's error, or kIoError if it can't be understood.
Result<Json> DecodeReply(std::string_view line);

}  // namespace freyja::control
