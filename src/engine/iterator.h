// The walk behind freyja::Iterator, and the hold of a pinned read.
#pragma once

#include <cstdint>
#include <memory>
#include <string_view>
#include <vector>

#include "base/environment.h"
#include "engine/index.h"
#include "engine/publisher.h"
#include "engine/record_reader.h"
#include "engine/segment.h"
#include "engine/snapshot.h"
#include "freyja/status.h"

namespace freyja::engine {

// Holds a segment's file and mapping. Made under an EpochGuard.
class PinnedRecord {
 public:
  explicit PinnedRecord(Segment& segment) : segment_(segment) {
    FREYJA_SCHEDULE_POINT("read.pin", &segment);
    segment_.Pin();
  }
  ~PinnedRecord() { segment_.Unpin(); }
  PinnedRecord(const PinnedRecord&) = delete;
  PinnedRecord& operator=(const PinnedRecord&) = delete;

 private:
  Segment& segment_;
};

// Walks the index page by page, in the order of hashes; of each page it takes the records
// numbered at most the snapshot's, and the locations saved for the snapshot since. What the
// page's lock orders is exact: a key overwritten before the visit was saved before it, one
// overwritten after it was seen in the page.
//
// Needs no epoch between calls: no segment retired since the snapshot was opened is freed.
// Not thread-safe.
class IteratorImpl {
 public:
  IteratorImpl(const Index& index, const RecordReader& reader, Publisher& publisher,
               const base::Clock& clock);
  ~IteratorImpl() { publisher_.CloseSnapshot(snapshot_); }
  IteratorImpl(const IteratorImpl&) = delete;
  IteratorImpl& operator=(const IteratorImpl&) = delete;

  void Next();
  bool valid() const { return valid_; }
  const format::Record& record() const { return record_; }
  const Status& status() const { return status_; }

 private:
  // Fetches the next page's locations into `page_`; `false` after the last page.
  bool NextPage();
  void Fail(Status status);

  const Index& index_;
  const RecordReader& reader_;
  Publisher& publisher_;
  const base::Clock& clock_;
  const std::shared_ptr<Snapshot> snapshot_;

  std::vector<Snapshot::Saved> page_;
  std::size_t next_in_page_ = 0;
  std::uint64_t next_hash_ = 0;
  bool all_pages_seen_ = false;
  bool valid_ = false;
  format::Record record_;
  Status status_;
};

}  // namespace freyja::engine
