// What the control socket's commands do to the store.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>

#include "base/mutex.h"
#include "compaction/job_state.h"
#include "control/server.h"

namespace freyja::api {

struct StoreParts;

// Thread safety: as its bases.
class ControlService final : public control::RequestHandler {
 public:
  // `parts` must outlive it. Errors: see Options::control_socket.
  static Result<std::unique_ptr<ControlService>> Start(StoreParts& parts);

  // Ends all conversations and removes the socket; before the parts are shut down.
  void Shutdown() { server_->Shutdown(); }

  bool IsSlow(std::string_view command) const override;
  Result<control::Json> Handle(const std::string& command, const control::Json& arguments) override;

 private:
  using JobPtr = std::shared_ptr<compaction::JobState>;
  struct Command;
  static const Command* Find(std::string_view name);

  explicit ControlService(StoreParts& parts) : parts_(parts) {}

  Result<control::Json> GetStats(const control::Json& arguments);
  Result<control::Json> GetSegments(const control::Json& arguments);
  Result<control::Json> GetStatus(const control::Json& arguments);
  Result<control::Json> Plan(const control::Json& arguments);
  Result<control::Json> Compact(const control::Json& arguments);
  Result<control::Json> Undo(const control::Json& arguments);
  Result<control::Json> GetQuarantine(const control::Json& arguments);
  Result<control::Json> EndQuarantine(const control::Json& arguments);
  Result<control::Json> GetHistory(const control::Json& arguments);
  Result<control::Json> GetJob(const control::Json& arguments) FREYJA_EXCLUDES(mutex_);
  Result<control::Json> Cancel(const control::Json& arguments);
  Result<control::Json> Pause(const control::Json& arguments);
  Result<control::Json> Resume(const control::Json& arguments);
  Result<control::Json> SetLimits(const control::Json& arguments);

  // The reply to whoever started the job.
  control::Json Remember(const JobPtr& job) FREYJA_EXCLUDES(mutex_);

  StoreParts& parts_;
  base::Mutex mutex_;
  // Started here, the latest ones: who asks for a job's report gets it.
  std::map<std::uint64_t, JobPtr> started_ FREYJA_GUARDED_BY(mutex_);
  std::unique_ptr<control::Server> server_;  // the last: its threads use the others
};

}  // namespace freyja::api
