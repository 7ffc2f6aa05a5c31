#include "torture/crash_states/world.h"

#include <algorithm>
#include <chrono>
#include <thread>
#include <utility>

#include "api/store_parts.h"
#include "freyja/write_batch.h"
#include "support/crash_images.h"
#include "torture/woken_scheduler.h"

namespace freyja::torture {

using io::Operation;
using support::MakeValue;

namespace {

constexpr std::uint64_t kNoSequence = ~std::uint64_t{0};

std::shared_ptr<io::MemoryFileSystem> EmptyDisk() {
  auto disk = std::make_shared<io::MemoryFileSystem>();
  for (const char* directory : {kStorePath, kScratchPath}) {
    const Status made = disk->CreateDirectory(directory);
    static_cast<void>(made);
  }
  const Status synced = disk->SyncDirectory("/");
  static_cast<void>(synced);
  disk->KeepVersions(true);
  return disk;
}

}  // namespace

const char* EffectOf(Operation operation) {
  if (operation == Operation::kCreateDirectory) return "creating directory";
  if (operation == Operation::kLock) return "locking";
  return support::EffectOf(operation);
}

Options TinyOptions(Sync sync) {
  Options options;
  options.create_if_missing = true;
  options.scheduler.enabled = false;
  options.compaction_history = false;  // decides nothing, and would double the states
  options.sync = sync;
  options.sync_interval = std::chrono::milliseconds(1);
  options.segment_bytes = kMinSegmentBytes;
  options.worker_threads = 1;
  options.reserve_bytes = 1;  // the smallest
  return options;
}

Result<std::unique_ptr<KVStore>> OpenOn(std::shared_ptr<io::FileSystem> disk,
                                        const Options& options, std::uint64_t clock_ms,
                                        std::uint64_t seed) {
  auto clock = std::make_shared<support::ManualClock>();
  clock->Advance(clock_ms - clock->WallMs());
  return api::OpenStore(kStorePath, options,
                        {.file_system = std::move(disk),
                         .clock = std::move(clock),
                         .random = std::make_shared<support::SeededRandom>(seed)});
}

World::World(Sync sync, std::uint64_t seed, const Disguise& disguise)
    : options_(TinyOptions(sync)),
      disk_(EmptyDisk()),
      seen_(disguise ? disguise(disk_) : disk_),
      clock_(std::make_shared<support::ManualClock>()),
      dice_(seed),
      number_(dice_.Below(1'000'000'000)) {}

World::~World() {
  disk_->SetOperationHook(nullptr);
  {
    base::MutexLock lock(mutex_);
    open_ = nullptr;
  }
  store_.reset();
}

// --- Moments --------------------------------------------------------------------------

void World::StartRecording() {
  disk_->SetOperationHook([this](Operation operation, const std::filesystem::path& path) {
    if (const char* const effect = EffectOf(operation)) {
      TakeMoment(std::string("before ") + effect + " " + path.filename().string());
    } else {
      disk_->Observe();
    }
  });
}

std::size_t World::DurableWrites() const {
  const std::size_t promised = history_.durable();
  if (open_ == nullptr) return promised;
  const std::uint64_t durable = open_->parts().store->log().durable();
  const auto through = std::ranges::upper_bound(sequences_, durable) - sequences_.begin();
  return std::max(promised, static_cast<std::size_t>(through));
}

void World::TakeMoment(std::string when) {
  base::MutexLock lock(mutex_);
  // Others go on meanwhile: what was owed before it is owed, what was begun when it is done
  // may be found.
  Moment moment;
  moment.power_loss.at_least = DurableWrites();
  moment.process_kill.at_least = history_.acknowledged();
  moment.states = disk_->Freeze();
  moment.power_loss.at_most = moment.process_kill.at_most = history_.begun();
  moment.clock_ms = clock_->WallMs();
  moment.when = std::move(when);
  moments_.push_back(std::move(moment));
}

std::vector<Moment> World::TakeMoments() {
  base::MutexLock lock(mutex_);
  return std::exchange(moments_, {});
}

// --- What the workloads do ------------------------------------------------------------

void World::Check(const Status& status, std::string_view what) {
  if (!status.ok() && problem_.empty()) problem_ = std::string(what) + ": " + status.ToString();
}

void World::Open() {
  auto store = api::OpenStore(kStorePath, options_,
                              {.file_system = seen_,
                               .clock = clock_,
                               .random = std::make_shared<support::SeededRandom>(dice_.Next())});
  if (!store) return Check(store.error(), "open");
  store_ = *std::move(store);
  {
    base::MutexLock lock(mutex_);
    open_ = store_.get();
  }
  Settle();
}

std::string World::NewValue(const std::string& key, std::size_t bytes) {
  return MakeValue(key, ++number_, bytes);
}

void World::Written(const Status& status, Sync sync) {
  Check(status, "write");
  if (!status.ok()) return;
  if ((sync == Sync::kDefault ? options_.sync : sync) == Sync::kAlways) {
    history_.MakeDurable();
  } else {
    history_.Acknowledge();
  }
  {
    base::MutexLock lock(mutex_);
    sequences_.resize(history_.begun(), kNoSequence);
    sequences_.back() = store_->parts().store->log().appended();
  }
  TakeMoment("after a write");
}

void World::Put(const std::string& key, std::size_t bytes, Sync sync) {
  if (!problem_.empty()) return;
  const std::string value = NewValue(key, bytes);
  history_.Begin({{key, value}});
  Written(store_->Put(key, value, {.sync = sync, .expires_at_ms = 0}), sync);
}

void World::PutExpiring(const std::string& key, std::size_t bytes, std::uint64_t after_ms) {
  if (!problem_.empty()) return;
  const std::string value = NewValue(key, bytes);
  const std::uint64_t expiry = clock_->WallMs() + after_ms;
  expiries_.emplace(value, expiry);
  history_.Begin({{key, value}});
  Written(store_->Put(key, value, {.sync = Sync::kDefault, .expires_at_ms = expiry}),
          Sync::kDefault);
}

void World::Delete(const std::string& key, Sync sync) {
  if (!problem_.empty() || !history_.newest().contains(key)) return;
  history_.Begin({{key, std::nullopt}});
  const auto deleted = store_->Delete(key, {.sync = sync, .expires_at_ms = 0});
  Written(deleted ? Status::Ok() : deleted.error(), sync);
}

void World::Batch(const std::vector<std::string>& keys, std::size_t bytes, Sync sync) {
  if (!problem_.empty()) return;
  WriteBatch batch;
  support::Write write;
  for (const std::string& key : keys) {
    if (key.starts_with('-')) {
      batch.Delete(key.substr(1));
      write.push_back({key.substr(1), std::nullopt});
    } else {
      write.push_back({key, NewValue(key, bytes)});
      batch.Put(key, *write.back().value);
    }
  }
  history_.Begin(std::move(write));
  Written(store_->Write(batch, {.sync = sync, .expires_at_ms = 0}), sync);
}

void World::SyncAll() {
  if (!problem_.empty()) return;
  const Status synced = store_->Sync();
  Check(synced, "sync");
  if (synced.ok()) history_.MakeDurable();
  TakeMoment("after a sync");
}

void World::AwaitInterval() {
  if (!problem_.empty() || options_.sync != Sync::kInterval) return;
  const auto& log = store_->parts().store->log();
  while (log.durable() < log.appended()) std::this_thread::yield();
  TakeMoment("after a sync by time");
}

void World::Roll() {
  if (!problem_.empty()) return;
  Check(store_->parts().store->SealActive(), "roll");
  Settle();
}

bool World::Compact(HotSwapConfig config) {
  if (!problem_.empty()) return false;
  const auto report = HotSwapCompactor(*store_, std::move(config)).Compact();
  if (!report) {
    Check(report.error(), "compaction");
    return false;
  }
  if (report->ran) ++swaps_;
  last_job_ = report->job_id;
  Settle();
  TakeMoment("after a compaction");
  return report->ran;
}

void World::Schedule() { options_.scheduler = WokenOptions(); }

void World::LetSchedulerCompact(bool rotates) {
  if (!problem_.empty()) return;
  const SchedulerRun run = LetSchedulerRun(*store_, 1);
  problem_ = run.problem;
  if (run.failed != 0) Check(store_->GetStats().background_error, "job of the scheduler");
  if (run.completed == 0) Check(Status(StatusCode::kAborted, "nothing compacted"), "scheduler");
  if (rotates && !run.rotated) {
    Check(Status(StatusCode::kAborted, "the active segment was not sealed"), "scheduler");
  }
  swaps_ += run.completed;
  rotations_ += run.rotated ? 1 : 0;
  Settle();
  TakeMoment("after the scheduler's compactions");
}

void World::LetSchedulerMakeRoom() {
  if (!problem_.empty()) return;
  if (store_->GetStats().quarantined_segments == 0) {
    Check(Status(StatusCode::kAborted, "nothing is in quarantine"), "scheduler");
  }
  const SchedulerRun run = freyja::torture::LetSchedulerMakeRoom(*store_);
  Check(store_->GetStats().background_error, "scheduler");
  if (problem_.empty()) problem_ = run.problem;
  swaps_ += run.completed;
  Settle();
  TakeMoment("after the scheduler made room");
}

void World::KeepReplaced() { options_.quarantine.keep_for = std::chrono::hours(1); }

void World::UndoLast() {
  if (!problem_.empty()) return;
  const auto report = HotSwapCompactor(*store_).Undo(last_job_);
  Check(report ? Status::Ok() : report.error(), "undo");
  ++swaps_;
  Settle();
  TakeMoment("after an undo");
}

void World::GiveUpLast() {
  if (!problem_.empty()) return;
  Check(HotSwapCompactor(*store_).EndQuarantine(last_job_), "end of quarantine");
  Settle();
  TakeMoment("after the end of a quarantine");
}

void World::Close() {
  if (!problem_.empty()) return;
  const Status closed = store_->Close();
  Check(closed, "close");
  if (closed.ok()) history_.MakeDurable();
  {
    base::MutexLock lock(mutex_);
    open_ = nullptr;
  }
  store_.reset();
  TakeMoment("after closing");
}

void World::Pass(std::uint64_t ms) { clock_->Advance(ms); }

void World::Settle() {
  if (!problem_.empty()) return;
  engine::Store& store = *store_->parts().store;
  const auto busy = [&] {
    if (store.log().HasFull() || store.GetStats().retired_segments != 0) return true;
    return std::ranges::none_of(store.GetSegments(), [](const SegmentInfo& segment) {
      return segment.state == SegmentState::kPrepared;
    });
  };
  // Only the order of things depends on it, so it may be given up.
  for (int i = 0; i < 2000 && busy(); ++i) {
    store.maintenance().Wake();
    std::this_thread::sleep_for(std::chrono::microseconds(100));
  }
}

void World::ForgetAWrite(const std::string& key) {
  history_.Begin({{key, NewValue(key, 0)}});
  history_.MakeDurable();
  base::MutexLock lock(mutex_);
  sequences_.resize(history_.begun(), kNoSequence);
}

}  // namespace freyja::torture
