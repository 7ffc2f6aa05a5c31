#include "freyja/status.h"

#include <array>
#include <cstddef>
#include <new>
#include <utility>

namespace freyja {

std::string_view StatusCodeName(StatusCode code) {
  switch (code) {
    case StatusCode::kOk:
      return "Ok";
    case StatusCode::kInvalidArgument:
      return "InvalidArgument";
    case StatusCode::kNotFound:
      return "NotFound";
    case StatusCode::kAlreadyExists:
      return "AlreadyExists";
    case StatusCode::kCorruption:
      return "Corruption";
    case StatusCode::kIoError:
      return "IoError";
    case StatusCode::kNoSpace:
      return "NoSpace";
    case StatusCode::kBusy:
      return "Busy";
    case StatusCode::kReadOnly:
      return "ReadOnly";
    case StatusCode::kCancelled:
      return "Cancelled";
    case StatusCode::kTimedOut:
      return "TimedOut";
    case StatusCode::kUnsupported:
      return "Unsupported";
    case StatusCode::kClosed:
      return "Closed";
    case StatusCode::kOutOfMemory:
      return "OutOfMemory";
    case StatusCode::kAborted:
      return "Aborted";
  }
  return "Unknown";
}

const Status::Error& Status::WithoutMessage(StatusCode code) {
  static constexpr std::size_t kCodes = static_cast<std::size_t>(StatusCode::kAborted) + 1;
  using Errors = std::array<Error, kCodes>;
  // Never destroyed: a static object's destructor may still look at a status.
  alignas(Errors) static std::array<std::byte, sizeof(Errors)> memory;
  static const Errors& errors = [] -> const Errors& {
    auto* const made = new (memory.data()) Errors;
    for (std::size_t i = 0; i < kCodes; ++i) (*made)[i].code = static_cast<StatusCode>(i);
    return *made;
  }();
  return errors[static_cast<std::size_t>(code)];
}

Status::Status(StatusCode code, std::string message) noexcept {
  if (code == StatusCode::kOk) return;
  try {
    error_ = std::make_shared<const Error>(code, std::move(message));
  } catch (const std::bad_alloc&) {
    error_ = {std::shared_ptr<const Error>(), &WithoutMessage(code)};  // owned by nobody
  }
}

std::string Status::ToString() const {
  std::string text(StatusCodeName(code()));
  if (!message().empty()) text.append(": ").append(message());
  return text;
}

}  // namespace freyja
