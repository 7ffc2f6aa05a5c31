// The store: owns the parts and wires them. Reads go through index and record reader
// (record_reader.h), writes through the writer (writer.h), opening through recovery
// (recovery.h); the background duties are in maintenance.h.
//
// Lock order, outermost first: the writer's queue (never held while anything else is
// taken) | Log::seal_mutex_ | Log::prepare_mutex_ | IdAllocator::mutex_ |
// ManifestStore::commit_mutex_ | Log::sync_mutex_ | Reaper::mutex_ | Publisher::mutex_ | the
// index's page lock | Snapshot::mutex_ | leaves (Log::mutex_, SegmentTable, Reserve, Directory,
// Health, EpochManager).
#pragma once

#include <atomic>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "engine/directory.h"
#include "engine/environment.h"
#include "engine/epoch.h"
#include "engine/id_allocator.h"
#include "engine/index.h"
#include "engine/iterator.h"
#include "engine/log.h"
#include "engine/maintenance.h"
#include "engine/manifest_store.h"
#include "engine/publisher.h"
#include "engine/quarantine.h"
#include "engine/reaper.h"
#include "engine/record_reader.h"
#include "engine/recovery.h"
#include "engine/reserve.h"
#include "engine/segment_table.h"
#include "engine/writer.h"
#include "freyja/options.h"
#include "freyja/stats.h"
#include "freyja/write_batch.h"

namespace freyja::engine {

// What compactions add to the statistics.
struct CompactionTotals {
  std::atomic<std::uint64_t> completed{0};
  std::atomic<std::uint64_t> failed{0};
  std::atomic<std::uint64_t> bytes_read{0};
  std::atomic<std::uint64_t> bytes_written{0};
  std::atomic<std::uint64_t> bytes_reclaimed{0};
  std::atomic<std::uint64_t> busy_us{0};
  std::atomic<std::uint64_t> failures_in_a_row{0};
  std::atomic<std::uint64_t> swap_counter{0};  // see KVStore::SwapCounter

  void AddPublishHolds(const LockHolds& holds) FREYJA_EXCLUDES(mutex_) {
    base::MutexLock lock(mutex_);
    publish_holds_.Add(holds);
  }
  LockHolds publish_holds() const FREYJA_EXCLUDES(mutex_) {
    base::MutexLock lock(mutex_);
    return publish_holds_;
  }

 private:
  mutable base::Mutex mutex_;
  LockHolds publish_holds_ FREYJA_GUARDED_BY(mutex_);
};

class PinnedSegment {
 public:
  explicit PinnedSegment(Segment& segment) : segment_(&segment) { segment.Pin(); }
  PinnedSegment(PinnedSegment&& other) noexcept
      : segment_(std::exchange(other.segment_, nullptr)) {}
  PinnedSegment& operator=(PinnedSegment&& other) noexcept {
    std::swap(segment_, other.segment_);
    return *this;
  }
  ~PinnedSegment() {
    if (segment_ != nullptr) segment_->Unpin();
  }
  Segment& operator*() const { return *segment_; }
  Segment* operator->() const { return segment_; }

 private:
  Segment* segment_;
};

// Thread safety: as KVStore.
class Store {
 public:
  static Result<std::unique_ptr<Store>> Open(const std::filesystem::path& path,
                                             const Options& options, Environment environment);
  ~Store();
  Store(const Store&) = delete;
  Store& operator=(const Store&) = delete;

  Status Put(std::string_view key, std::string_view value, const WriteOptions& options);
  Result<bool> Delete(std::string_view key, const WriteOptions& options);
  Status Write(const WriteBatch& batch, const WriteOptions& options);
  Result<bool> Get(std::string_view key, std::string& value) const;
  struct Pinned {
    std::unique_ptr<PinnedRecord> pin;
    std::string_view value;
  };
  Result<std::optional<Pinned>> GetPinned(std::string_view key) const;
  std::vector<Result<std::optional<std::string>>> MultiGet(
      std::span<const std::string_view> keys) const;
  std::vector<Result<bool>> MultiGet(std::span<const std::string_view> keys,
                                     std::span<std::string> values) const;
  Result<std::unique_ptr<IteratorImpl>> NewIterator() const;
  Status Sync();
  Status VerifyChecksums() const;
  Stats GetStats() const;
  std::vector<SegmentInfo> GetSegments() const;
  Status Close();

  // Ok, or kClosed or kReadOnly: whether writes and compactions may go on.
  Status CheckWritable() const;
  std::size_t max_value_bytes() const;
  // Holds every segment that is not retired.
  std::vector<PinnedSegment> PinSegments() const;
  // Rolls and waits until everything appended before the call is in sealed segments.
  Status SealActive();
  // Whether the open read the index image instead of the hints.
  bool index_from_image() const { return index_from_image_; }

  // The parts, for compaction.
  const Options& options() const { return options_; }
  // Options::worker_threads, chosen for this machine where none were asked for.
  unsigned worker_threads() const;
  // Size of new segments: as asked for, but at most a sixteenth of the disk, so that there
  // is room to compact one when the disk is full.
  std::uint64_t segment_bytes() const { return segment_bytes_; }
  const format::StoreUuid& uuid() const { return uuid_; }
  std::uint64_t hash_seed() const { return hash_seed_; }
  base::Clock& clock() const { return *environment_.clock; }
  base::Random& random() const { return *environment_.random; }
  Directory& directory() { return directory_; }
  Health& health() { return health_; }
  ManifestStore& manifest() { return *manifest_; }
  IdAllocator& ids() { return *ids_; }
  Reserve& reserve() { return *reserve_; }
  SegmentTable& segments() { return segments_; }
  EpochManager& epochs() { return epochs_; }
  Index& index() { return *index_; }
  const RecordReader& reader() const { return *reader_; }
  Publisher& publisher() { return *publisher_; }
  Log& log() { return *log_; }
  Reaper& reaper() { return *reaper_; }
  Quarantine& quarantine() { return *quarantine_; }
  Maintenance& maintenance() { return *maintenance_; }
  CompactionTotals& totals() { return totals_; }
  const CompactionTotals& totals() const { return totals_; }

 private:
  Store(std::filesystem::path path, const Options& options, Environment environment);

  Status Initialise();
  Status LockDirectory();
  Result<format::Manifest> ReadOrCreateManifest();
  Result<format::Manifest> CreateManifest();
  void SaveIndex() noexcept;
  void StartWriting(const Recovered& recovered, std::uint64_t reserved_sequence);

  Status CheckOpen() const { return closed_.load() ? Closed() : Status::Ok(); }
  static Status CheckKey(std::string_view key) {
    return key.size() - kMinKeyBytes > kMaxKeyBytes - kMinKeyBytes ? BadKey(key) : Status::Ok();
  }
  static Status Closed();
  static Status BadKey(std::string_view key);
  Status CheckOperation(std::string_view key, std::string_view value) const;
  Result<bool> ResolveSync(freyja::Sync sync) const;
  WriteOperation MakeOperation(std::string_view key, std::string_view value,
                               std::uint64_t expires_at_ms, bool is_delete) const;
  // The record of `key` if it is there and hasn't expired; `likely` as RecordReader::Find's. The
  // caller holds a guard.
  inline Result<bool> FindVisible(std::string_view key, std::uint64_t hash, Location likely,
                                  FoundRecord& found) const;
  // The same for one whose record, `found`, expires.
  Result<bool> FindUnexpired(std::string_view key, std::uint64_t hash, FoundRecord& found) const;
  template <class Answer>
  void GetEach(std::span<const std::string_view> keys, Answer&& answer) const;
  Status VerifySegment(const Segment& segment) const;
  Status VerifyQuarantined() const;
  SegmentInfo Describe(const Segment& segment) const;
  // Of segments in quarantine, held by readers or not.
  void AddQuarantined(std::vector<SegmentInfo>& infos) const;

  // Constant once open.
  Options options_;
  const Environment environment_;
  format::StoreUuid uuid_;
  std::uint64_t hash_seed_ = 0;
  std::uint64_t segment_bytes_ = 0;
  Status read_only_reason_;
  std::uint64_t tail_bytes_discarded_ = 0;
  std::uint64_t tail_records_copied_ = 0;
  bool index_from_image_ = false;
  Status index_image_error_;

  // Self-synchronised. Destroyed in reverse order: what uses comes after what is used.
  std::atomic<bool> closed_{false};
  CompactionTotals totals_;
  Health health_;
  Directory directory_;
  std::unique_ptr<io::FileLock> lock_;
  std::unique_ptr<ManifestStore> manifest_;
  std::unique_ptr<IdAllocator> ids_;
  std::unique_ptr<Reserve> reserve_;
  mutable EpochManager epochs_;
  SegmentTable segments_;
  std::unique_ptr<Index> index_;
  std::unique_ptr<RecordReader> reader_;
  std::unique_ptr<Log> log_;
  std::unique_ptr<Publisher> publisher_;
  std::unique_ptr<Reaper> reaper_;
  std::unique_ptr<Quarantine> quarantine_;
  std::unique_ptr<Writer> writer_;
  std::unique_ptr<Maintenance> maintenance_;
};

}  // namespace freyja::engine
