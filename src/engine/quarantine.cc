#include "engine/quarantine.h"

#include <algorithm>
#include <string>
#include <utility>

namespace freyja::engine {

using format::QuarantinedJob;

namespace {

Status NotThere(std::uint64_t job_id) {
  return Status(StatusCode::kNotFound,
                "nothing of job " + std::to_string(job_id) + " is in quarantine");
}

// The end of time for a limit beyond it.
std::uint64_t KeepUntil(std::uint64_t now_ms, const QuarantineOptions& options) {
  const auto keep_for_s = static_cast<std::uint64_t>(options.keep_for.count());
  if (keep_for_s == 0) return 0;
  return keep_for_s > (UINT64_MAX - now_ms) / 1000 ? UINT64_MAX : now_ms + keep_for_s * 1000;
}

}  // namespace

void Quarantine::SetOnRemoved(OnRemoved on_removed) {
  base::MutexLock lock(mutex_);
  on_removed_ = std::move(on_removed);
}

std::uint64_t Quarantine::BytesOf(const QuarantinedJob& job) {
  std::uint64_t bytes = 0;
  for (const format::SealedSegment& segment : job.segments) bytes += segment.data_bytes;
  return bytes;
}

bool Quarantine::Admit(QuarantinedJob step, bool is_first_step, format::Manifest& next,
                       std::vector<QuarantinedJob>& evicted) const {
  std::vector<QuarantinedJob>& jobs = next.quarantine;
  const auto before = std::ranges::find(jobs, step.id, &QuarantinedJob::id);
  if (before == jobs.end() && !is_first_step) return false;

  QuarantinedJob job = std::move(step);
  job.keep_until_ms = KeepUntil(parts_.clock.WallMs(), options_);
  if (before != jobs.end()) {
    job.segments.insert(job.segments.begin(), before->segments.begin(), before->segments.end());
    job.outputs.insert(job.outputs.begin(), before->outputs.begin(), before->outputs.end());
  }
  if (options_.max_bytes != 0 && BytesOf(job) > options_.max_bytes) {
    if (before != jobs.end()) {
      evicted.push_back(std::move(*before));
      jobs.erase(before);
    }
    return false;
  }
  if (before != jobs.end()) jobs.erase(before);
  jobs.push_back(std::move(job));
  std::uint64_t bytes = 0;
  for (const QuarantinedJob& each : jobs) bytes += BytesOf(each);
  while (options_.max_bytes != 0 && bytes > options_.max_bytes) {
    bytes -= BytesOf(jobs.front());
    evicted.push_back(std::move(jobs.front()));
    jobs.erase(jobs.begin());
  }
  return true;
}

void Quarantine::RemoveFiles(const std::vector<QuarantinedJob>& given_up) {
  OnRemoved on_removed;
  {
    base::MutexLock lock(mutex_);
    on_removed = on_removed_;
  }
  for (const QuarantinedJob& job : given_up) {
    for (const format::SealedSegment& segment : job.segments) {
      parts_.reaper.RemoveFiles(segment.id, [on_removed, id = job.id](std::uint64_t segment_id) {
        if (on_removed) on_removed(id, segment_id);
      });
    }
  }
}

Status Quarantine::GiveUpWhere(const std::function<bool(const QuarantinedJob&)>& matches) {
  std::vector<QuarantinedJob> given_up;
  const auto commit = parts_.manifest.Commit(
      [&](format::Manifest& next) {
        given_up.clear();
        std::erase_if(next.quarantine, [&](const QuarantinedJob& job) {
          if (!matches(job)) return false;
          given_up.push_back(job);
          return true;
        });
        return given_up.empty() ? Status(StatusCode::kNotFound, "nothing is in quarantine")
                                : Status::Ok();
      },
      parts_.reserve);
  if (commit.ok()) RemoveFiles(given_up);
  return commit.status;
}

Status Quarantine::GiveUp(std::uint64_t job_id) {
  const Status status = GiveUpWhere([&](const QuarantinedJob& job) { return job.id == job_id; });
  return status.code() == StatusCode::kNotFound ? NotThere(job_id) : status;
}

Result<bool> Quarantine::GiveUpOldest() {
  std::optional<std::uint64_t> oldest;
  parts_.manifest.Inspect([&](const format::Manifest& manifest) {
    if (!manifest.quarantine.empty()) oldest = manifest.quarantine.front().id;
  });
  if (!oldest) return false;
  const Status status = GiveUp(*oldest);
  if (!status.ok() && status.code() != StatusCode::kNotFound) return std::unexpected(status);
  return true;
}

Status Quarantine::GiveUpExpired() {
  const std::uint64_t now = parts_.clock.WallMs();
  const auto is_over = [now](const QuarantinedJob& job) {
    return job.keep_until_ms != 0 && job.keep_until_ms <= now;
  };
  bool any = false;
  parts_.manifest.Inspect([&](const format::Manifest& manifest) {
    any = std::ranges::any_of(manifest.quarantine, is_over);
  });
  if (!any) return Status::Ok();
  const Status status = GiveUpWhere(is_over);
  return status.code() == StatusCode::kNotFound ? Status::Ok() : status;
}

std::vector<QuarantinedJob> Quarantine::Jobs() const {
  std::vector<QuarantinedJob> jobs;
  parts_.manifest.Inspect([&](const format::Manifest& manifest) { jobs = manifest.quarantine; });
  return jobs;
}

bool Quarantine::empty() const {
  bool empty = true;
  parts_.manifest.Inspect(
      [&](const format::Manifest& manifest) { empty = manifest.quarantine.empty(); });
  return empty;
}

}  // namespace freyja::engine
