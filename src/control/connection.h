// A connection to the control socket of another process's store.
#pragma once

#include <chrono>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>

#include "base/mutex.h"
#include "control/protocol.h"
#include "io/posix_io.h"

namespace freyja::control {

// Made anew for the next call if the other side has closed it, or a call on it has failed.
// Thread-safe; calls are made one after another.
class Connection {
 public:
  Connection(std::filesystem::path directory, std::chrono::milliseconds answer_within)
      : directory_(std::move(directory)), answer_within_(answer_within) {}

  Status Open() FREYJA_EXCLUDES(mutex_);
  // The result of the reply, or its error.
  Result<Json> Call(std::string_view command, const Json& arguments) FREYJA_EXCLUDES(mutex_);

 private:
  using Clock = std::chrono::steady_clock;

  Status OpenIfNeeded() FREYJA_REQUIRES(mutex_);
  Result<std::string> Exchange(const std::string& request) FREYJA_REQUIRES(mutex_);
  Status SendAll(std::string_view text, Clock::time_point deadline) FREYJA_REQUIRES(mutex_);
  Result<std::string> ReceiveLine(Clock::time_point deadline) FREYJA_REQUIRES(mutex_);
  Status WaitUntil(short events, Clock::time_point deadline) FREYJA_REQUIRES(mutex_);

  const std::filesystem::path directory_;
  const std::chrono::milliseconds answer_within_;
  base::Mutex mutex_;
  std::optional<io::Descriptor> socket_ FREYJA_GUARDED_BY(mutex_);
  bool was_open_ FREYJA_GUARDED_BY(mutex_) = false;  // so its absence means that it was closed
};

}  // namespace freyja::control
