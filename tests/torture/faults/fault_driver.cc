#include "torture/faults/fault_driver.h"

#include <algorithm>
#include <chrono>
#include <thread>
#include <utility>

#include "support/crash_images.h"
#include "support/store_contents.h"

namespace freyja::torture {

using io::MemoryFileSystem;
using io::Operation;
using support::Contents;
using Mode = io::CrashOptions::Mode;

namespace {

std::string KeyOf(int key) { return "key" + std::to_string(key); }

// What fails without harm and without anybody needing to know: giving space back, looking for
// what would be nice to have, hints and an index image that are made anew from the segments.
bool IsHarmless(const io::FiredFault& fired) {
  switch (fired.operation) {
    case Operation::kUnlink:
    case Operation::kReleaseTail:
    case Operation::kStat:
    case Operation::kList:
      return true;
    case Operation::kAllocate:  // the log can't go on in its last segment and begins a new one
      return true;
    case Operation::kSyncDirectory:
      return fired.path == "/";
    default:
      break;
  }
  const std::string name = fired.path.filename().native();
  return name.ends_with(".hint") || name == "INDEX" || name == "RESERVE" ||
         fired.path.native().starts_with(support::kTempPath);
}

}  // namespace

Driver::Driver(DriverSetup setup, Injector& injector)
    : setup_(std::move(setup)),
      injector_(injector),
      dice_(setup_.seed),
      disk_(std::make_shared<MemoryFileSystem>()) {
  for (const char* directory : {support::kStorePath, support::kTempPath}) {
    const Status made = disk_->CreateDirectory(directory);
    if (!made.ok()) Problem(Wrong::kOther, "no directory: " + made.ToString());
  }
  const Status synced = disk_->SyncDirectory("/");
  if (!synced.ok()) Problem(Wrong::kOther, "no directory: " + synced.ToString());
  injector_.Attach(disk_);
}

Driver::~Driver() {
  injector_.Detach();
  iterator_.reset();
  store_.reset();
}

void Driver::Problem(Wrong wrong, std::string what) {
  problems_.push_back({.wrong = wrong, .what = std::move(what)});
}

void Driver::CheckError(const Status& error, std::string_view call) {
  learned_ = true;
  const std::string what = std::string(call) + ": " + error.ToString();
  // On a disk without space what is in quarantine goes before its time.
  const bool was_given_up = error.code() == StatusCode::kNotFound && call != "open";
  if (was_given_up && injector_.code() == StatusCode::kNoSpace) return;
  if (!injector_.injected()) return Problem(Wrong::kOther, "an error without a fault: " + what);
  if (error.code() == StatusCode::kCorruption) {
    return Problem(Wrong::kOther, "nothing is damaged: " + what);
  }
  const bool explained = error.code() == injector_.code() || error.message().contains(kInjected) ||
                         error.code() == StatusCode::kAborted;
  if (!explained) Problem(Wrong::kOther, "an error that the fault does not explain: " + what);
}

// --- Opening and closing --------------------------------------------------------------

bool Driver::TryOpen() {
  auto opened = support::OpenOn(disk_, setup_.options, dice_.Next());
  if (!opened) {
    CheckError(opened.error(), "open");
    return false;
  }
  store_ = *std::move(opened);
  failed_jobs_ = 0;
  failure_events_ = std::make_shared<std::atomic<std::uint64_t>>(0);
  HotSwapCompactor(*store_).AddListener([events = failure_events_](const CompactionEvent& event) {
    if (event.type == CompactionEventType::kFailed ||
        event.type == CompactionEventType::kCancelled) {
      events->fetch_add(1);
    }
  });
  return true;
}

// What was found is what counts from now on.
void Driver::Adopt() {
  const auto found = support::ReadContents(*store_);
  if (!found) {
    Problem(Wrong::kOther, "reading after opening: " + found.error().ToString());
    return;
  }
  Verdict verdict = oracle_.Judge(*found, oracle_.AfterKill());
  if (!verdict.what.empty()) {
    verdict.what = "opened again: " + verdict.what;
    problems_.push_back(std::move(verdict));
  }
  // A store that has only room for reading has decided nothing yet.
  if (!store_->GetStats().read_only) oracle_ = FaultOracle(*found);
}

void Driver::Open() {
  if (store_ != nullptr) return;
  // What fails once must work when it is tried again.
  if (TryOpen() || TryOpen()) Adopt();
}

bool Driver::OnlyHarmlessFired() {
  return std::ranges::all_of(injector_.first_fired(), IsHarmless);
}

void Driver::EndSession() {
  iterator_.reset();
  if (store_ == nullptr) return;
  // One that had only room for reading has promised nothing about what it found.
  const bool read_only = store_->GetStats().read_only;
  const Status closed = store_->Close();
  if (!closed.ok()) CheckError(closed, "close");
  if (closed.ok() && !read_only) oracle_.MadeDurable();
  const Stats stats = store_->GetStats();
  learned_ |= !stats.background_error.ok();
  if (injector_.must_be_noticed() && !learned_ && !OnlyHarmlessFired()) {
    Problem(Wrong::kOther, "a failure that nobody was told of");
  }
  // One that the scheduler began may have been cancelled by the closing.
  if (setup_.options.scheduler.enabled) failed_jobs_ = stats.compactions_failed;
  if (failure_events_->load() != failed_jobs_) {
    Problem(Wrong::kOther, std::to_string(failed_jobs_) + " jobs failed, but listeners heard of " +
                               std::to_string(failure_events_->load()));
  }
  store_.reset();
}

void Driver::Close() { EndSession(); }

void Driver::KillAndOpen() {
  if (store_ == nullptr) return Open();
  const std::shared_ptr<MemoryFileSystem> killed = disk_->CrashImage({.mode = Mode::kProcessKill});
  // What the dead process goes on to do concerns nobody; it has no faults any more.
  injector_.Attach(killed);
  const FaultOracle at_death = oracle_;
  EndSession();
  oracle_ = at_death;
  disk_ = killed;
  Open();
}

// --- Writing --------------------------------------------------------------------------

bool Driver::Durable(Sync sync) const {
  return (sync == Sync::kDefault ? setup_.options.sync : sync) == Sync::kAlways;
}

std::string Driver::NewValue(const std::string& key, std::size_t bytes) {
  return support::MakeValue(key, ++number_, bytes);
}

void Driver::Write(support::Write write, bool sync, std::string_view call,
                   const std::function<Status()>& act) {
  const bool read_only = store_->GetStats().read_only;
  for (const support::Change& change : write) keys_.insert(change.key);
  const Status status = act();
  if (status.ok() || (setup_.plant_ignored_error && injector_.injected())) {
    if (read_only && status.ok()) Problem(Wrong::kOther, "a read-only store took a write");
    oracle_.Acknowledged(std::move(write), store_->GetStats().last_sequence);
    if (sync || setup_.plant_durable_claim) oracle_.MadeDurable();
    return;
  }
  CheckError(status, call);
  if (read_only) {
    if (status.code() != StatusCode::kReadOnly) {
      Problem(Wrong::kOther, std::string(call) + " on a read-only store: " + status.ToString());
    }
  } else if (store_->GetStats().read_only) {
    turned_read_only_ = true;
    oracle_.Maybe(std::move(write));
  }
}

void Driver::Put(int key, std::size_t bytes, Sync sync) {
  if (store_ == nullptr) return;
  const std::string name = KeyOf(key);
  const std::string value = NewValue(name, bytes);
  Write({{name, value}}, Durable(sync), "put",
        [&] { return store_->Put(name, value, {.sync = sync, .expires_at_ms = 0}); });
}

void Driver::Delete(int key, Sync sync) {
  if (store_ == nullptr) return;
  const std::string name = KeyOf(key);
  if (!oracle_.newest().contains(name)) {
    const auto deleted = store_->Delete(name, {.sync = sync, .expires_at_ms = 0});
    if (!deleted) return CheckError(deleted.error(), "delete");
    if (*deleted) Problem(Wrong::kResurrected, "delete found " + name + ", which was not there");
    return;
  }
  Write({{name, std::nullopt}}, Durable(sync), "delete", [&]() -> Status {
    const auto deleted = store_->Delete(name, {.sync = sync, .expires_at_ms = 0});
    if (!deleted) return deleted.error();
    if (!*deleted) Problem(Wrong::kMissed, "delete did not find " + name);
    return Status::Ok();
  });
}

void Driver::Batch(int first, int count, Sync sync) {
  if (store_ == nullptr) return;
  WriteBatch batch;
  support::Write write;
  for (int i = 0; i < count; ++i) {
    const std::string name = KeyOf(first + i);
    if (i % 3 == 2) {
      batch.Delete(name);
      write.push_back({name, std::nullopt});
    } else {
      const std::string value = NewValue(name, 150);
      batch.Put(name, value);
      write.push_back({name, value});
    }
  }
  Write(std::move(write), Durable(sync), "batch",
        [&] { return store_->Write(batch, {.sync = sync, .expires_at_ms = 0}); });
}

void Driver::SyncAll() {
  if (store_ == nullptr) return;
  const Status synced = store_->Sync();
  if (synced.ok() || (setup_.plant_ignored_error && injector_.injected())) {
    return oracle_.MadeDurable();
  }
  CheckError(synced, "sync");
}

// --- Compaction and reading -----------------------------------------------------------

void Driver::Seal() {
  // Nothing is worth that much, so nothing is compacted.
  Compact({.temp_dir = {},
           .min_space_saving = 1.0,
           .compaction_timeout = {},
           .seal_active = true,
           .max_input_bytes = 0});
}

void Driver::Compact(HotSwapConfig config) {
  if (store_ == nullptr) return;
  WaitFor(HotSwapCompactor(*store_, std::move(config)).CompactInBackground(), "compaction");
}

void Driver::WaitFor(const Result<CompactionJob>& job, std::string_view call) {
  if (!job) return CheckError(job.error(), call);
  const auto report = job->Wait();
  if (report) {
    swaps_ += report->ran ? 1 : 0;
    if (report->ran) last_job_ = report->job_id;
  } else {
    ++failed_jobs_;
    CheckError(report.error(), call);
  }
  CheckReads();
}

void Driver::LetSchedulerCompact() {
  if (store_ != nullptr) TakeRun(LetSchedulerRun(*store_, 2));
}

void Driver::LetSchedulerMakeRoom() {
  if (store_ != nullptr) TakeRun(freyja::torture::LetSchedulerMakeRoom(*store_));
}

// Nobody waited for those jobs, so statistics and events alone tell of their failures.
void Driver::TakeRun(const SchedulerRun& run) {
  if (!run.problem.empty()) Problem(Wrong::kOther, run.problem);
  swaps_ += run.completed;
  rotations_ += run.rotated ? 1 : 0;
  by_itself_ += run.failed;
  const Status error = store_->GetStats().background_error;
  if (!error.ok()) CheckError(error, "scheduler");
  if (run.failed != 0 && error.ok()) Problem(Wrong::kOther, "a job failed without an error");
  CheckReads();
}

void Driver::Undo() {
  if (store_ == nullptr || last_job_ == 0) return;
  WaitFor(HotSwapCompactor(*store_).UndoInBackground(last_job_), "undo");
  last_job_ = 0;
}

void Driver::EndQuarantine() {
  if (store_ == nullptr || last_job_ == 0) return;
  const Status ended = HotSwapCompactor(*store_).EndQuarantine(std::exchange(last_job_, 0));
  if (!ended.ok()) CheckError(ended, "end of quarantine");
  CheckReads();
}

void Driver::CheckReads() {
  if (store_ == nullptr) return;
  std::string problem = support::CompareReads(*store_, oracle_.newest(), keys_);
  if (!problem.empty()) Problem(Wrong::kMissed, "while it is open: " + std::move(problem));
}

void Driver::Verify() {
  if (store_ == nullptr) return;
  // What can't be read of a segment that was replaced is nobody's concern, so none is to be read.
  for (int i = 0; i < 1000 && store_->GetStats().retired_segments != 0; ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  if (const Status checked = store_->VerifyChecksums(); !checked.ok()) {
    CheckError(checked, "verification");
  }
}

void Driver::OpenIterator() {
  if (store_ == nullptr) return;
  auto opened = store_->NewIterator();
  if (!opened) return CheckError(opened.error(), "iterator");
  iterator_.emplace(*std::move(opened));
  at_iterator_ = oracle_.newest();
}

void Driver::WalkIterator() {
  if (!iterator_) return;
  Contents found;
  for (iterator_->Next(); iterator_->Valid(); iterator_->Next()) {
    found.emplace(iterator_->key(), iterator_->value());
  }
  if (!iterator_->status().ok()) {
    CheckError(iterator_->status(), "iterator");
  } else if (found != at_iterator_) {
    Problem(Wrong::kStale, "iterator: " + support::Differences(at_iterator_, found));
  }
  iterator_.reset();
}

// --- Afterwards -----------------------------------------------------------------------

void Driver::Take(std::vector<Image>& images, Mode mode, support::Bounds bounds, std::string when) {
  io::CrashOptions crash;
  crash.mode = mode;
  crash.seed = dice_.Next();
  images.push_back({disk_->CrashImage(crash), bounds, std::move(when)});
}

void Driver::Finish() {
  CheckReads();
  std::vector<Image> images;
  const Mode power = dice_.OneOf(Mode::kRandom, Mode::kLoseAllUnsynced);
  if (store_ != nullptr) {
    // First what it claims, then the image: more may become durable in between, not less.
    oracle_.SaysDurable(store_->GetStats().durable_sequence);
    Take(images, power, oracle_.AfterPowerLoss(), "after a power cut");
    Take(images, Mode::kProcessKill, oracle_.AfterKill(), "after the death of the process");
  }
  EndSession();
  injector_.Detach();
  Take(images, power, oracle_.AfterPowerLoss(), "closed, then a power cut");
  LetWriteBackErrorShow();
  images.push_back({disk_, oracle_.AfterKill(), "closed"});
  for (const Image& image : images) Judge(image);
}

// What the kernel could not write is told to the next one who syncs that file, which may be the
// next session. That is an error of its own, or makes it read-only; the one after it is judged.
void Driver::LetWriteBackErrorShow() {
  if (!injector_.fails_write_back()) return;
  const auto is_honest = [](const Status& status) {
    return status.ok() || status.code() == StatusCode::kIoError ||
           status.code() == StatusCode::kReadOnly;
  };
  Options options = setup_.options;
  options.sync = Sync::kNone;
  ++reopens_;
  auto store = support::OpenOn(disk_, options, dice_.Next());
  Status status = store ? (*store)->Put("new", "value") : store.error();
  if (status.ok()) {
    const auto removed = (*store)->Delete("new");
    status = removed ? (*store)->Close() : removed.error();
  }
  if (!is_honest(status)) Problem(Wrong::kOther, "after a failed write-back: " + status.ToString());
}

void Driver::Judge(const Image& image) {
  Options options = setup_.options;
  options.sync = Sync::kNone;
  ++reopens_;
  auto store = support::OpenOn(image.disk, options, dice_.Next());
  if (!store) {
    return Problem(Wrong::kOther, image.when + ": does not open: " + store.error().ToString());
  }
  const auto found = support::ReadContents(**store);
  if (!found) {
    return Problem(Wrong::kOther, image.when + ": can't be read: " + found.error().ToString());
  }
  Verdict verdict = oracle_.Judge(*found, image.bounds);
  if (!verdict.what.empty()) {
    verdict.what = image.when + ": " + verdict.what;
    problems_.push_back(std::move(verdict));
    return;
  }
  const std::string reads = support::CompareReads(**store, *found, keys_);
  if (!reads.empty()) Problem(Wrong::kMissed, image.when + ": " + reads);
  const Status checked = (*store)->VerifyChecksums();
  if (!checked.ok()) Problem(Wrong::kOther, image.when + ": " + checked.ToString());
  const Status put = (*store)->Put("new", "value");
  if (!put.ok()) Problem(Wrong::kOther, image.when + ": takes no writes: " + put.ToString());
  const auto removed = (*store)->Delete("new");
  const Status closed = (*store)->Close();
  if (!removed || !closed.ok()) Problem(Wrong::kOther, image.when + ": " + closed.ToString());
  store->reset();
  if (dice_.Below(4) != 0) return;
  // What was recovered and closed cleanly is durable.
  ++reopens_;
  const std::shared_ptr<MemoryFileSystem> again =
      image.disk->CrashImage({.mode = Mode::kLoseAllUnsynced});
  const auto second = support::OpenOn(again, options, dice_.Next());
  if (!second) {
    return Problem(Wrong::kOther, image.when + ": a second time: " + second.error().ToString());
  }
  const std::string lost = support::CompareReads(**second, *found, keys_);
  if (!lost.empty()) Problem(Wrong::kAcknowledgedLost, image.when + ": a second time: " + lost);
}

}  // namespace freyja::torture
