#include "exit_code.h"

#include <fmt/format.h>

#include <cstdio>
#include <string>

#include "text.h"

namespace freyja::cli {

ExitCode ExitCodeFor(StatusCode code) {
  switch (code) {
    case StatusCode::kOk:
      return kExitOk;
    case StatusCode::kInvalidArgument:
    case StatusCode::kNotFound:
    case StatusCode::kAlreadyExists:
      return kExitUsage;
    case StatusCode::kCorruption:
      return kExitCorruption;
    case StatusCode::kCancelled:
    case StatusCode::kIoError:
    case StatusCode::kNoSpace:
    case StatusCode::kBusy:
    case StatusCode::kReadOnly:
    case StatusCode::kTimedOut:
    case StatusCode::kUnsupported:
    case StatusCode::kClosed:
    case StatusCode::kOutOfMemory:
    case StatusCode::kAborted:
      return kExitFailure;
  }
  return kExitFailure;
}

int Fail(ExitCode code, std::string_view message) {
  fmt::print(stderr, "freyja: {}\n", OneLine(message));
  return code;
}

int Fail(const Status& status, std::string_view subject) {
  const bool named = status.message().find(subject) != std::string::npos;
  // Corruption is said in so many words: the message alone may only name a place.
  const std::string what =
      status.code() == StatusCode::kCorruption ? status.ToString() : status.message();
  return Fail(ExitCodeFor(status.code()), named ? what : fmt::format("{}: {}", subject, what));
}

}  // namespace freyja::cli
