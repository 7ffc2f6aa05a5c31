// Takes back retired segments once nobody can hold them.
#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include "base/mutex.h"
#include "engine/directory.h"
#include "engine/epoch.h"
#include "engine/publisher.h"
#include "engine/segment_table.h"

namespace freyja::engine {

// A segment is retired when a durable manifest no longer lists it and the index no longer
// points to it. Its file goes when every get, pin, iterator and snapshot opened before then
// has closed. A crash in between is harmless: recovery removes what is not listed.
//
// Thread safety: all members may be called from any thread.
class Reaper {
 public:
  // Called after a segment's files were removed, without locks held. May be empty.
  using OnRemoved = std::function<void(std::uint64_t segment_id)>;

  Reaper(Directory& directory, SegmentTable& segments, EpochManager& epochs, Publisher& publisher)
      : directory_(directory), segments_(segments), epochs_(epochs), publisher_(publisher) {}

  // Room for that many more, so that Retire does not allocate.
  void Reserve(std::size_t segments) FREYJA_EXCLUDES(mutex_);
  // Everything that led to `segments` has been unlinked. Their files stay with `keep_files`.
  void Retire(std::span<Segment* const> segments, bool keep_files, const OnRemoved& on_removed)
      FREYJA_EXCLUDES(mutex_);
  // Of a segment that was retired with its files kept: they go now, or with it.
  void RemoveFiles(std::uint64_t id, const OnRemoved& on_removed) FREYJA_EXCLUDES(mutex_);
  // Removes what nobody holds any more. Returns how many segments still wait.
  std::size_t Collect() FREYJA_EXCLUDES(mutex_);

 private:
  struct Waiting {
    Segment* segment = nullptr;
    std::uint64_t stamp = 0;
    bool keep_files = false;
    OnRemoved on_removed;
  };

  void Unlink(std::uint64_t id, const OnRemoved& on_removed);

  Directory& directory_;
  SegmentTable& segments_;
  EpochManager& epochs_;
  Publisher& publisher_;
  base::Mutex mutex_;
  std::vector<Waiting> waiting_ FREYJA_GUARDED_BY(mutex_);
};

}  // namespace freyja::engine
