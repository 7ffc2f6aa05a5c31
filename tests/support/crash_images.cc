#include "support/crash_images.h"

#include <atomic>
#include <optional>
#include <ostream>
#include <set>
#include <utility>

#include "api/store_parts.h"
#include "freyja/compaction.h"
#include "support/store_contents.h"

namespace freyja::support {

using Mode = io::CrashOptions::Mode;
using io::MemoryFileSystem;
using io::Operation;

namespace {

const char* NameOf(Mode mode) {
  switch (mode) {
    case Mode::kProcessKill:
      return "process kill";
    case Mode::kLoseAllUnsynced:
      return "power loss of all that is unsynced";
    case Mode::kRandom:
      return "power loss of some of what is unsynced";
  }
  return "?";
}

CrashedDisk Crashed(const MemoryFileSystem& disk, const io::CrashOptions& crash,
                    const CrashedDisk& parent, std::string when) {
  CrashedDisk image;
  image.disk = disk.CrashImage(crash);
  image.mode = crash.mode;
  image.bounds = crash.mode == Mode::kProcessKill ? parent.bounds : parent.after_power_loss;
  image.after_power_loss = parent.after_power_loss;
  image.when = parent.when + ", then " + NameOf(crash.mode) + " " + std::move(when);
  return image;
}

// A second recovery must find what the first one found.
std::string ReopenAndCompare(const std::shared_ptr<MemoryFileSystem>& disk, std::uint64_t seed,
                             Survivor& survivor) {
  auto store = OpenOn(disk, survivor.options, seed);
  if (!store) return "does not open: " + store.error().ToString();
  survivor.disk = disk;
  survivor.store = *std::move(store);
  return CompareReads(*survivor.store, survivor.contents);
}

std::string OpenAgain(Survivor& survivor, Dice& dice) {
  const bool close = dice.OneIn(2);
  std::shared_ptr<MemoryFileSystem> disk = survivor.disk;
  if (close) {
    if (const Status closed = survivor.store->Close(); !closed.ok()) return closed.ToString();
    survivor.store.reset();
  }
  // With nothing written since recovery, no crash may take anything.
  if (!close || dice.OneIn(2)) disk = disk->CrashImage(AnyCrash(dice));
  survivor.store.reset();
  const std::string problem = ReopenAndCompare(disk, dice.Next(), survivor);
  if (problem.empty()) return {};
  return std::string("opened again after a ") + (close ? "clean close" : "crash") + ": " + problem;
}

std::string CompactAll(Survivor& survivor, Dice& dice) {
  HotSwapCompactor compactor(*survivor.store, {.temp_dir = {},
                                               .min_space_saving = 0,
                                               .compaction_timeout = {},
                                               .seal_active = true,
                                               .max_input_bytes = 0});
  const auto report = compactor.Compact();
  if (!report) return "compaction: " + report.error().ToString();
  std::string problem = CompareReads(*survivor.store, survivor.contents);
  if (!problem.empty()) return "after a compaction: " + problem;
  const std::shared_ptr<MemoryFileSystem> disk = survivor.disk->CrashImage(AnyCrash(dice));
  survivor.store.reset();
  problem = ReopenAndCompare(disk, dice.Next(), survivor);
  return problem.empty() ? problem : "after a compaction and a crash: " + problem;
}

}  // namespace

const char* EffectOf(Operation operation) {
  switch (operation) {
    case Operation::kCreate:
      return "creating";
    case Operation::kWrite:
      return "writing";
    case Operation::kSync:
      return "syncing";
    case Operation::kAllocate:
      return "allocating";
    case Operation::kTruncate:
      return "truncating";
    case Operation::kReleaseTail:
      return "releasing the tail of";
    case Operation::kRename:
      return "renaming to";
    case Operation::kUnlink:
      return "unlinking";
    case Operation::kSyncDirectory:
      return "syncing directory";
    default:
      return nullptr;  // changes nothing
  }
}

Result<std::unique_ptr<KVStore>> OpenOn(std::shared_ptr<MemoryFileSystem> disk,
                                        const Options& options, std::uint64_t seed) {
  return api::OpenStore(kStorePath, options,
                        {.file_system = std::move(disk),
                         .clock = std::make_shared<ManualClock>(),
                         .random = std::make_shared<SeededRandom>(seed)});
}

Options TinyOptions(Dice& dice) {
  Options options;
  options.create_if_missing = true;
  options.scheduler.enabled = false;
  options.sync = dice.OneOf(Sync::kNone, Sync::kNone, Sync::kInterval, Sync::kAlways);
  options.sync_interval = std::chrono::milliseconds(2);
  options.segment_bytes = std::uint64_t{16 << 10} << dice.Below(3);
  options.reserve_bytes = 64 << 10;
  options.worker_threads = dice.OneIn(8) ? 2 : 1;
  return options;
}

HotSwapConfig AnyConfig(Dice& dice) {
  HotSwapConfig config;
  config.min_space_saving = dice.OneOf(0.0, 0.0, 0.1, 0.25, 0.5);
  config.seal_active = dice.OneIn(2);
  config.max_input_bytes = dice.OneOf(0U, 0U, 0U, 16U << 10, 48U << 10);
  config.step_bytes = dice.OneOf(0U, 0U, 1U, 32U << 10);
  if (dice.OneIn(6)) config.temp_dir = kTempPath;
  return config;
}

std::ostream& operator<<(std::ostream& out, const CrashCounts& counts) {
  return out << counts.images << " images checked, " << counts.process_kills
             << " of them process kills, " << counts.inside_recovery << " inside recovery, "
             << counts.compacted << " compacted afterwards; " << counts.lost_writes
             << " lost unsynced writes; " << counts.swaps << " hot swaps";
}

io::CrashOptions AnyCrash(Dice& dice) {
  return {
      .mode = dice.OneOf(Mode::kProcessKill, Mode::kLoseAllUnsynced, Mode::kRandom, Mode::kRandom),
      .seed = dice.Next(),
      .keep_probability = dice.OneOf(0.1, 0.5, 0.5, 0.9)};
}

ImageTaker::ImageTaker(MemoryFileSystem& disk, const History& history, std::uint64_t seed)
    : disk_(disk), history_(history), dice_(seed) {}

void ImageTaker::Start(std::uint64_t one_in, std::size_t most) {
  disk_.SetOperationHook([this, one_in, most](Operation operation, const auto& path) {
    BeforeOperation(operation, path, one_in, most);
  });
}

void ImageTaker::Stop() { disk_.SetOperationHook(nullptr); }

CrashedDisk ImageTaker::Take(const io::CrashOptions& crash, std::string when) const {
  CrashedDisk image;
  image.mode = crash.mode;
  image.when = std::string(NameOf(crash.mode)) + " " + std::move(when);
  // Others go on meanwhile: what was promised before it is owed, what was begun when it is
  // done may be found.
  const std::size_t durable = history_.durable();
  const std::size_t acknowledged = history_.acknowledged();
  image.disk = disk_.CrashImage(crash);
  const std::size_t begun = history_.begun();
  image.after_power_loss = {.at_least = durable, .at_most = begun};
  image.bounds = {.at_least = crash.mode == Mode::kProcessKill ? acknowledged : durable,
                  .at_most = begun};
  return image;
}

void ImageTaker::BeforeOperation(Operation operation, const std::filesystem::path& path,
                                 std::uint64_t one_in, std::size_t most) {
  const char* const name = EffectOf(operation);
  if (name == nullptr) return;
  base::MutexLock lock(mutex_);
  if (taken_.size() >= most || !dice_.OneIn(one_in)) return;
  taken_.push_back(
      Take(AnyCrash(dice_), std::string("before ") + name + " " + path.filename().string()));
}

void ImageTaker::TakeNow(const std::string& when) {
  base::MutexLock lock(mutex_);
  taken_.push_back(Take(AnyCrash(dice_), when));
}

std::vector<CrashedDisk> ImageTaker::Collect() {
  base::MutexLock lock(mutex_);
  return std::exchange(taken_, {});
}

namespace {

// A crash in the middle of recovery. Operations may still be under way on background threads
// when it is read, so it lives as long as its hook.
struct SecondCrash {
  std::atomic<std::int64_t> countdown{0};
  CrashedDisk parent;
  io::CrashOptions crash;
  base::Mutex mutex;
  std::optional<CrashedDisk> image FREYJA_GUARDED_BY(mutex);

  void BeforeOperation(Operation operation, const std::filesystem::path& path) {
    const char* const name = EffectOf(operation);
    if (name == nullptr || countdown.fetch_sub(1) != 1) return;
    base::MutexLock lock(mutex);
    image = Crashed(*parent.disk, crash, parent,
                    std::string("in recovery, before ") + name + " " + path.filename().string());
  }
};

// Opens the image. At times a second image is taken in the middle of that.
std::optional<CrashedDisk> OpenImage(const CrashedDisk& image, Dice& dice, Survivor& survivor) {
  const auto second = std::make_shared<SecondCrash>();
  second->countdown = dice.OneIn(3) ? 1 + static_cast<std::int64_t>(dice.Below(24)) : 0;
  second->parent = image;
  second->crash = AnyCrash(dice);
  image.disk->SetOperationHook([second](Operation operation, const auto& path) {
    second->BeforeOperation(operation, path);
  });
  auto store = OpenOn(image.disk, survivor.options, dice.Next());
  image.disk->SetOperationHook(nullptr);
  survivor.disk = image.disk;
  if (!store) {
    survivor.error = "does not open: " + store.error().ToString();
  } else {
    survivor.store = *std::move(store);
  }
  base::MutexLock lock(second->mutex);
  return std::exchange(second->image, std::nullopt);
}

std::string JudgeStore(const KVStore& store, const History& history, Bounds bounds,
                       Contents& contents) {
  auto found = ReadContents(store);
  if (!found) return "iterator: " + found.error().ToString();
  contents = *std::move(found);
  std::string problem = history.Judge(contents, bounds);
  if (!problem.empty()) return problem;
  std::set<std::string> other_keys;
  for (const auto& [key, value] : history.newest()) other_keys.insert(key);
  return CompareReads(store, contents, other_keys);
}

// Whatever recovery had already done when it was cut off, the next one finds the same.
std::string CheckInside(const CrashedDisk& inside, const CrashedDisk& parent,
                        const History& history, const Contents& recovered, Dice& dice) {
  const Options options = TinyOptions(dice);
  const auto store = OpenOn(inside.disk, options, dice.Next());
  if (!store) return inside.when + ": does not open: " + store.error().ToString();
  Contents contents;
  std::string problem = JudgeStore(**store, history, inside.bounds, contents);
  // Only a process that died twice leaves the second one more to lose than the first.
  const bool may_lose = parent.mode == Mode::kProcessKill && inside.mode != Mode::kProcessKill;
  if (problem.empty() && !may_lose) problem = Differences(recovered, contents);
  return problem.empty() ? problem : inside.when + ": " + problem;
}

}  // namespace

Survivor Recover(const CrashedDisk& image, const History& history, std::uint64_t seed,
                 CrashCounts& counts) {
  Dice dice(seed);
  Survivor survivor;
  survivor.options = TinyOptions(dice);
  ++counts.images;
  counts.process_kills += image.mode == Mode::kProcessKill ? 1 : 0;
  const auto fail = [&](std::string problem) {
    survivor.error = image.when + ": " + std::move(problem);
    survivor.store.reset();
    return std::move(survivor);
  };
  const auto inside = OpenImage(image, dice, survivor);
  if (!survivor.error.empty()) return fail(survivor.error);
  std::string problem = JudgeStore(*survivor.store, history, image.bounds, survivor.contents);
  if (!problem.empty()) return fail(problem);
  if (image.bounds.at_least < history.acknowledged() &&
      !history.FindPrefix(survivor.contents,
                          {.at_least = history.acknowledged(), .at_most = history.begun()})) {
    ++counts.lost_writes;
  }
  if (inside) {
    ++counts.images;
    ++counts.inside_recovery;
    problem = CheckInside(*inside, image, history, survivor.contents, dice);
    if (!problem.empty()) return fail(problem);
  }
  if (dice.OneIn(3)) {
    ++counts.images;
    problem = OpenAgain(survivor, dice);
    if (!problem.empty()) return fail(problem);
  }
  if (dice.OneIn(6)) {
    ++counts.images;
    ++counts.compacted;
    problem = CompactAll(survivor, dice);
    if (!problem.empty()) return fail(problem);
    if (const Status verified = survivor.store->VerifyChecksums(); !verified.ok()) {
      return fail(verified.ToString());
    }
  }
  return survivor;
}

}  // namespace freyja::support
