#include "engine/store.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <thread>

#include "base/bytes.h"
#include "base/status_macros.h"
#include "engine/index_image.h"
#include "format/record.h"
#include "format/segment_header.h"

namespace freyja::engine {

using std::chrono::milliseconds;

namespace {

std::uint64_t ChooseSegmentBytes(Directory& directory, std::uint64_t asked) {
  constexpr std::uint64_t kShareOfDisk = 16;
  const auto capacity = directory.file_system().Capacity(directory.path());
  if (!capacity) return asked;
  const std::uint64_t most =
      std::max<std::uint64_t>(*capacity / kShareOfDisk / 4096 * 4096, kMinSegmentBytes);
  return std::min(asked, most);
}

}  // namespace

Store::Store(std::filesystem::path path, const Options& options, Environment environment)
    : options_(options),
      environment_(std::move(environment)),
      directory_(*environment_.file_system, std::move(path), health_) {}

Store::~Store() {
  const Status ignored = Close();
  static_cast<void>(ignored);
}

// --- State ----------------------------------------------------------------------------

unsigned Store::worker_threads() const {
  const unsigned asked = options_.worker_threads;
  return asked != 0 ? std::min(asked, 64u)
                    : std::clamp(std::thread::hardware_concurrency(), 1u, 8u);
}

Status Store::Closed() { return Status(StatusCode::kClosed, "the store was closed"); }

Status Store::CheckWritable() const {
  FREYJA_RETURN_IF_ERROR(CheckOpen());
  FREYJA_RETURN_IF_ERROR(read_only_reason_);
  return health_.CheckWritable();
}

std::size_t Store::max_value_bytes() const {
  return std::min<std::uint64_t>(
      kMaxValueBytes, options_.segment_bytes - format::kSegmentHeaderBytes - kMinKeyBytes -
                          format::kMaxRecordOverheadBytes - format::kRecordAlignment);
}

Status Store::BadKey(std::string_view key) {
  if (key.empty()) return Status(StatusCode::kInvalidArgument, "the key is empty");
  return Status(StatusCode::kInvalidArgument, "the key has " + std::to_string(key.size()) +
                                                  " bytes; the limit is " +
                                                  std::to_string(kMaxKeyBytes));
}

Status Store::CheckOperation(std::string_view key, std::string_view value) const {
  FREYJA_RETURN_IF_ERROR(CheckKey(key));
  const std::size_t limit =
      max_value_bytes() - std::min(max_value_bytes(), key.size() - kMinKeyBytes);
  if (value.size() > std::min(limit, kMaxValueBytes)) {
    return Status(StatusCode::kInvalidArgument,
                  "the value has " + std::to_string(value.size()) +
                      " bytes; the limit in segments of " + std::to_string(options_.segment_bytes) +
                      " bytes and under a key of " + std::to_string(key.size()) + " is " +
                      std::to_string(limit));
  }
  return Status::Ok();
}

Result<bool> Store::ResolveSync(freyja::Sync sync) const {
  const freyja::Sync resolved = sync == freyja::Sync::kDefault ? options_.sync : sync;
  if (resolved > freyja::Sync::kAlways) {
    return std::unexpected(
        Status(StatusCode::kInvalidArgument, "WriteOptions::sync: unknown value"));
  }
  return resolved == freyja::Sync::kAlways;
}

// --- Writes ---------------------------------------------------------------------------

WriteOperation Store::MakeOperation(std::string_view key, std::string_view value,
                                    std::uint64_t expires_at_ms, bool is_delete) const {
  WriteOperation operation;
  operation.key = key;
  operation.value = value;
  operation.expires_at_ms = expires_at_ms;
  operation.is_delete = is_delete;
  operation.hash = format::HashKey(key, hash_seed_);
  return operation;
}

Status Store::Put(std::string_view key, std::string_view value, const WriteOptions& options) {
  FREYJA_RETURN_IF_ERROR(CheckWritable());
  FREYJA_RETURN_IF_ERROR(CheckOperation(key, value));
  FREYJA_ASSIGN_OR_RETURN(const bool sync, ResolveSync(options.sync));
  const WriteOperation operation = MakeOperation(key, value, options.expires_at_ms, false);
  return writer_->Write(std::span(&operation, 1), sync);
}

Result<bool> Store::Delete(std::string_view key, const WriteOptions& options) {
  FREYJA_RETURN_IF_ERROR(CheckWritable());
  FREYJA_RETURN_IF_ERROR(CheckKey(key));
  FREYJA_ASSIGN_OR_RETURN(const bool sync, ResolveSync(options.sync));
  return writer_->Delete(MakeOperation(key, {}, 0, true), sync);
}

Status Store::Write(const WriteBatch& batch, const WriteOptions& options) {
  FREYJA_RETURN_IF_ERROR(CheckWritable());
  FREYJA_ASSIGN_OR_RETURN(const bool sync, ResolveSync(options.sync));
  if (batch.empty()) return Status::Ok();
  std::vector<WriteOperation> operations;
  operations.reserve(batch.size());
  std::uint64_t total = sizeof(std::uint64_t) + format::kRecordAlignment;
  for (const WriteBatch::Operation& operation : batch.operations()) {
    const std::string_view value = operation.is_delete ? std::string_view() : operation.value;
    FREYJA_RETURN_IF_ERROR(CheckOperation(operation.key, value));
    total += base::RoundUp(operation.key.size() + value.size() + format::kRecordHeaderBytes +
                               (operation.expires_at_ms != 0 ? sizeof(std::uint64_t) : 0),
                           format::kRecordAlignment);
    operations.push_back(
        MakeOperation(operation.key, value, operation.expires_at_ms, operation.is_delete));
  }
  const std::uint64_t limit = options_.segment_bytes - format::kSegmentHeaderBytes;
  if (total > limit) {
    return Status(StatusCode::kInvalidArgument,
                  "the batch takes " + std::to_string(total) +
                      " bytes; it must fit in one segment, of which " + std::to_string(limit) +
                      " bytes can be used");
  }
  return writer_->Write(operations, sync);
}

Status Store::Sync() {
  FREYJA_RETURN_IF_ERROR(CheckWritable());
  return log_->SyncThrough(log_->appended());
}

Status Store::SealActive() {
  FREYJA_RETURN_IF_ERROR(CheckWritable());
  // Not what is appended from here on: writers may fill segments faster than these are sealed.
  const std::uint64_t through = log_->appended();
  FREYJA_RETURN_IF_ERROR(writer_->RollActive());
  while (log_->HasFull(through)) {
    FREYJA_ASSIGN_OR_RETURN(const bool sealed, log_->SealOldest());
    if (sealed) continue;
    // Full, but a group of writers has not published its last records yet; it never will if
    // the writer was poisoned.
    FREYJA_RETURN_IF_ERROR(CheckWritable());
    FREYJA_SCHEDULE_YIELD("store.seal");
    std::this_thread::sleep_for(std::chrono::microseconds(100));
  }
  return Status::Ok();
}

// --- Reads ----------------------------------------------------------------------------

namespace {

// std::string::assign takes three times as many instructions.
void Assign(std::string& to, std::string_view from) {
  to.resize_and_overwrite(from.size(), [&](char* chars, std::size_t) {
    std::memcpy(chars, from.data(), from.size());
    return from.size();
  });
}

}  // namespace

inline Result<bool> Store::FindVisible(std::string_view key, std::uint64_t hash, Location likely,
                                       FoundRecord& found) const {
  auto is_there = reader_->Find(key, hash, likely, found);
  if (!is_there || !*is_there || found.record.expires_at_ms == 0) return is_there;
  return FindUnexpired(key, hash, found);
}

Result<bool> Store::FindUnexpired(std::string_view key, std::uint64_t hash,
                                  FoundRecord& found) const {
  for (;;) {
    const std::uint64_t expiry = found.record.expires_at_ms;
    if (expiry == 0 || expiry > environment_.clock->WallMs()) return true;
    // It may have been replaced in time, before the clock was read; if it has not been by now, it
    // is what counts.
    const Location expired = found.location;
    FREYJA_ASSIGN_OR_RETURN(const bool still_there, reader_->Find(key, hash, found));
    if (!still_there || found.location == expired) return false;
  }
}

Result<bool> Store::Get(std::string_view key, std::string& value) const {
  value.clear();
  FREYJA_RETURN_IF_ERROR(CheckOpen());
  FREYJA_RETURN_IF_ERROR(CheckKey(key));
  const std::uint64_t hash = format::HashKey(key, hash_seed_).low;
  const EpochGuard guard(epochs_);
  FoundRecord found;
  FREYJA_ASSIGN_OR_RETURN(const bool is_there, FindVisible(key, hash, Location(), found));
  if (is_there) Assign(value, found.record.value);
  return is_there;
}

Result<std::optional<Store::Pinned>> Store::GetPinned(std::string_view key) const {
  FREYJA_RETURN_IF_ERROR(CheckOpen());
  FREYJA_RETURN_IF_ERROR(CheckKey(key));
  const std::uint64_t hash = format::HashKey(key, hash_seed_).low;
  const EpochGuard guard(epochs_);
  FoundRecord found;
  FREYJA_ASSIGN_OR_RETURN(const bool is_there, FindVisible(key, hash, Location(), found));
  if (!is_there) return std::nullopt;
  return Pinned{std::make_unique<PinnedRecord>(*found.segment), found.record.value};
}

// Calls answer(i, is_there, value) for each key, in order; is_there is a Result<bool>.
template <class Answer>
void Store::GetEach(std::span<const std::string_view> keys, Answer&& answer) const {
  constexpr std::size_t kGroup = 16;  // misses in flight at once
  constexpr std::uint64_t kMaxPrefetchBytes = 1 << 20;
  const Status open = CheckOpen();
  for (std::size_t start = 0; start < keys.size(); start += kGroup) {
    const auto group = keys.subspan(start, std::min(kGroup, keys.size() - start));
    std::array<std::uint64_t, kGroup> hashes{};
    std::array<Location, kGroup> likely{};
    const EpochGuard guard(epochs_);
    for (std::size_t i = 0; i < group.size(); ++i) {
      hashes[i] = format::HashKey(group[i], hash_seed_).low;
    }
    if (open.ok()) {
      reader_->Prefetch(std::span(hashes).first(group.size()), kMaxPrefetchBytes, likely);
    }
    for (std::size_t i = 0; i < group.size(); ++i) {
      FoundRecord found;
      Status status = open.ok() ? CheckKey(group[i]) : open;
      Result<bool> is_there = status.ok() ? FindVisible(group[i], hashes[i], likely[i], found)
                                          : std::unexpected(std::move(status));
      answer(start + i, std::move(is_there), found.record.value);
    }
  }
}

std::vector<Result<std::optional<std::string>>> Store::MultiGet(
    std::span<const std::string_view> keys) const {
  std::vector<Result<std::optional<std::string>>> results;
  results.reserve(keys.size());
  GetEach(keys, [&](std::size_t, Result<bool> is_there, std::string_view value) {
    if (!is_there) {
      results.emplace_back(std::unexpected(std::move(is_there).error()));
    } else if (*is_there) {
      results.emplace_back(std::in_place, std::in_place, value);
    } else {
      results.emplace_back(std::nullopt);
    }
  });
  return results;
}

std::vector<Result<bool>> Store::MultiGet(std::span<const std::string_view> keys,
                                          std::span<std::string> values) const {
  std::vector<Result<bool>> results;
  if (values.size() != keys.size()) {
    const Status status(
        StatusCode::kInvalidArgument,
        std::to_string(values.size()) + " values for " + std::to_string(keys.size()) + " keys");
    results.assign(keys.size(), std::unexpected(status));
    return results;
  }
  results.reserve(keys.size());
  GetEach(keys, [&](std::size_t i, Result<bool> is_there, std::string_view value) {
    if (is_there && *is_there) {
      Assign(values[i], value);
    } else {
      values[i].clear();
    }
    results.push_back(std::move(is_there));
  });
  return results;
}

Result<std::unique_ptr<IteratorImpl>> Store::NewIterator() const {
  FREYJA_RETURN_IF_ERROR(CheckOpen());
  return std::make_unique<IteratorImpl>(*index_, *reader_, *publisher_, *environment_.clock);
}

std::vector<PinnedSegment> Store::PinSegments() const {
  std::vector<PinnedSegment> pinned;
  const EpochGuard guard(epochs_);
  segments_.ForEach([&](Segment& segment) {
    if (segment.state() != SegmentState::kRetired) pinned.emplace_back(segment);
  });
  return pinned;
}

// --- Opening and closing --------------------------------------------------------------

Result<std::unique_ptr<Store>> Store::Open(const std::filesystem::path& path,
                                           const Options& options, Environment environment) {
  std::unique_ptr<Store> store(new Store(path, options, std::move(environment)));
  FREYJA_RETURN_IF_ERROR(store->Initialise());
  return store;
}

Status Store::Initialise() {
  options_.segment_bytes = base::RoundUp<std::uint64_t>(options_.segment_bytes, 4096);
  FREYJA_RETURN_IF_ERROR(LockDirectory());
  FREYJA_ASSIGN_OR_RETURN(const format::Manifest manifest, ReadOrCreateManifest());
  uuid_ = manifest.store;
  hash_seed_ = manifest.hash_seed;

  manifest_ = std::make_unique<ManifestStore>(directory_, health_, manifest);
  ids_ = std::make_unique<IdAllocator>(*manifest_, manifest.reserved_id);
  segment_bytes_ = ChooseSegmentBytes(directory_, options_.segment_bytes);
  reserve_ = std::make_unique<Reserve>(directory_, options_.reserve_bytes, segment_bytes_);
  FREYJA_ASSIGN_OR_RETURN(index_, Index::Create(epochs_));
  reader_ = std::make_unique<RecordReader>(*index_, segments_);
  if (!options_.read_only) {
    const Status held = reserve_->Establish();  // on a full disk: puts wait for space
    if (!held.ok() && held.code() != StatusCode::kNoSpace) return held;
  }

  Recovery recovery({.directory = directory_,
                     .manifest = *manifest_,
                     .segments = segments_,
                     .index = *index_,
                     .ids = *ids_,
                     .reserve = *reserve_,
                     .random = *environment_.random,
                     .threads = worker_threads(),
                     .segment_bytes = segment_bytes_,
                     .read_only = options_.read_only});
  FREYJA_ASSIGN_OR_RETURN(const Recovered recovered, recovery.Run());
  tail_bytes_discarded_ = recovered.tail_bytes_discarded;
  tail_records_copied_ = recovered.tail_records_copied;
  index_from_image_ = recovered.index_from_image;
  index_image_error_ = recovered.index_image_error;
  if (recovered.mended) health_.FullOpenDone();
  if (options_.read_only) {
    read_only_reason_ = Status(StatusCode::kReadOnly, "the store was opened read-only");
  } else if (!recovered.read_only_reason.ok()) {
    read_only_reason_ =
        Status(StatusCode::kReadOnly, "the disk had no room to open the store for writing: " +
                                          recovered.read_only_reason.message());
    health_.Report(recovered.read_only_reason);
  }
  StartWriting(recovered, manifest_->Current().reserved_sequence);
  return Status::Ok();
}

Status Store::LockDirectory() {
  io::FileSystem& fs = directory_.file_system();
  FREYJA_ASSIGN_OR_RETURN(const bool exists, fs.Exists(directory_.path()));
  if (!exists) {
    if (!options_.create_if_missing || options_.read_only) {
      return Status(StatusCode::kNotFound,
                    directory_.path().string() + ": there is no such directory");
    }
    FREYJA_RETURN_IF_ERROR(fs.CreateDirectory(directory_.path()));
  }
  // Nothing of ours goes into a directory that is somebody else's.
  FREYJA_ASSIGN_OR_RETURN(const bool has_manifest, fs.Exists(directory_.ManifestPath()));
  if (!has_manifest) {
    FREYJA_ASSIGN_OR_RETURN(const auto names, fs.List(directory_.path()));
    for (const std::string& name : names) {
      if (format::ParseFileName(name).kind == format::FileKind::kData) {
        return Status(StatusCode::kCorruption, directory_.path().string() + ": holds data files (" +
                                                   name + ") but no MANIFEST");
      }
      if (name != format::kLockName && name != format::kManifestTempName &&
          name != format::kReserveName && name != format::kControlName) {
        return Status(
            StatusCode::kInvalidArgument,
            directory_.path().string() + ": not a FreyjaDB store, and not empty (" + name + ")");
      }
    }
    if (!options_.create_if_missing || options_.read_only) {
      return Status(StatusCode::kNotFound, directory_.path().string() + ": there is no store here");
    }
  }
  auto lock = fs.Lock(directory_.path() / format::kLockName, !options_.read_only);
  if (!lock && lock.error().code() == StatusCode::kBusy) {
    return Status(StatusCode::kBusy, directory_.path().string() +
                                         ": the store is already open, here or in another process");
  }
  if (!lock) return lock.error();
  lock_ = *std::move(lock);
  return Status::Ok();
}

Result<format::Manifest> Store::ReadOrCreateManifest() {
  auto manifest = ManifestStore::Read(directory_);
  if (!manifest && manifest.error().code() == StatusCode::kNotFound && options_.create_if_missing &&
      !options_.read_only) {
    return CreateManifest();
  }
  if (!manifest) {
    return std::unexpected(Status(manifest.error().code(),
                                  directory_.path().string() + ": " + manifest.error().message()));
  }
  if (options_.error_if_exists) {
    return std::unexpected(Status(StatusCode::kAlreadyExists,
                                  directory_.path().string() + ": there is a store already"));
  }
  return manifest;
}

Result<format::Manifest> Store::CreateManifest() {
  base::Random& random = *environment_.random;
  format::Manifest manifest;
  manifest.generation = 1;
  manifest.store = {.high = random.Next64(), .low = random.Next64()};
  manifest.hash_seed = random.Next64();
  // The directory's own entry must survive, too. Before the manifest is there, so that a store
  // that is found needs no thought of it; only a parent that may not be opened is let pass.
  Status synced = directory_.file_system().SyncDirectory(directory_.path() / "..");
  if (!synced.ok() && synced.code() != StatusCode::kReadOnly) {
    return std::unexpected(std::move(synced));
  }
  const auto created = ManifestStore::Replace(directory_, health_, manifest);
  if (!created.ok()) return std::unexpected(created.status);
  return manifest;
}

void Store::StartWriting(const Recovered& recovered, std::uint64_t reserved_sequence) {
  log_ = std::make_unique<Log>(Log::Parts{directory_, *manifest_, health_, segments_, *ids_,
                                          *reserve_, *environment_.random},
                               Log::Start{.store = uuid_,
                                          .hash_seed = hash_seed_,
                                          .last_sequence = recovered.last_sequence,
                                          .durable_sequence = recovered.durable_sequence,
                                          .reserved_sequence = reserved_sequence,
                                          .segments = recovered.log,
                                          .segment_bytes = segment_bytes_,
                                          .sync_ahead = options_.sync == freyja::Sync::kAlways,
                                          .wake_maintenance = [this] { maintenance_->Wake(); }});
  publisher_ = std::make_unique<Publisher>(*index_, epochs_, segments_, *reader_, *log_, health_);
  reaper_ = std::make_unique<Reaper>(directory_, segments_, epochs_, *publisher_);
  quarantine_ = std::make_unique<Quarantine>(
      Quarantine::Parts{*manifest_, *reserve_, *reaper_, *environment_.clock}, options_.quarantine);
  writer_ = std::make_unique<Writer>(Writer::Parts{*log_, *publisher_, *reader_, epochs_, health_,
                                                   *reserve_, *environment_.clock});
  const bool by_time = options_.sync == freyja::Sync::kInterval;
  maintenance_ = std::make_unique<Maintenance>(
      Maintenance::Parts{*log_, *reaper_, epochs_, *reserve_, *quarantine_, health_},
      by_time ? std::optional<milliseconds>(options_.sync_interval) : std::nullopt);
  if (read_only_reason_.ok()) maintenance_->Start();
}

Status Store::Close() {
  if (closed_.exchange(true)) return Status::Ok();
  if (!maintenance_) return Status::Ok();  // it never opened
  maintenance_->Stop();
  if (!read_only_reason_.ok()) return Status::Ok();
  // A write that came just before may be on its way yet; a listener's, for one.
  const Status stopped = writer_->Stop();
  if (health_.poisoned()) return health_.CheckWritable();
  FREYJA_RETURN_IF_ERROR(stopped);
  Status closed = log_->Settle();
  if (closed.ok()) {
    SaveIndex();
    closed = log_->CloseCleanly();
    if (closed.code() == StatusCode::kNoSpace && !health_.poisoned()) {
      // The image may have taken the room that the manifest needs.
      directory_.RemoveBestEffort(directory_.IndexImagePath());
      closed = log_->CloseCleanly();
    }
  }
  reaper_->Collect();
  return closed;
}

// What spares the next open the loading of the hints; without it that is slower, not wrong.
void Store::SaveIndex() noexcept try {
  if (!options_.index_image || !reserve_->whole() || health_.full_open_wanted()) return;
  const Status saved =
      WriteIndexImage({directory_, *manifest_, *index_, segments_}, segment_bytes_);
  const bool was_refused = saved.code() == StatusCode::kNoSpace ||  // nobody needs to know that
                           saved.code() == StatusCode::kUnsupported;
  if (!saved.ok() && !was_refused) health_.Report(saved);
} catch (const std::exception&) {  // NOLINT(bugprone-empty-catch)
  // Without memory even for the report.
}

}  // namespace freyja::engine
