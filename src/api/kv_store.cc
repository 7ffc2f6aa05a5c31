#include "freyja/kv_store.h"

#include <new>
#include <utility>

#include "api/store_parts.h"
#include "base/status_macros.h"
#include "io/posix_file_system.h"

namespace freyja {

namespace {

Status OutOfMemory() { return Status(StatusCode::kOutOfMemory, "out of memory"); }

// Nothing is thrown across the API.
template <class Call>
auto Guarded(Call&& call) -> decltype(call()) {
  try {
    return call();
  } catch (const std::bad_alloc&) {
    return base::ErrorReturn(OutOfMemory());
  } catch (const std::exception& error) {
    return base::ErrorReturn(Status(StatusCode::kIoError, error.what()));
  }
}

template <class Call>
auto TimedRead(api::StoreParts& parts, Call&& call) -> decltype(call()) {
  return parts.latencies.Measure(engine::LatencySampler::Kind::kRead,
                                 [&] { return Guarded(std::forward<Call>(call)); });
}

// A delay because of the space ceiling is part of the write's latency.
template <class Call>
auto TimedWrite(api::StoreParts& parts, Call&& call) -> decltype(call()) {
  return parts.latencies.Measure(engine::LatencySampler::Kind::kWrite, [&] {
    parts.scheduler.DelayWriter();
    return Guarded(std::forward<Call>(call));
  });
}

Status CheckOptions(const Options& options) {
  const auto invalid = [](std::string message) {
    return Status(StatusCode::kInvalidArgument, std::move(message));
  };
  if (options.segment_bytes < kMinSegmentBytes || options.segment_bytes > kMaxSegmentBytes) {
    return invalid("Options::segment_bytes is " + std::to_string(options.segment_bytes) +
                   "; it must be from " + std::to_string(kMinSegmentBytes) + " to " +
                   std::to_string(kMaxSegmentBytes));
  }
  if (options.sync == Sync::kDefault || options.sync > Sync::kAlways) {
    return invalid("Options::sync must be kNone, kInterval or kAlways");
  }
  if (options.sync == Sync::kInterval && options.sync_interval.count() <= 0) {
    return invalid("Options::sync_interval must be above zero");
  }
  if (options.read_only && options.create_if_missing) {
    return invalid("Options::read_only and create_if_missing contradict each other");
  }
  if (options.quarantine.keep_for.count() < 0) {
    return invalid("Options::quarantine.keep_for is negative");
  }
  if (options.read_only && options.control_socket) {
    return invalid(
        "Options::read_only and control_socket contradict each other: nothing may be made in the "
        "directory, and nothing is to be controlled");
  }
  return compaction::CheckOptions(options.scheduler);
}

// What only makes sense or not beside the data and the disk.
Status CheckScheduler(engine::Store& store) {
  const SchedulerOptions& options = store.options().scheduler;
  const auto capacity = store.directory().file_system().Capacity(store.directory().path());
  return compaction::CheckAgainstDisk(options.limits, options.free_disk_floor,
                                      store.GetStats().live_bytes, capacity.value_or(0));
}

}  // namespace

Result<std::unique_ptr<KVStore>> api::OpenStore(const std::filesystem::path& path,
                                                const Options& options,
                                                engine::Environment environment) {
  return Guarded([&]() -> Result<std::unique_ptr<KVStore>> {
    FREYJA_RETURN_IF_ERROR(CheckOptions(options));
    FREYJA_ASSIGN_OR_RETURN(auto store, engine::Store::Open(path, options, std::move(environment)));
    const bool schedules = options.scheduler.enabled && store->CheckWritable().ok();
    if (schedules) FREYJA_RETURN_IF_ERROR(CheckScheduler(*store));
    auto parts = std::make_unique<StoreParts>(std::move(store));
    if (schedules) FREYJA_RETURN_IF_ERROR(parts->scheduler.Start());
    if (options.control_socket) {
      FREYJA_ASSIGN_OR_RETURN(parts->control, ControlService::Start(*parts));
    }
    return std::make_unique<KVStore>(std::move(parts));
  });
}

Result<std::unique_ptr<KVStore>> KVStore::Open(const std::filesystem::path& path,
                                               const Options& options) {
  return Guarded([&]() -> Result<std::unique_ptr<KVStore>> {
    // The host may go to another working directory while the store is open.
    std::error_code error;
    const std::filesystem::path absolute = std::filesystem::absolute(path, error);
    if (error) {
      return std::unexpected(Status(StatusCode::kIoError,
                                    path.string() + ": no working directory: " + error.message()));
    }
    return api::OpenStore(absolute, options,
                          {.file_system = io::NewPosixFileSystem(),
                           .clock = std::make_shared<base::SystemClock>(),
                           .random = std::make_shared<base::SystemRandom>()});
  });
}

KVStore::KVStore(std::unique_ptr<api::StoreParts> parts) : parts_(std::move(parts)) {}

KVStore::~KVStore() {
  const Status ignored = Close();
  static_cast<void>(ignored);
}

Status KVStore::Put(std::string_view key, std::string_view value, const WriteOptions& options) {
  return TimedWrite(*parts_, [&] { return parts_->store->Put(key, value, options); });
}

Result<bool> KVStore::Delete(std::string_view key, const WriteOptions& options) {
  return TimedWrite(*parts_, [&] { return parts_->store->Delete(key, options); });
}

Status KVStore::Write(const WriteBatch& batch, const WriteOptions& options) {
  return TimedWrite(*parts_, [&] { return parts_->store->Write(batch, options); });
}

Result<bool> KVStore::Get(std::string_view key, std::string& value) const {
  return TimedRead(*parts_, [&] { return parts_->store->Get(key, value); });
}

Result<std::optional<std::string>> KVStore::Get(std::string_view key) const {
  return TimedRead(*parts_, [&]() -> Result<std::optional<std::string>> {
    std::string value;
    FREYJA_ASSIGN_OR_RETURN(const bool found, parts_->store->Get(key, value));
    if (!found) return std::nullopt;
    return value;
  });
}

Result<std::optional<PinnedValue>> KVStore::GetPinned(std::string_view key) const {
  return TimedRead(*parts_, [&]() -> Result<std::optional<PinnedValue>> {
    FREYJA_ASSIGN_OR_RETURN(auto pinned, parts_->store->GetPinned(key));
    if (!pinned) return std::nullopt;
    return PinnedValue(std::move(pinned->pin), pinned->value);
  });
}

std::vector<Result<std::optional<std::string>>> KVStore::MultiGet(
    std::span<const std::string_view> keys) const {
  try {
    return parts_->store->MultiGet(keys);
  } catch (const std::bad_alloc&) {
    return std::vector<Result<std::optional<std::string>>>(keys.size(),
                                                           std::unexpected(OutOfMemory()));
  }
}

std::vector<Result<bool>> KVStore::MultiGet(std::span<const std::string_view> keys,
                                            std::span<std::string> values) const {
  try {
    return parts_->store->MultiGet(keys, values);
  } catch (const std::bad_alloc&) {
    for (std::string& value : values) value.clear();
    return std::vector<Result<bool>>(keys.size(), std::unexpected(OutOfMemory()));
  }
}

Result<Iterator> KVStore::NewIterator() const {
  return Guarded([&]() -> Result<Iterator> {
    FREYJA_ASSIGN_OR_RETURN(auto iterator, parts_->store->NewIterator());
    return Iterator(std::move(iterator));
  });
}

Status KVStore::Sync() {
  return Guarded([&] { return parts_->store->Sync(); });
}

Status KVStore::VerifyChecksums() const {
  return Guarded([&] { return parts_->store->VerifyChecksums(); });
}

Stats KVStore::GetStats() const { return parts_->GetStats(); }
std::vector<SegmentInfo> KVStore::GetSegments() const { return parts_->store->GetSegments(); }
std::uint64_t KVStore::SwapCounter() const { return parts_->store->totals().swap_counter.load(); }
const std::filesystem::path& KVStore::path() const { return parts_->store->directory().path(); }
std::size_t KVStore::max_value_bytes() const { return parts_->store->max_value_bytes(); }

Status KVStore::Close() {
  return Guarded([&] {
    if (parts_->control) parts_->control->Shutdown();
    parts_->scheduler.Shutdown();
    parts_->jobs.Shutdown();
    const Status closed = parts_->store->Close();
    parts_->events.Shutdown();
    return closed;
  });
}

std::string_view SegmentStateName(SegmentState state) {
  switch (state) {
    case SegmentState::kPrepared:
      return "prepared";
    case SegmentState::kActive:
      return "active";
    case SegmentState::kFull:
      return "full";
    case SegmentState::kSealed:
      return "sealed";
    case SegmentState::kRetired:
      return "retired";
    case SegmentState::kQuarantined:
      return "quarantined";
  }
  return "unknown";
}

}  // namespace freyja
