// Status and Result: how every call of FreyjaDB reports failure.
//
// The library throws nothing across its API, never prints and never aborts
// the host. A missing key is not a failure: it is an empty optional or `false`.
#pragma once

#include <cstdint>
#include <expected>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

namespace freyja {

enum class StatusCode : std::uint8_t {
  kOk = 0,
  kInvalidArgument,  // the caller passed something outside a documented limit
  kNotFound,         // the store, segment or job named does not exist (never: a key)
  kAlreadyExists,    // creation was asked for and something is there already
  kCorruption,       // bytes on disk do not verify; the message names file and offset
  kIoError,          // the operating system reported a failure
  kNoSpace,          // the disk is full, or only its reserve is left
  kBusy,             // another process or job holds what this call needs
  kReadOnly,         // the store was opened read-only, or turned read-only after a failed sync
  kCancelled,        // Cancel() or Close() ended the job before it committed
  kTimedOut,         // the job's time limit ended it before it committed
  kUnsupported,      // written by a newer format, or not possible on this file system
  kClosed,           // the store was closed
  kOutOfMemory,      // an allocation failed
  kAborted,          // the job could not prove a step safe and rolled back
};

// The name of a code as it appears in messages, e.g. "Corruption".
std::string_view StatusCodeName(StatusCode code);

// Outcome of a call: a code and, unless it is kOk, a message that names the
// thing, the limit or the file concerned. kOk takes no memory; an error that finds none keeps
// its code and loses its message. Copies share the message and never fail. Thread-compatible.
class [[nodiscard]] Status {
 public:
  Status() = default;
  Status(StatusCode code, std::string message) noexcept;

  static Status Ok() { return {}; }

  bool ok() const { return error_ == nullptr; }
  StatusCode code() const { return ok() ? StatusCode::kOk : error_->code; }
  const std::string& message() const { return (ok() ? WithoutMessage({}) : *error_).message; }
  // "Corruption: 7.data: offset 4096: checksum mismatch"
  std::string ToString() const;

  friend bool operator==(const Status& a, const Status& b) {
    return a.code() == b.code() && a.message() == b.message();
  }

 private:
  struct Error {
    StatusCode code;
    std::string message;
  };
  static const Error& WithoutMessage(StatusCode code);

  std::shared_ptr<const Error> error_;
};

template <typename T>
using Result = std::expected<T, Status>;

}  // namespace freyja
