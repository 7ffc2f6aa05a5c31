#include "torture/faults/fault_kinds.h"

#include <algorithm>
#include <atomic>
#include <iterator>
#include <utility>

#include "support/crash_images.h"

namespace freyja::torture {

using io::Fault;
using io::Operation;

namespace {

Status Injected(StatusCode code) { return {code, kInjected}; }

// Where a full disk shows: what takes blocks, and what can find out late that it did not.
const std::vector<Operation> kTakesSpace = {
    Operation::kCreate,      Operation::kWrite,           Operation::kSync,     Operation::kRename,
    Operation::kReleaseTail, Operation::kCreateDirectory, Operation::kAllocate, Operation::kLock};

// `base` with once and for good as two kinds.
void AddBoth(std::vector<FaultKind>& kinds, const char* once, const char* for_good, Fault base) {
  kinds.push_back({.name = once, .fault = base, .write_back = false});
  base.sticky = true;
  kinds.push_back({.name = for_good, .fault = std::move(base), .write_back = false});
}

void AddOfSyncs(std::vector<FaultKind>& kinds) {
  const std::vector<Operation> syncs = {Operation::kSync, Operation::kSyncDirectory};
  const Status status = Injected(StatusCode::kIoError);
  AddBoth(kinds, "sync_kept", "sync_kept_for_good", {.operations = syncs, .status = status});
  AddBoth(kinds, "sync_dropped", "sync_dropped_for_good",
          {.operations = {Operation::kSync}, .status = status, .sync_drops_dirty = true});
  kinds.push_back(
      {.name = "sync_late",
       .fault = {.operations = {Operation::kSync}, .status = status, .reported_late = true},
       .write_back = false});
  kinds.push_back({.name = "write_back", .fault = {.status = status}, .write_back = true});
}

std::vector<FaultKind> MakeKinds() {
  std::vector<FaultKind> kinds;
  const Status io = Injected(StatusCode::kIoError);
  const Status full = Injected(StatusCode::kNoSpace);
  const Status memory = Injected(StatusCode::kOutOfMemory);
  AddBoth(kinds, "io_error", "io_error_for_good", {.status = io});
  AddBoth(kinds, "io_error_after", "io_error_after_for_good", {.status = io, .after_effect = true});
  AddBoth(kinds, "no_space", "no_space_for_good", {.operations = kTakesSpace, .status = full});
  AddBoth(kinds, "no_memory", "no_memory_for_good", {.status = memory});
  AddBoth(kinds, "short_write", "short_write_for_good",
          {.operations = {Operation::kWrite}, .status = full, .short_write_bytes = 200});
  kinds.push_back(
      {.name = "short_write_io",
       .fault = {.operations = {Operation::kWrite}, .status = io, .short_write_bytes = 4096},
       .write_back = false});
  AddBoth(kinds, "short_read", "short_read_for_good",
          {.operations = {Operation::kRead}, .status = io, .short_read_bytes = 100});
  AddBoth(kinds, "failed_map", "failed_map_for_good",
          {.operations = {Operation::kMap}, .status = memory});
  AddOfSyncs(kinds);
  return kinds;
}

}  // namespace

const std::vector<FaultKind>& FaultKinds() {
  static const std::vector<FaultKind> kinds = MakeKinds();
  return kinds;
}

struct Injector::WriteBack {
  std::atomic<std::uint64_t> calls_left{0};
  std::atomic<bool> done{false};
};

void Injector::Attach(std::shared_ptr<io::MemoryFileSystem> disk) {
  Detach();
  disk_ = std::move(disk);
  // What the disk has done so far doesn't count.
  calls_before_ -= Count(*disk_);
  if (kind_ == nullptr) return;
  const std::uint64_t calls_so_far = calls();
  const std::uint64_t skip = n_ - std::min(n_, calls_so_far);
  if (kind_->write_back) {
    if (write_back_ != nullptr && write_back_->done.load()) return;
    write_back_ = std::make_shared<WriteBack>();
    write_back_->calls_left.store(skip);
    WatchWriteBack();
    return;
  }
  if (fired() > 0 && !kind_->fault.sticky) return;
  Fault fault = kind_->fault;
  fault.skip = skip;
  disk_->InjectFault(std::move(fault));
}

void Injector::WatchWriteBack() {
  disk_->SetOperationHook([state = write_back_, disk = disk_.get(), status = kind_->fault.status](
                              Operation, const std::filesystem::path&) {
    if (state->done.load() || state->calls_left.load() == 0) {
      if (state->done.exchange(true)) return;
      // Each of the store's files in turn: the one with the lowest number is the oldest.
      const auto names = disk->List(support::kStorePath);
      if (!names || names->empty()) return;
      const std::size_t pick = disk->OperationCount() % names->size();
      const Status failed =
          disk->FailWriteBack(std::filesystem::path(support::kStorePath) / (*names)[pick], status);
      static_cast<void>(failed);  // unlinked meanwhile
      return;
    }
    state->calls_left.fetch_sub(1);
  });
}

void Injector::Detach() {
  if (disk_ == nullptr) return;
  std::ranges::copy(disk_->FirstFaultsFired(), std::back_inserter(first_fired_));
  fired_before_ += disk_->FaultsFired();
  disk_->ClearFaults();
  disk_->SetOperationHook(nullptr);
  calls_before_ += Count(*disk_);
  disk_.reset();
}

std::uint64_t Injector::Count(const io::MemoryFileSystem& disk) const {
  if (kind_ == nullptr || kind_->fault.operations.empty()) return disk.OperationCount();
  std::uint64_t count = 0;
  for (const Operation operation : kind_->fault.operations) count += disk.OperationCount(operation);
  return count;
}

std::uint64_t Injector::calls() const {
  return calls_before_ + (disk_ == nullptr ? 0 : Count(*disk_));
}

std::uint64_t Injector::fired() const {
  return fired_before_ + (disk_ == nullptr ? 0 : disk_->FaultsFired());
}

bool Injector::injected() const {
  return fired() > 0 || (write_back_ != nullptr && write_back_->done.load());
}

std::vector<io::FiredFault> Injector::first_fired() const {
  std::vector<io::FiredFault> all = first_fired_;
  if (disk_ != nullptr) std::ranges::copy(disk_->FirstFaultsFired(), std::back_inserter(all));
  return all;
}

bool Injector::must_be_noticed() const {
  if (kind_ == nullptr) return false;
  const Fault& fault = kind_->fault;
  if (fault.reported_late) return fired() > 1;
  if (fault.status.code() == StatusCode::kNoSpace) return false;
  // What can't be done anyway, as opening a file that is not there, fails as ever.
  const auto fired_first = first_fired();
  if (fault.after_effect && std::ranges::all_of(fired_first, [](const io::FiredFault& one) {
        return one.operation == Operation::kOpen;
      })) {
    return false;
  }
  return fired() > 0;
}

std::string Injector::Describe() const {
  if (kind_ == nullptr) return "no fault";
  std::string text = std::string(kind_->name) + " at call " + std::to_string(n_);
  for (const io::FiredFault& fired : first_fired()) {
    text += ", operation " + std::to_string(static_cast<int>(fired.operation)) + " of " +
            fired.path.native();
  }
  return text;
}

}  // namespace freyja::torture
