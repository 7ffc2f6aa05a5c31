// Segments that compactions replaced, kept for a while so that they can be brought back.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <vector>

#include "base/environment.h"
#include "base/mutex.h"
#include "engine/manifest_store.h"
#include "engine/reaper.h"
#include "engine/reserve.h"
#include "format/manifest.h"
#include "freyja/options.h"

namespace freyja::engine {

// Which segments are in quarantine is for the manifest alone to say: a job's inputs go there in
// its commit and leave in another, either all back to the sealed ones (an undo) or all for good.
// A crash after that leaves their files unlisted; recovery removes them.
//
// Thread safety: all members may be called from any thread.
class Quarantine {
 public:
  struct Parts {
    ManifestStore& manifest;
    Reserve& reserve;
    Reaper& reaper;
    base::Clock& clock;
  };
  using OnRemoved = std::function<void(std::uint64_t job_id, std::uint64_t segment_id)>;

  Quarantine(const Parts& parts, const QuarantineOptions& options)
      : parts_(parts), options_(options) {}

  // Files of given-up segments are reported to it from then on.
  void SetOnRemoved(OnRemoved on_removed) FREYJA_EXCLUDES(mutex_);

  // In the edit of a commit by which the segments of `step` leave the sealed ones. Adds them to
  // what earlier steps of the same job have in quarantine, and moves the oldest jobs to `evicted`
  // if they are too many bytes then. False if the job alone is too large, or if what earlier
  // steps brought was given up meanwhile: then nothing of it is in `next`.
  bool Admit(format::QuarantinedJob step, bool is_first_step, format::Manifest& next,
             std::vector<format::QuarantinedJob>& evicted) const;
  // After the commit by which they left the quarantine.
  void RemoveFiles(const std::vector<format::QuarantinedJob>& given_up);

  // kNotFound: nothing of that job is in quarantine.
  Status GiveUp(std::uint64_t job_id);
  // False if there is none.
  Result<bool> GiveUpOldest();
  // Those whose time is over.
  Status GiveUpExpired();

  std::vector<format::QuarantinedJob> Jobs() const;
  bool empty() const;

 private:
  static std::uint64_t BytesOf(const format::QuarantinedJob& job);
  Status GiveUpWhere(const std::function<bool(const format::QuarantinedJob&)>& matches);

  const Parts parts_;
  const QuarantineOptions options_;
  base::Mutex mutex_;
  OnRemoved on_removed_ FREYJA_GUARDED_BY(mutex_);
};

}  // namespace freyja::engine
