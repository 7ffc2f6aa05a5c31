#include "engine/iterator.h"

#include <new>
#include <utility>

namespace freyja::engine {

IteratorImpl::IteratorImpl(const Index& index, const RecordReader& reader, Publisher& publisher,
                           const base::Clock& clock)
    : index_(index),
      reader_(reader),
      publisher_(publisher),
      clock_(clock),
      snapshot_(publisher.OpenSnapshot()) {}

void IteratorImpl::Fail(Status status) {
  status_ = std::move(status);
  valid_ = false;
  all_pages_seen_ = true;
  page_.clear();
  next_in_page_ = 0;
}

bool IteratorImpl::NextPage() {
  page_.clear();
  next_in_page_ = 0;
  if (all_pages_seen_) return false;
  bool complete = true;
  const std::uint64_t last =
      index_.VisitPage(next_hash_, [&](const auto& entries, std::uint64_t last_hash) {
        try {
          for (const auto& entry : entries) page_.push_back({entry.hash, entry.location});
          complete = snapshot_->Advance(last_hash, page_);
        } catch (const std::bad_alloc&) {
          complete = false;
        }
      });
  if (!complete) {
    Fail(Status(StatusCode::kOutOfMemory, "out of memory"));
    return false;
  }
  all_pages_seen_ = last == UINT64_MAX;
  next_hash_ = last + 1;
  return true;
}

void IteratorImpl::Next() try {
  valid_ = false;
  for (;;) {
    while (next_in_page_ == page_.size()) {
      if (!NextPage()) return;
    }
    const auto found = reader_.Read(page_[next_in_page_++].location);
    if (!found) return Fail(found.error());
    const format::Record& record = found->record;
    if (record.sequence > snapshot_->sequence()) continue;
    if (record.expires_at_ms != 0 && record.expires_at_ms <= clock_.WallMs()) continue;
    record_ = record;
    valid_ = true;
    return;
  }
} catch (const std::bad_alloc&) {
  Fail(Status(StatusCode::kOutOfMemory, "out of memory"));
}

}  // namespace freyja::engine
