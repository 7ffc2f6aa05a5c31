#include "compact_job.h"

#include <fmt/format.h>

#include "exit_code.h"

namespace freyja::cli {

int FailStopped(const JobView& view, const Status& status, bool changed) {
  const std::string_view what =
      changed ? "the steps it had made stay" : "it was rolled back and nothing has changed";
  if (status.code() == StatusCode::kCancelled && InterruptGuard::Interrupted()) {
    return Fail(kExitInterrupted, fmt::format("{}: interrupted; {}", view.directory, what));
  }
  return Fail(status, view.directory);
}

}  // namespace freyja::cli
