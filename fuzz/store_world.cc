#include "fuzz/store_world.h"

#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <set>
#include <utility>

#include "base/mutex.h"
#include "fuzz/property.h"
#include "support/store_contents.h"

namespace freyja::fuzz {

using io::CrashOptions;
using io::Operation;
using support::Contents;

namespace {

// More than this tells nothing new, and hanging inputs can't be told from long ones.
constexpr int kMostSteps = 120;
constexpr unsigned kKeys = 12;

Options ChooseOptions(Input& in) {
  Options options;
  const unsigned choice = in.U8();
  options.create_if_missing = true;
  options.scheduler.enabled = false;
  // Nothing happens by time, so that an input means the same every time.
  options.sync = (choice & 3) == 3 ? freyja::Sync::kAlways : freyja::Sync::kNone;
  options.segment_bytes = std::uint64_t{16 << 10} << ((choice >> 2) % 3);
  options.reserve_bytes = 64 << 10;
  options.worker_threads = (choice & 16) != 0 ? 2 : 1;
  return options;
}

CrashOptions ChooseCrash(Input& in) {
  using Mode = CrashOptions::Mode;
  constexpr Mode kModes[] = {Mode::kProcessKill, Mode::kLoseAllUnsynced, Mode::kRandom,
                             Mode::kRandom};
  constexpr double kKeep[] = {0.5, 0.1, 0.9, 0.5};
  const unsigned choice = in.U8();
  return {
      .mode = kModes[choice & 3], .seed = in.U8(), .keep_probability = kKeep[(choice >> 2) & 3]};
}

std::shared_ptr<io::MemoryFileSystem> EmptyDisk() {
  auto disk = std::make_shared<io::MemoryFileSystem>();
  for (const char* directory : {support::kStorePath, support::kTempPath}) {
    Expect(disk->CreateDirectory(directory).ok(), "no directory");
  }
  Expect(disk->SyncDirectory("/").ok(), "no directory");
  return disk;
}

std::set<std::string> AllKeys() {
  std::set<std::string> keys;
  for (unsigned key = 0; key < kKeys; ++key) keys.insert("k" + std::to_string(key));
  return keys;
}

// With FREYJA_FUZZ_TRACE set, to see what an input means.
void Trace(const std::string& what) {
  static const bool wanted = std::getenv("FREYJA_FUZZ_TRACE") != nullptr;
  if (wanted) std::fprintf(stderr, "%s\n", what.c_str());
}

std::string Describe(const support::Write& write) {
  std::string text;
  for (const support::Change& change : write) {
    text += " " + change.key + "=" + (change.value ? change.value->substr(0, 8) : "deleted");
  }
  return text;
}

bool ChangesSomething(Operation operation) {
  switch (operation) {
    case Operation::kOpen:
    case Operation::kRead:
    case Operation::kMap:
    case Operation::kList:
    case Operation::kLock:
    case Operation::kStat:
      return false;
    default:
      return true;
  }
}

}  // namespace

// An image to be taken in the middle of an operation, on whatever thread that happens.
struct StoreWorld::InsideCrash {
  io::MemoryFileSystem* disk = nullptr;
  const support::History* history = nullptr;
  CrashOptions crash;
  std::atomic<int> countdown{0};
  base::Mutex mutex;
  std::optional<support::CrashedDisk> image FREYJA_GUARDED_BY(mutex);

  void BeforeOperation(Operation operation) {
    if (!ChangesSomething(operation) || countdown.fetch_sub(1) != 1) return;
    support::CrashedDisk taken;
    taken.mode = crash.mode;
    taken.when = "inside an operation";
    const std::size_t durable = history->durable();
    const std::size_t acknowledged = history->acknowledged();
    taken.disk = disk->CrashImage(crash);
    const std::size_t begun = history->begun();
    taken.after_power_loss = {.at_least = durable, .at_most = begun};
    taken.bounds = {
        .at_least = crash.mode == CrashOptions::Mode::kProcessKill ? acknowledged : durable,
        .at_most = begun};
    base::MutexLock lock(mutex);
    image = std::move(taken);
  }
};

StoreWorld::StoreWorld(Input& in, Planted planted)
    : in_(in), planted_(planted), disk_(EmptyDisk()) {
  StartOver({});
  Open("at first");
}

StoreWorld::~StoreWorld() {
  disk_->SetOperationHook(nullptr);
  ReleaseReaders();
  store_.reset();
}

void StoreWorld::StartOver(Contents base) {
  history_ = std::make_unique<support::History>(std::move(base));
}

// --- Sessions -------------------------------------------------------------------------

void StoreWorld::Open(const char* when) {
  faulty_ = false;
  options_ = ChooseOptions(in_);
  auto store = support::OpenOn(disk_, options_, in_.U8());
  if (!store) Fail(std::string("does not open ") + when + ": " + store.error().ToString());
  store_ = *std::move(store);
}

void StoreWorld::ReleaseReaders() {
  iterators_.clear();
  pins_.clear();
  job_.reset();
}

void StoreWorld::Reopen() {
  disk_->SetOperationHook(nullptr);
  inside_.reset();
  CloseIterators();
  FinishCompaction();
  const Status closed = store_->Close();
  Trace("close: " + closed.ToString());
  if (!closed.ok()) CheckAllowed(closed, "close");
  ReleaseReaders();
  store_.reset();
  disk_->ClearFaults();
  disk_->SetCapacity(io::MemoryFileSystem::kDefaultCapacityBytes);
  if (closed.ok()) history_->MakeDurable();
  Open("after a close");
  CheckContents("after a reopen");
  // What is found after a recovery stays, even if its close had failed.
  history_->MakeDurable();
}

void StoreWorld::CrashNow() {
  const CrashOptions crash = ChooseCrash(in_);
  support::CrashedDisk image;
  image.mode = crash.mode;
  image.when = "between operations";
  image.disk = disk_->CrashImage(crash);
  image.after_power_loss = {.at_least = history_->durable(), .at_most = history_->begun()};
  image.bounds = {.at_least = crash.mode == CrashOptions::Mode::kProcessKill
                                  ? history_->acknowledged()
                                  : history_->durable(),
                  .at_most = history_->begun()};
  ContinueOn(std::move(image));
}

void StoreWorld::ContinueOn(support::CrashedDisk image) {
  disk_->SetOperationHook(nullptr);
  inside_.reset();
  ReleaseReaders();
  store_.reset();
  image.disk->SetCapacity(io::MemoryFileSystem::kDefaultCapacityBytes);
  Trace("crash " + image.when);
  support::CrashCounts counts;
  support::Survivor survivor = support::Recover(image, *history_, in_.U16(), counts);
  ExpectNone(survivor.error, "after a crash");
  disk_ = std::move(survivor.disk);
  store_ = std::move(survivor.store);
  options_ = std::move(survivor.options);
  faulty_ = false;
  StartOver(std::move(survivor.contents));
}

void StoreWorld::ArmCrashInside() {
  const CrashOptions crash = ChooseCrash(in_);
  const int countdown = 1 + static_cast<int>(in_.Below(40));
  if (!IsSound()) return;
  inside_ = std::make_shared<InsideCrash>();
  inside_->disk = disk_.get();
  inside_->history = history_.get();
  inside_->crash = crash;
  inside_->countdown = countdown;
  disk_->SetOperationHook(
      [inside = inside_](Operation operation, const auto&) { inside->BeforeOperation(operation); });
}

void StoreWorld::TakeImageInside() {
  if (!inside_) return;
  std::optional<support::CrashedDisk> image;
  {
    base::MutexLock lock(inside_->mutex);
    image = std::exchange(inside_->image, std::nullopt);
  }
  if (image) ContinueOn(*std::move(image));
}

// --- Faults ---------------------------------------------------------------------------

void StoreWorld::InjectFault() {
  constexpr Operation kOperations[] = {
      Operation::kCreate, Operation::kWrite,         Operation::kSync,  Operation::kAllocate,
      Operation::kMap,    Operation::kRename,        Operation::kOpen,  Operation::kRead,
      Operation::kUnlink, Operation::kSyncDirectory, Operation::kStat,  Operation::kReleaseTail,
      Operation::kList,   Operation::kTruncate,      Operation::kWrite, Operation::kSync};
  disk_->SetOperationHook(nullptr);
  inside_.reset();
  faulty_ = true;
  const unsigned how = in_.U8();
  io::Fault fault;
  fault.operations = {kOperations[in_.Below(std::size(kOperations))]};
  fault.skip = in_.Below(24);
  if ((how & 1) != 0) fault.status = Status(StatusCode::kNoSpace, "injected: no space");
  fault.sticky = (how & 2) != 0;
  fault.after_effect = (how & 4) != 0;
  fault.sync_drops_dirty = (how & 8) != 0;
  if ((how & 16) != 0) fault.short_write_bytes = in_.U8();
  Trace("fault " + std::to_string(how) + " at operation " +
        std::to_string(static_cast<int>(fault.operations[0])) + " after " +
        std::to_string(fault.skip));
  disk_->InjectFault(std::move(fault));
}

void StoreWorld::FillDisk() {
  disk_->SetOperationHook(nullptr);
  inside_.reset();
  faulty_ = true;
  const std::uint64_t bytes = std::uint64_t{in_.U8()} << 12;
  Trace("the disk has " + std::to_string(bytes) + " bytes");
  disk_->SetCapacity(bytes);
}

// Without a fault everything succeeds. With one, an error is one that faults cause.
void StoreWorld::CheckAllowed(const Status& status, const char* what) const {
  const auto code = status.code();
  const bool by_fault = code == StatusCode::kIoError || code == StatusCode::kNoSpace ||
                        code == StatusCode::kReadOnly || code == StatusCode::kAborted ||
                        // A file that could not be removed is in the way of its successor.
                        code == StatusCode::kAlreadyExists;
  if (!faulty_ || !by_fault) Fail(std::string(what) + ": " + status.ToString());
}

// --- Writes ---------------------------------------------------------------------------

std::string StoreWorld::AnyKey() { return "k" + std::to_string(in_.Below(kKeys)); }

std::string StoreWorld::AnyValue(const std::string& key, std::size_t largest) {
  return support::MakeValue(key, ++number_, in_.U8() * largest / 255);
}

WriteOptions StoreWorld::AnySync() {
  return {.sync = in_.OneIn(4) ? freyja::Sync::kAlways : freyja::Sync::kDefault,
          .expires_at_ms = 0};
}

template <typename Attempt>
void StoreWorld::DoWrite(support::Write write, const WriteOptions& options, Attempt attempt) {
  // An image taken meanwhile may hold it; with faults there are none, and what fails cleanly
  // must not be in the history.
  if (IsSound()) history_->Begin(write);
  const bool durable =
      options.sync == freyja::Sync::kAlways || options_.sync == freyja::Sync::kAlways;
  const std::string trace = "write" + Describe(write) + (durable ? " (sync): " : ": ");
  const Status status = attempt();
  Trace(trace + status.ToString());
  if (!status.ok()) {
    CheckAllowed(status, "write");
    return JudgeFailedWrite(std::move(write), status);
  }
  if (!IsSound()) history_->Begin(std::move(write));
  if (durable || planted_ == Planted::kUnsyncedIsCalledDurable) {
    history_->MakeDurable();
  } else {
    history_->Acknowledge();
  }
}

// Nothing of it is seen as long as the store is open. After that it may be found, if it
// failed in its sync.
void StoreWorld::JudgeFailedWrite(support::Write write, const Status& status) {
  CheckContents("after a failed write");
  if (status.code() == StatusCode::kNoSpace) return;
  history_->Begin(std::move(write));
  disk_->ClearFaults();
  disk_->SetCapacity(io::MemoryFileSystem::kDefaultCapacityBytes);
  // Only a prefix tells which writes there were: look, and begin again from there.
  ReleaseReaders();
  support::CrashedDisk image;
  image.mode = in_.Flag() ? CrashOptions::Mode::kProcessKill : CrashOptions::Mode::kRandom;
  image.when = "after a failed write";
  const bool kill = image.mode == CrashOptions::Mode::kProcessKill;
  image.disk = disk_->CrashImage({.mode = image.mode, .seed = in_.U8()});
  image.after_power_loss = {.at_least = history_->durable(), .at_most = history_->begun()};
  image.bounds = {.at_least = kill ? history_->acknowledged() : history_->durable(),
                  .at_most = history_->begun()};
  ContinueOn(std::move(image));
}

void StoreWorld::Put() {
  const std::string key = AnyKey();
  const std::string value = AnyValue(key, in_.OneIn(8) ? 9000 : 600);
  const WriteOptions options = AnySync();
  DoWrite({{key, value}}, options, [&] { return store_->Put(key, value, options); });
}

void StoreWorld::Delete() {
  const std::string key = AnyKey();
  const WriteOptions options = AnySync();
  if (!history_->newest().contains(key)) {
    const auto deleted = store_->Delete(key, options);
    if (!deleted) return CheckAllowed(deleted.error(), "delete of what is not there");
    return Expect(!*deleted, "deleted what was not there");
  }
  DoWrite({{key, std::nullopt}}, options, [&] {
    const auto deleted = store_->Delete(key, options);
    if (!deleted) return deleted.error();
    Expect(*deleted, "did not find what is to be deleted");
    return Status::Ok();
  });
}

void StoreWorld::WriteBatchOfSome() {
  WriteBatch batch;
  support::Write write;
  const unsigned size = 1 + in_.Below(6);
  for (unsigned i = 0; i < size; ++i) {
    const std::string key = AnyKey();
    if (in_.OneIn(3)) {
      batch.Delete(key);
      write.push_back({key, std::nullopt});
    } else {
      const std::string value = AnyValue(key, 600);
      batch.Put(key, value);
      write.push_back({key, value});
    }
  }
  const WriteOptions options = AnySync();
  DoWrite(std::move(write), options, [&] { return store_->Write(batch, options); });
}

void StoreWorld::Sync() {
  const Status status = store_->Sync();
  Trace("sync: " + status.ToString());
  if (!status.ok()) return CheckAllowed(status, "sync");
  history_->MakeDurable();
}

// --- Reads ----------------------------------------------------------------------------

void StoreWorld::Get() {
  const std::string key = AnyKey();
  const auto entry = history_->newest().find(key);
  const auto value = store_->Get(key);
  if (!value) return CheckAllowed(value.error(), "get");
  const bool right =
      entry == history_->newest().end() ? !value->has_value() : *value == entry->second;
  if (!right) Fail("get: wrong answer for " + key);
}

// Reads through mappings, which faults don't touch: it succeeds in every session.
void StoreWorld::CheckContents(const char* where) {
  Contents expected = history_->newest();
  ExpectNone(support::CompareReads(*store_, expected, AllKeys()), where);
}

void StoreWorld::OpenAnIterator() {
  auto iterator = store_->NewIterator();
  if (!iterator) return CheckAllowed(iterator.error(), "new iterator");
  constexpr std::size_t kMost = 3;
  if (iterators_.size() < kMost) {
    iterators_.push_back({*std::move(iterator), history_->newest()});
  }
}

void StoreWorld::CloseIterators() {
  for (OpenIterator& open : iterators_) {
    Contents found;
    for (open.iterator.Next(); open.iterator.Valid(); open.iterator.Next()) {
      Expect(found.emplace(open.iterator.key(), open.iterator.value()).second,
             "an iterator shows a key twice");
    }
    if (!open.iterator.status().ok()) {
      CheckAllowed(open.iterator.status(), "iterator");
    } else if (found != open.expected) {
      Fail("an iterator left its point in time: " + support::Differences(open.expected, found));
    }
  }
  iterators_.clear();
  for (const Pin& pin : pins_) Expect(pin.pin.value() == pin.expected, "a pinned value changed");
  pins_.clear();
}

void StoreWorld::PinAValue() {
  const std::string key = AnyKey();
  auto pinned = store_->GetPinned(key);
  if (!pinned) return CheckAllowed(pinned.error(), "pin");
  const auto entry = history_->newest().find(key);
  Expect(pinned->has_value() == (entry != history_->newest().end()), "pin: wrong answer");
  if (!pinned->has_value()) return;
  Expect((**pinned).value() == entry->second, "pin: wrong value");
  constexpr std::size_t kMost = 4;
  if (pins_.size() < kMost) pins_.push_back({std::move(**pinned), entry->second});
}

// --- Compaction -----------------------------------------------------------------------

void StoreWorld::Compact() {
  const unsigned choice = in_.U8();
  constexpr double kSavings[] = {0.0, 0.1, 0.25, 0.5};
  HotSwapConfig config;
  config.min_space_saving = kSavings[choice & 3];
  config.seal_active = (choice & 4) == 0;
  config.max_input_bytes = (choice & 8) != 0 ? 16 << 10 : 0;
  if ((choice & 16) != 0) config.temp_dir = support::kTempPath;
  auto started = HotSwapCompactor(*store_, config).CompactInBackground();
  if (!started) return CheckAllowed(started.error(), "compaction");
  job_ = *std::move(started);
  if ((choice & 32) != 0) job_->Cancel();
  if ((choice & 64) == 0) FinishCompaction();
}

void StoreWorld::FinishCompaction() {
  if (!job_) return;
  const auto report = job_->Wait();
  job_.reset();
  Trace("compaction: " + (report ? report->reason : report.error().ToString()));
  const bool cancelled = !report && report.error().code() == StatusCode::kCancelled;
  if (!report && !cancelled) CheckAllowed(report.error(), "compaction");
  CheckContents("after a compaction");
}

// --- The run --------------------------------------------------------------------------

void StoreWorld::Step() {
  switch (in_.Below(24)) {
    case 0:
      Sync();
      break;
    case 1:
    case 2:
      Compact();
      break;
    case 3:
      FinishCompaction();
      break;
    case 4:
      Reopen();
      break;
    case 5:
      CrashNow();
      break;
    case 6:
      ArmCrashInside();
      break;
    case 7:
      InjectFault();
      break;
    case 8:
      FillDisk();
      break;
    case 9:
      OpenAnIterator();
      break;
    case 10:
      CloseIterators();
      break;
    case 11:
      PinAValue();
      break;
    case 12:
      Get();
      break;
    case 13:
    case 14:
      WriteBatchOfSome();
      break;
    case 15:
    case 16:
    case 17:
      Delete();
      break;
    default:
      Put();
      break;
  }
  TakeImageInside();
}

void StoreWorld::Finish() {
  CheckContents("at the end");
  Reopen();
  const Status verified = store_->VerifyChecksums();
  if (!verified.ok()) Fail("at the end: " + verified.ToString());
}

void RunStoreWorld(std::span<const std::byte> data, Planted planted) {
  Input in(data);
  StoreWorld world(in, planted);
  for (int step = 0; step < kMostSteps && !in.empty(); ++step) world.Step();
  world.Finish();
}

}  // namespace freyja::fuzz
