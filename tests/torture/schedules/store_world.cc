#include "torture/schedules/store_world.h"

#include <algorithm>
#include <cstring>
#include <map>

#include "base/schedule_point.h"
#include "compaction/job_state.h"
#include "compaction/steps.h"
#include "compaction/undo.h"
#include "support/history.h"
#include "support/test_settings.h"

namespace freyja::torture::schedules {

namespace {

using Kind = Operation::Kind;

constexpr const char* kPath = "/db";
constexpr std::size_t kValueBytes = 40;
constexpr const char* kFiller = "filler";
constexpr std::uint64_t kJobOfSetUp = 100;

Options SmallOptions() {
  Options options;
  options.create_if_missing = true;
  options.scheduler.enabled = false;
  options.sync = Sync::kNone;
  options.segment_bytes = kMinSegmentBytes;
  options.reserve_bytes = std::uint64_t{256} << 10;
  options.worker_threads = 1;
  return options;
}

Options OptionsFor(const StoreWorld::Plan& plan) {
  Options options = SmallOptions();
  if (plan.keeps_replaced) options.quarantine.keep_for = std::chrono::hours(1);
  return options;
}

// Tells a store that is opened that there is a scheduler, so that it starts no thread.
class NobodyElse final : public base::ScheduleObserver {
 public:
  NobodyElse() { base::schedule_observer = this; }
  ~NobodyElse() { base::schedule_observer = nullptr; }
  NobodyElse(const NobodyElse&) = delete;
  NobodyElse& operator=(const NobodyElse&) = delete;

  void AtPoint(const char*, const void*) override {}
  void AtYield(const char*) override {}
  void BeforeLock(const void*) override {}
  bool BeforeTryLock(const void*) override { return true; }
  void AfterUnlock(const void*) override {}
  void Wait(const void*) override {}
  void Notify(const void*, bool) override {}
};

std::string ValueOf(const std::string& key, std::uint32_t version) {
  return support::MakeValue(key, version, kValueBytes);
}

}  // namespace

StoreWorld::StoreWorld(const Plan& plan, StorePlant plant, bool reopens)
    : plan_(plan), plant_(plant), reopens_(reopens), fs_(std::make_shared<io::MemoryFileSystem>()) {
  environment_ = {.file_system = fs_,
                  .clock = std::make_shared<support::ManualClock>(),
                  .random = std::make_shared<support::SeededRandom>(1)};
  {
    const NobodyElse scheduler;
    auto store = engine::Store::Open(kPath, OptionsFor(plan), environment_);
    Check(store ? Status::Ok() : store.error(), "open");
    store_ = *std::move(store);
  }
  expiry_ = std::make_unique<compaction::ExpiryClock>(store_->clock());
  for (const std::string& key : plan_.absent) recorder_.Starts(key, {});
  plan_.set_up(*this);
  Check(store_->log().PrepareAhead(), "preparing");
}

StoreWorld::~StoreWorld() {
  // A clean close takes longer than a schedule, and nobody opens this store again.
  if (store_) store_->health().Poison(Status(StatusCode::kIoError, "the schedule has ended"));
}

std::vector<std::function<void()>> StoreWorld::Bodies() {
  std::vector<std::function<void()>> bodies;
  for (std::size_t i = 0; i < plan_.bodies.size(); ++i) {
    bodies.emplace_back([this, i] { plan_.bodies[i](*this, i); });
  }
  return bodies;
}

// A retired segment may go only when every epoch announced before its stamp has been left.
// Seen from outside, so that it holds whatever the store believes.
void StoreWorld::Watch(std::size_t thread, std::string_view point, const void* operand) {
  if (point == "epoch.announced") {
    guards_.push_back({thread, operand, recorder_.Now()});
  } else if (point == "epoch.leave") {
    std::erase_if(guards_, [&](const Guard& guard) { return guard.slot == operand; });
  } else if (point == "segment.retire") {
    stamped_at_ = 0;
  } else if (point == "segment.retired") {
    // All segments of one call have the stamp that was taken before the first of them.
    if (stamped_at_ == 0) stamped_at_ = recorder_.Now();
    retired_.emplace_back(operand, stamped_at_);
  } else if (point == "segment.remove") {
    const auto retired = std::ranges::find(retired_, operand, [](auto& r) { return r.first; });
    const bool held = std::ranges::any_of(guards_, [&](const Guard& guard) {
      return retired == retired_.end() || guard.since < retired->second;
    });
    if (held) recorder_.Wrongly(Wrong::kOther, "a segment goes while an older reader is there");
    std::erase_if(retired_, [&](const auto& entry) { return entry.first == operand; });
  }
}

void StoreWorld::Check(const Status& status, const char* what) {
  if (!status.ok()) recorder_.Wrongly(Wrong::kOther, std::string(what) + ": " + status.ToString());
}

// --- Set-up ---------------------------------------------------------------------------

void StoreWorld::Have(const std::string& key, std::uint32_t version) {
  Check(store_->Put(key, ValueOf(key, version), {}), "set-up");
  recorder_.Starts(key, version);
}

void StoreWorld::HaveNot(const std::string& key) {
  const auto deleted = store_->Delete(key, {});
  Check(deleted ? Status::Ok() : deleted.error(), "set-up");
  recorder_.Starts(key, {});
}

void StoreWorld::HaveMany(std::size_t keys) {
  WriteBatch batch;
  for (std::size_t i = 0; i < keys; ++i) batch.Put(kFiller + std::to_string(i), "-");
  Check(store_->Write(batch, {}), "set-up");
  keys_nobody_looks_at_ += keys;
}

void StoreWorld::Seal() { Check(store_->SealActive(), "sealing"); }

void StoreWorld::HaveCompacted() {
  compaction::JobState state(kJobOfSetUp, {.min_space_saving = 0.0});
  compaction::Step step = compaction::OnlyStep(state.config());
  step.quarantine = true;
  const auto report = compaction::HotSwapJob(*store_, *expiry_, events_, state, step).Run();
  Check(report ? Status::Ok() : report.error(), "compaction of the set-up");
  TakeBack();
}

void StoreWorld::RefuseManifests() {
  Check(store_->log().PrepareAhead(), "preparing");
  io::Fault fault;
  fault.operations = {io::Operation::kWrite};
  fault.path_contains = "MANIFEST";
  fault.sticky = true;
  fs_->InjectFault(fault);
}

// --- Reads ----------------------------------------------------------------------------

Version StoreWorld::VersionOf(const std::string& key, std::string_view value) {
  if (!support::IsValueOf(key, value)) return kNobodys;
  return static_cast<std::uint32_t>(std::stoul(std::string(value.substr(key.size() + 1))));
}

void StoreWorld::AddRead(const std::string& key, std::size_t thread, std::uint64_t begin,
                         Version version, std::uint64_t end) {
  recorder_.Add(
      key, {.kind = Kind::kRead, .thread = thread, .version = version, .begin = begin, .end = end});
}

void StoreWorld::Get(const std::string& key, std::size_t thread) {
  const std::uint64_t begin = recorder_.Now();
  std::string value;
  const auto found = store_->Get(key, value);
  if (!found) return Check(found.error(), "get");
  AddRead(key, thread, begin, *found ? VersionOf(key, value) : Version(), recorder_.Now());
}

void StoreWorld::MultiGet(const std::vector<std::string>& keys, std::size_t thread) {
  const std::uint64_t begin = recorder_.Now();
  const std::vector<std::string_view> views(keys.begin(), keys.end());
  const auto values = store_->MultiGet(views);
  const std::uint64_t end = recorder_.Now();
  for (std::size_t i = 0; i < keys.size(); ++i) {
    if (!values[i]) {
      Check(values[i].error(), "multi-get");
    } else {
      const auto& value = *values[i];
      AddRead(keys[i], thread, begin, value ? VersionOf(keys[i], *value) : Version(), end);
    }
  }
}

void StoreWorld::GetPinned(const std::string& key, std::size_t thread) {
  const std::uint64_t begin = recorder_.Now();
  const auto found = store_->GetPinned(key);
  if (!found) return Check(found.error(), "pinned get");
  const std::uint64_t end = recorder_.Now();
  if (!*found) return AddRead(key, thread, begin, {}, end);
  const Version version = VersionOf(key, (*found)->value);
  AddRead(key, thread, begin, version, end);
  base::AtSchedulePoint("test.pin_held");
  base::AtSchedulePoint("test.pin_read");
  if (VersionOf(key, (*found)->value) != version) {
    recorder_.Wrongly(Wrong::kFabricated, "a pinned value changed");
  }
}

void StoreWorld::Walk(std::size_t thread) {
  const std::uint64_t begin = recorder_.Now();
  auto iterator = store_->NewIterator();
  if (!iterator) return Check(iterator.error(), "iterator");
  const std::uint64_t end = recorder_.Now();
  std::map<std::string, Version> seen;
  for (const std::string& key : recorder_.Keys()) seen[key] = Version();
  for ((*iterator)->Next(); (*iterator)->valid(); (*iterator)->Next()) {
    base::AtSchedulePoint("test.walk");
    const std::string key((*iterator)->record().key);
    const auto entry = seen.find(key);
    if (entry == seen.end()) {
      if (!key.starts_with(kFiller)) recorder_.Wrongly(Wrong::kFabricated, "a walk met " + key);
      continue;
    }
    if (entry->second) recorder_.Wrongly(Wrong::kOther, "a walk met " + key + " twice");
    entry->second = VersionOf(key, (*iterator)->record().value);
  }
  Check((*iterator)->status(), "walk");
  iterator->reset();
  // All of it is as of one instant while the iterator was opened.
  for (const auto& [key, version] : seen) AddRead(key, thread, begin, version, end);
  JudgeWalk(seen);
}

void StoreWorld::JudgeWalk(const std::map<std::string, Version>& seen) {
  const auto of_batch = std::ranges::count_if(plan_.batch_keys, [&](const std::string& key) {
    return seen.at(key) == plan_.batch_version;
  });
  if (of_batch != 0 && of_batch != std::ssize(plan_.batch_keys)) {
    recorder_.Wrongly(Wrong::kStale, "a walk met a part of a batch");
  }
}

// --- Writes ---------------------------------------------------------------------------

void StoreWorld::Put(const std::string& key, std::uint32_t version, Sync sync, std::size_t thread) {
  Operation write{
      .kind = Kind::kWrite, .thread = thread, .version = version, .begin = recorder_.Now()};
  Check(store_->Put(key, ValueOf(key, version), {.sync = sync}), "put");
  write.end = recorder_.Now();
  recorder_.Add(key, write);
}

void StoreWorld::PutBatch(std::size_t thread) {
  Operation write{.kind = Kind::kWrite,
                  .thread = thread,
                  .version = plan_.batch_version,
                  .begin = recorder_.Now()};
  WriteBatch batch;
  for (const std::string& key : plan_.batch_keys) batch.Put(key, ValueOf(key, plan_.batch_version));
  Check(store_->Write(batch, {}), "batch");
  write.end = recorder_.Now();
  for (const std::string& key : plan_.batch_keys) recorder_.Add(key, write);
}

void StoreWorld::Delete(const std::string& key, std::size_t thread) {
  Operation erase{.kind = Kind::kDelete, .thread = thread, .begin = recorder_.Now()};
  const auto deleted = store_->Delete(key, {});
  if (!deleted) return Check(deleted.error(), "delete");
  erase.was_present = *deleted;
  erase.end = recorder_.Now();
  recorder_.Add(key, erase);
}

// --- Compaction -----------------------------------------------------------------------

void StoreWorld::Compact(bool must_fail, std::size_t thread) {
  std::vector<engine::Segment*> sealed;
  store_->segments().ForEach([&](engine::Segment& segment) {
    if (segment.state() == SegmentState::kSealed) sealed.push_back(&segment);
  });
  compaction::JobState state(thread, {.min_space_saving = 0.0});
  const auto report = compaction::HotSwapJob(*store_, *expiry_, events_, state).Run();
  if (report.has_value() == must_fail) {
    Check(must_fail ? Status(StatusCode::kAborted, "it should have failed") : report.error(),
          "compaction");
  }
  if (report && !report->ran) recorder_.Wrongly(Wrong::kOther, "nothing was compacted");
  if (plant_ != StorePlant::kNone) PlantAfterSwap(sealed);
  TakeBack();
}

void StoreWorld::CompactAsScheduled(std::size_t thread) {
  const std::uint64_t bytes = 4 * store_->segment_bytes();
  compaction::JobState state(thread, {.min_space_saving = 0.1,
                                      .seal_active = true,
                                      .max_input_bytes = bytes,
                                      .step_bytes = bytes,
                                      .combine_small = true});
  const std::uint64_t rolls = store_->log().rolls();
  const auto report = compaction::RunInSteps(*store_, *expiry_, events_, state);
  Check(report ? Status::Ok() : report.error(), "compaction");
  if (report && !report->ran) recorder_.Wrongly(Wrong::kOther, "nothing was compacted");
  if (store_->log().rolls() == rolls) recorder_.Wrongly(Wrong::kOther, "nothing was rolled");
  TakeBack();
}

void StoreWorld::UndoSetUp() {
  compaction::JobState state(kJobOfSetUp + 1, {}, std::make_shared<compaction::Throttle>(),
                             kJobOfSetUp);
  const auto report = compaction::UndoJob(*store_, events_, state).Run();
  Check(report ? Status::Ok() : report.error(), "undo");
  TakeBack();
}

void StoreWorld::TakeBack() {
  store_->epochs().Collect();
  store_->reaper().Collect();
}

void StoreWorld::PlantAfterSwap(const std::vector<engine::Segment*>& were_sealed) {
  for (engine::Segment* segment : were_sealed) {
    if (segment->state() != SegmentState::kRetired) continue;
    if (plant_ == StorePlant::kReapAtOnce) {
      std::memset(segment->mapping().data(), 0xDB, segment->limit());
    }
  }
  if (plant_ != StorePlant::kSwapsBlindly) return;
  for (const std::string& key : recorder_.Keys()) {
    const std::uint64_t hash = format::HashKey(key, store_->hash_seed()).low;
    const auto has_key = [&](engine::Location l) { return store_->reader().HasKey(l, key); };
    engine::Location copied;
    {
      const engine::EpochGuard guard(store_->epochs());
      copied = store_->index().Find(hash, has_key);
    }
    if (!copied) continue;
    const auto stored = store_->index().Upsert(hash, has_key, copied, [](auto...) {});
    Check(stored ? Status::Ok() : stored.error(), "planted store");
  }
}

// --- The end --------------------------------------------------------------------------

std::vector<Finding> StoreWorld::Judge() {
  JudgeStore();
  if (reopens_) JudgeReopened();
  return recorder_.Judge();
}

void StoreWorld::JudgeStore() {
  const std::size_t nobody = plan_.bodies.size();
  std::uint64_t present = keys_nobody_looks_at_;
  for (const std::string& key : recorder_.Keys()) {
    std::string value;
    const auto found = store_->Get(key, value);
    if (found) at_end_.emplace_back(key, *found ? VersionOf(key, value) : Version());
    if (found && *found) ++present;
    Get(key, nobody);
  }
  Walk(nobody);
  TakeBack();
  if (store_->reaper().Collect() != 0) {
    recorder_.Wrongly(Wrong::kOther, "a retired segment never goes");
  }
  if (store_->epochs().Collect() != 0) recorder_.Wrongly(Wrong::kOther, "garbage is never freed");
  std::uint64_t live = 0;
  store_->segments().ForEach([&](engine::Segment& segment) { live += segment.live_records(); });
  if (live != present || store_->index().size() != present) {
    recorder_.Wrongly(Wrong::kOther, "there are " + std::to_string(present) + " keys, " +
                                         std::to_string(store_->index().size()) +
                                         " in the index and " + std::to_string(live) +
                                         " counted live");
  }
}

// What a swap did on disk must come to the same as what it did in memory.
void StoreWorld::JudgeReopened() {
  fs_->ClearFaults();
  Check(store_->Close(), "close");
  store_.reset();
  const NobodyElse scheduler;
  auto store = engine::Store::Open(kPath, SmallOptions(), environment_);
  if (!store) return Check(store.error(), "reopening");
  store_ = *std::move(store);
  for (const auto& [key, version] : at_end_) {
    std::string value;
    const auto found = store_->Get(key, value);
    if (!found) {
      Check(found.error(), "get after reopening");
      continue;
    }
    const Version now = *found ? VersionOf(key, value) : Version();
    if (now == version) continue;
    const Wrong wrong = !now ? Wrong::kMissed : !version ? Wrong::kResurrected : Wrong::kStale;
    recorder_.Wrongly(wrong, "key " + key + " is another after reopening");
  }
}

}  // namespace freyja::torture::schedules
