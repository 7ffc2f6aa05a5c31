#include "torture/swaps/swaps.h"

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <memory>
#include <random>
#include <system_error>
#include <thread>
#include <unordered_map>
#include <utility>
#include <vector>

#include "api/store_parts.h"
#include "base/environment.h"
#include "freyja/freyja.h"
#include "io/memory_file_system.h"
#include "support/versioned_value.h"

namespace freyja::torture {

using testing::AnyDeletion;
using testing::IsDeletion;
using testing::KeyOf;
using testing::MakeVersionedValue;
using testing::ReadVersion;

namespace {

// Few keys make many swaps, many keys long ones.
struct Shape {
  std::uint32_t keys;
  std::uint64_t segment_bytes;
  std::uint64_t swaps;
  bool undoes = false;  // every fifth job
  bool scheduled = false;
};
constexpr Shape kManySwaps{.keys = 384, .segment_bytes = 32 << 10, .swaps = 1000};
constexpr Shape kUndoneSwaps{.keys = 384, .segment_bytes = 32 << 10, .swaps = 120, .undoes = true};
constexpr Shape kLongSwaps{.keys = 8192, .segment_bytes = 512 << 10, .swaps = 60};
constexpr Shape kOnDisk{.keys = 1024, .segment_bytes = 64 << 10, .swaps = 60, .undoes = true};
constexpr Shape kScheduled{.keys = 384, .segment_bytes = 32 << 10, .swaps = 100, .scheduled = true};
constexpr Shape kScheduledOnDisk{
    .keys = 1024, .segment_bytes = 64 << 10, .swaps = 40, .scheduled = true};

// Long enough for a scheduler that has anything to do, on a machine that does much else.
constexpr std::chrono::seconds kLongestRest{60};

// Where nothing slows writers down they wait for the next job after so many writes: a store of
// tiny segments that they filled while a busy machine did something else is never caught up with.
constexpr std::uint64_t kMostWritesPerJob = 10'000;

Options OptionsFor(const Shape& shape) {
  Options options;
  options.create_if_missing = true;
  options.scheduler.enabled = shape.scheduled;
  options.scheduler.dead_share = 0.1;
  options.scheduler.interval = std::chrono::milliseconds(1);
  options.scheduler.jitter = std::chrono::milliseconds(0);
  options.scheduler.backoff_first = std::chrono::milliseconds(1);
  options.scheduler.backoff_cap = std::chrono::milliseconds(1);
  // Writers would outrun jobs that take a few such small segments each.
  options.scheduler.limits.space_ceiling = 3;
  options.sync = Sync::kNone;
  options.segment_bytes = shape.segment_bytes;
  // Room for the latest jobs.
  if (shape.undoes) options.quarantine.max_bytes = 16 * shape.segment_bytes;
  return options;
}

Result<std::unique_ptr<KVStore>> OpenInMemory(const Shape& shape) {
  return api::OpenStore("/store", OptionsFor(shape),
                        {.file_system = std::make_shared<io::MemoryFileSystem>(),
                         .clock = std::make_shared<base::SystemClock>(),
                         .random = std::make_shared<base::SystemRandom>()});
}

void RunOn(Result<std::unique_ptr<KVStore>> store, const Shape& shape, std::uint64_t seed,
           const Deadline& deadline, Report& report) {
  if (!store) {
    report.Violation(Wrong::kOther, "open: " + store.error().ToString());
    return;
  }
  SwapLoad load(**store, shape.keys, seed, report);
  load.Run(shape.swaps, shape.undoes, deadline);
  load.CheckFinalState();
  if (const Status closed = (*store)->Close(); !closed.ok()) {
    report.Violation(Wrong::kOther, "close: " + closed.ToString());
  }
}

void RunOnDisk(const Shape& shape, const Settings& settings, std::uint64_t seed,
               const Deadline& deadline, Report& report) {
  const auto directory =
      settings.directory / ("freyja-swaps-" + std::to_string(std::random_device()()));
  RunOn(KVStore::Open(directory, OptionsFor(shape)), shape, seed, deadline, report);
  std::error_code ignored;
  std::filesystem::remove_all(directory, ignored);
}

}  // namespace

void RunSwaps(const Settings& settings, Report& report) {
  const Deadline deadline(settings);
  std::uint64_t seed = settings.seed;
  do {
    RunOn(OpenInMemory(kManySwaps), kManySwaps, seed++, deadline, report);
    RunOn(OpenInMemory(kUndoneSwaps), kUndoneSwaps, seed++, deadline, report);
    RunOn(OpenInMemory(kLongSwaps), kLongSwaps, seed++, deadline, report);
    RunOn(OpenInMemory(kScheduled), kScheduled, seed++, deadline, report);
    RunOnDisk(kOnDisk, settings, seed++, deadline, report);
    RunOnDisk(kScheduledOnDisk, settings, seed++, deadline, report);
  } while (!settings.quick() && !deadline.over() && report.violations() == 0);
  report.NotModelled("swaps: which thread runs when is the machine's choice, not the seed's");
}

void SwapLoad::Run(std::uint64_t swaps, bool undoes, const Deadline& deadline) {
  bounded_ = !store_.GetStats().scheduler.running;
  std::vector<std::thread> threads;
  for (std::uint32_t writer = 0; writer < kWriters; ++writer) {
    threads.emplace_back([this, writer] { WriteLoop(writer); });
  }
  for (std::uint64_t reader = 0; reader < 2; ++reader) {
    threads.emplace_back([this, reader] { ReadLoop(seed_ * 2 + reader); });
  }
  threads.emplace_back([this] { IterateLoop(); });
  if (bounded_) {
    Compact(swaps, undoes, deadline);
  } else {
    LetCompact(swaps, deadline);
  }
  stop_ = true;
  for (auto& thread : threads) thread.join();
}

void SwapLoad::Compact(std::uint64_t swaps, bool undoes, const Deadline& deadline) {
  HotSwapCompactor compactor(store_, {.min_space_saving = 0.1, .seal_active = true});
  std::uint64_t done = 0;
  std::uint64_t undone = 0;
  while (done < swaps && !stop_ && !deadline.over()) {
    const auto outcome = compactor.Compact();
    if (!outcome) {
      Wrongly(Wrong::kOther, "compaction: " + outcome.error().ToString());
      break;
    }
    writes_since_job_ = 0;
    done += outcome->ran ? 1 : 0;
    if (undoes && outcome->ran && done % 5 == 0 && Undo(compactor, outcome->job_id)) ++undone;
  }
  report_.Count("swaps", done + undone);
  report_.Count("swaps_undone", undone);
}

void SwapLoad::LetCompact(std::uint64_t swaps, const Deadline& deadline) {
  std::uint64_t done = 0;
  auto last_at = std::chrono::steady_clock::now();
  while (done < swaps && !stop_ && !deadline.over()) {
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
    const Stats stats = store_.GetStats();
    if (!stats.background_error.ok()) {
      Wrongly(Wrong::kOther, "in the background: " + stats.background_error.ToString());
    }
    if (std::exchange(done, stats.compactions_completed) != stats.compactions_completed) {
      last_at = std::chrono::steady_clock::now();
    } else if (std::chrono::steady_clock::now() - last_at > kLongestRest) {
      Wrongly(Wrong::kOther, "the scheduler does nothing: " + stats.scheduler.decision);
    }
  }
  report_.Count("swaps", done);
  report_.Count("swaps_scheduled", done);
}

// False if the job was too large to be kept.
bool SwapLoad::Undo(HotSwapCompactor& compactor, std::uint64_t job_id) {
  const auto outcome = compactor.Undo(job_id);
  if (outcome) return true;
  if (outcome.error().code() != StatusCode::kNotFound) {
    Wrongly(Wrong::kOther, "undo: " + outcome.error().ToString());
  }
  return false;
}

void SwapLoad::CheckFinalState() {
  std::uint64_t present = 0;
  for (std::uint32_t key = 0; key < keys_.size(); ++key) {
    const std::uint64_t last = keys_[key].acknowledged;
    const auto value = store_.Get(KeyOf(key));
    if (!value) {
      Wrongly(Wrong::kOther, "get: " + value.error().ToString());
      continue;
    }
    Judge(key, value->has_value() ? &**value : nullptr, last, last, false);
    present += value->has_value() ? 1 : 0;
  }
  if (store_.GetStats().keys != present) Wrongly(Wrong::kOther, "the count of keys is wrong");
  if (const Status verified = store_.VerifyChecksums(); !verified.ok()) {
    Wrongly(Wrong::kOther, verified.ToString());
  }
}

void SwapLoad::WriteLoop(std::uint32_t writer) {
  std::mt19937_64 random(seed_ * 100 + writer);
  while (!stop_) {
    if (bounded_ && writes_since_job_.fetch_add(1) >= kMostWritesPerJob) {
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
      continue;
    }
    const auto key =
        static_cast<std::uint32_t>(random() % (keys_.size() / kWriters)) * kWriters + writer;
    KeyState& state = keys_[key];
    const std::uint64_t version = state.begun + 1;
    state.begun = version;
    const Status status = WriteVersion(key, version, random());
    if (!status.ok()) Wrongly(Wrong::kOther, "write: " + status.ToString());
    state.acknowledged = version;
  }
}

Status SwapLoad::WriteVersion(std::uint32_t key, std::uint64_t version, std::uint64_t dice) {
  if (IsDeletion(version)) {
    const auto deleted = store_.Delete(KeyOf(key));
    if (!deleted) return deleted.error();
    if (!*deleted) Wrongly(Wrong::kMissed, "a delete did not find " + KeyOf(key));
    return Status::Ok();
  }
  if (dice % 4 != 0) return store_.Put(KeyOf(key), MakeVersionedValue(key, version));
  WriteBatch batch;
  batch.Put(KeyOf(key), "to be overwritten in the same batch");
  batch.Put(KeyOf(key), MakeVersionedValue(key, version));
  keys_[key].batches_begun.fetch_add(1);
  Status status = store_.Write(batch);
  keys_[key].batches_ended.fetch_add(1);
  return status;
}

Result<bool> SwapLoad::Read(std::uint32_t key, std::uint64_t dice, std::string& value) const {
  if (dice % 8 != 0) return store_.Get(KeyOf(key), value);
  auto pinned = store_.GetPinned(KeyOf(key));
  if (!pinned) return std::unexpected(pinned.error());
  if (*pinned) value.assign((*pinned)->value());
  return pinned->has_value();
}

void SwapLoad::ReadLoop(std::uint64_t seed) {
  std::mt19937_64 random(seed);
  std::string value;
  std::uint64_t reads = 0;
  std::uint64_t during_swap = 0;
  while (!stop_) {
    const auto key = static_cast<std::uint32_t>(random() % keys_.size());
    const std::uint64_t swap_before = store_.SwapCounter();
    const std::uint64_t batches_ended = keys_[key].batches_ended;
    const std::uint64_t first = keys_[key].acknowledged;
    const Result<bool> found = Read(key, random(), value);
    const std::uint64_t last = keys_[key].begun;
    const bool in_batch = keys_[key].batches_begun != batches_ended;
    const std::uint64_t swap_after = store_.SwapCounter();
    ++reads;
    if (swap_before != swap_after || swap_before % 2 == 1) ++during_swap;
    if (!found) {
      Wrongly(Wrong::kOther, "get: " + found.error().ToString());
      continue;
    }
    Judge(key, *found ? &value : nullptr, first, last, in_batch);
  }
  report_.Count("reads", reads);
  report_.Count("reads_during_swap", during_swap);
}

void SwapLoad::IterateLoop() {
  while (!stop_) {
    IterateOnce();
    report_.Count("iterations");
  }
}

void SwapLoad::IterateOnce() {
  std::vector<std::uint64_t> first(keys_.size());
  for (std::uint32_t key = 0; key < keys_.size(); ++key) first[key] = keys_[key].acknowledged;
  auto iterator = store_.NewIterator();
  if (!iterator) return Wrongly(Wrong::kOther, "iterator: " + iterator.error().ToString());
  std::vector<std::uint64_t> last(keys_.size());
  for (std::uint32_t key = 0; key < keys_.size(); ++key) last[key] = keys_[key].begun;
  std::unordered_map<std::string, std::string> seen;
  for (iterator->Next(); iterator->Valid(); iterator->Next()) {
    if (!seen.emplace(iterator->key(), iterator->value()).second) {
      Wrongly(Wrong::kFabricated, std::string(iterator->key()) + " comes twice in an iteration");
    }
  }
  if (!iterator->status().ok()) {
    return Wrongly(Wrong::kOther, "iterator: " + iterator->status().ToString());
  }
  for (std::uint32_t key = 0; key < keys_.size(); ++key) {
    const auto found = seen.find(KeyOf(key));
    // A batch is seen as a whole or not at all.
    Judge(key, found == seen.end() ? nullptr : &found->second, first[key], last[key], false);
  }
}

void SwapLoad::Judge(std::uint32_t key, const std::string* value, std::uint64_t first,
                     std::uint64_t last, bool in_batch) {
  const std::string between =
      KeyOf(key) + " between versions " + std::to_string(first) + " and " + std::to_string(last);
  if (value == nullptr) {
    if (!AnyDeletion(first, last)) Wrongly(Wrong::kMissed, between);
    return;
  }
  const auto version = ReadVersion(key, *value);
  if (!version) {
    if (!in_batch) Wrongly(Wrong::kFabricated, between);
    return;
  }
  if (*version < first || (*version == first && IsDeletion(first))) Wrongly(Wrong::kStale, between);
  if (*version > last) Wrongly(Wrong::kFabricated, between + ": from the future");
}

void SwapLoad::Wrongly(Wrong wrong, const std::string& what) {
  report_.Violation(wrong, what + " (seed " + std::to_string(seed_) + ")");
  stop_ = true;
}

}  // namespace freyja::torture
