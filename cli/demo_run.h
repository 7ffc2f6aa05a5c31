// One run of the demo, from the input to the report.
#pragma once

#include "demo_options.h"
#include "demo_report.h"
#include "demo_view.h"
#include "freyja/status.h"

namespace freyja::cli {

// While one lives, SIGINT and SIGTERM only set a flag; one that comes more than a second
// after the first ends the process. One at a time.
class InterruptScope {
 public:
  InterruptScope();
  ~InterruptScope();
  InterruptScope(const InterruptScope&) = delete;
  InterruptScope& operator=(const InterruptScope&) = delete;

  static bool interrupted();
};

// Loads, runs the threads, checks, cleans up. An error means that there is no report:
// nothing could be read, the directory was refused, or the store failed. The store is
// removed at the end unless `options.keep` is set or a check failed. `report` is filled.
[[nodiscard]] Status RunDemo(const DemoOptions& options, LiveView& view, DemoReport& report);

}  // namespace freyja::cli
