// One segment as the running store holds it: its file, its mappings, its counters.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>
#include <span>
#include <string>

#include "engine/location.h"
#include "format/ids.h"
#include "format/manifest.h"
#include "format/record.h"
#include "freyja/stats.h"
#include "io/file_system.h"

namespace freyja::engine {

// Thread safety: constants may be read by anyone who keeps the segment alive (an epoch
// opened before it was retired, a pin, a snapshot, or the log). Counters are atomics.
// `summary` is written by the writer's leader or by the sealer, see there.
class Segment {
 public:
  // `log_mapping`: as long as `mapping`, and writable, for one of the log.
  Segment(const format::SegmentIdentity& identity, std::unique_ptr<io::File> file,
          std::unique_ptr<io::Mapping> mapping, std::shared_ptr<io::Mapping> log_mapping = nullptr)
      : identity_(identity),
        seed_(identity.ChecksumSeed()),
        base_(mapping->data()),
        limit_(mapping->size()),
        file_(std::move(file)),
        mapping_(std::move(mapping)),
        log_mapping_(std::move(log_mapping)) {}
  Segment(const Segment&) = delete;
  Segment& operator=(const Segment&) = delete;

  const format::SegmentIdentity& identity() const { return identity_; }
  std::uint64_t id() const { return identity_.id; }
  std::uint32_t seed() const { return seed_; }
  std::uint32_t SeedAt(Location location) const {
    return format::RecordSeed(seed_, location.offset());
  }
  std::uint32_t slot() const { return slot_; }
  const std::byte* base() const { return base_; }
  // Reads and appends stay below this offset.
  std::uint64_t limit() const { return limit_; }
  io::File& file() const { return *file_; }
  io::Mapping& mapping() const { return *mapping_; }
  // What records are appended through; not what they are read through, so that the one can be
  // taken out of the page tables while the other is used. For those who know that the segment is
  // not sealed yet; then it is taken away.
  const std::shared_ptr<io::Mapping>& log_mapping() const { return log_mapping_; }
  // What a reader met counts, too: what is stored there nobody could read.
  bool log_faulted() const { return mapping_->faulted() || log_mapping_->faulted(); }
  std::shared_ptr<io::Mapping> TakeLogMapping() { return std::move(log_mapping_); }
  std::string name() const { return format::DataFileName(identity_.id); }

  // Bytes from `offset` on, clamped to the end of the segment.
  std::span<const std::byte> BytesAt(std::uint64_t offset) const {
    return offset < limit_ ? std::span<const std::byte>(base_ + offset, limit_ - offset)
                           : std::span<const std::byte>();
  }
  std::span<const std::byte> BytesAt(Location location) const { return BytesAt(location.offset()); }

  // What the index points to in this segment; changed under the page lock of the key. `bytes` is
  // the length of one record.
  void AddLive(std::uint64_t bytes) {
    live_.fetch_add(PackLive(1, bytes), std::memory_order_relaxed);  // a statistic, orders nothing
  }
  void RemoveLive(std::uint64_t bytes) {
    live_.fetch_sub(PackLive(1, bytes), std::memory_order_relaxed);
  }
  // At open, before anyone else knows the segment.
  void SetLive(std::uint64_t records, std::uint64_t bytes) {
    live_.store(PackLive(records, bytes));
  }
  std::uint64_t live_records() const { return live_.load() & UINT32_MAX; }
  std::uint64_t live_bytes() const { return (live_.load() >> 32) * format::kRecordAlignment; }

  void Pin() { pins_.fetch_add(1); }
  void Unpin() { pins_.fetch_sub(1); }
  std::uint64_t pins() const { return pins_.load(); }

  SegmentState state() const { return state_.load(); }
  void set_state(SegmentState state) { state_.store(state); }

  // A compaction found a record in it that does not verify: it is no victim any more, so that
  // it does not keep the others from being compacted.
  bool damaged() const { return damaged_.load(); }
  void set_damaged() { damaged_.store(true); }

  // When it was retired; to be read once the state says so.
  std::chrono::steady_clock::time_point retired_at() const { return retired_at_.load(); }
  void set_retired_at(std::chrono::steady_clock::time_point time) { retired_at_.store(time); }

  // A sealed segment's entry of the manifest; set before the state becomes kSealed.
  const format::SealedSegment& sealed() const { return sealed_; }
  void set_sealed(const format::SealedSegment& sealed) { sealed_ = sealed; }

  // While in the log: end and contents of what has been appended, for statistics.
  std::atomic<std::uint64_t> log_end{0};
  std::atomic<std::uint64_t> log_records{0};
  std::atomic<std::uint64_t> log_tombstones{0};
  std::atomic<std::uint64_t> log_first_sequence{0};
  std::atomic<std::uint64_t> log_last_sequence{0};
  // Pages below it have been made present for appends.
  std::atomic<std::uint64_t> populated_end{0};
  // Where the last sync of it ended; for one who syncs the log.
  std::uint64_t synced_end = 0;

 private:
  friend class SegmentTable;

  const format::SegmentIdentity identity_;
  const std::uint32_t seed_;
  std::uint32_t slot_ = 0;  // constant once registered
  const std::byte* const base_;
  const std::uint64_t limit_;
  const std::unique_ptr<io::File> file_;
  const std::unique_ptr<io::Mapping> mapping_;
  std::shared_ptr<io::Mapping> log_mapping_;
  format::SealedSegment sealed_;

  // Both numbers in one word, because each put changes it. The bytes are on top: should those of a
  // damaged record be wrong, the records are still counted right.
  static std::uint64_t PackLive(std::uint64_t records, std::uint64_t bytes) {
    return bytes / format::kRecordAlignment << 32 | records;
  }
  static_assert(kMaxSegmentBytes / format::kRecordAlignment <= UINT32_MAX);

  // Counters on a line of their own: readers load the fields above on every get.
  alignas(64) std::atomic<std::uint64_t> live_{0};
  std::atomic<std::uint64_t> pins_{0};
  std::atomic<SegmentState> state_{SegmentState::kPrepared};
  std::atomic<bool> damaged_{false};
  std::atomic<std::chrono::steady_clock::time_point> retired_at_{};
};

}  // namespace freyja::engine
