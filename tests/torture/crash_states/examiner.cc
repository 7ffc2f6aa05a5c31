#include "torture/crash_states/examiner.h"

#include <algorithm>
#include <array>
#include <map>
#include <set>
#include <span>
#include <utility>

#include "base/mutex.h"
#include "freyja/compaction.h"
#include "support/store_contents.h"

namespace freyja::torture {

using io::CrashProfile;
using io::MemoryFileSystem;
using io::memory::Hash128;
using support::Contents;

namespace {

// What its key and number say no workload writes.
constexpr char kNewKey[] = "new";

Hash128 Combine(const Hash128& a, const Hash128& b) {
  const std::array<Hash128, 2> both{a, b};
  return io::memory::HashOf(std::as_bytes(std::span(both)));
}

std::string TextOf(const io::CrashStates::Choice& choice) {
  std::string text;
  for (const std::uint32_t alternative : choice) text += std::to_string(alternative) + " ";
  return text;
}

using FileBytes = std::map<std::string, std::vector<std::byte>>;

// Of the data files and hints.
FileBytes BytesOf(MemoryFileSystem& disk) {
  FileBytes bytes;
  const auto names = disk.List(kStorePath);
  if (!names) return bytes;
  for (const std::string& name : *names) {
    if (!name.ends_with(".data") && !name.ends_with(".hint")) continue;
    auto content = disk.Contents(std::string(kStorePath) + "/" + name);
    if (content) bytes.emplace(name, *std::move(content));
  }
  return bytes;
}

// Moments inside a recovery.
class Recorder {
 public:
  explicit Recorder(std::shared_ptr<MemoryFileSystem> disk) : disk_(std::move(disk)) {
    disk_->KeepVersions(true);
    disk_->SetOperationHook([this](io::Operation operation, const std::filesystem::path& path) {
      const char* const effect = EffectOf(operation);
      if (effect == nullptr) return;
      base::MutexLock lock(mutex_);
      Moment moment;
      moment.states = disk_->Freeze();
      moment.when = std::string("in recovery, before ") + effect + " " + path.filename().string();
      moments_.push_back(std::move(moment));
    });
  }
  Recorder(const Recorder&) = delete;
  Recorder& operator=(const Recorder&) = delete;
  ~Recorder() {
    disk_->SetOperationHook(nullptr);
    disk_->KeepVersions(false);
  }

  std::vector<Moment> Take() {
    base::MutexLock lock(mutex_);
    return std::exchange(moments_, {});
  }

 private:
  const std::shared_ptr<MemoryFileSystem> disk_;
  base::Mutex mutex_;
  std::vector<Moment> moments_ FREYJA_GUARDED_BY(mutex_);
};

}  // namespace

void Examiner::Wronged(const Case& image, Wrong wrong, const std::string& what) {
  report_.Violation(wrong, image.where() + ": " + what);
}

bool Examiner::Failed(const Case& image, const Status& status, std::string_view what) {
  if (status.ok()) return false;
  Wronged(image, Wrong::kOther, std::string(what) + ": " + status.ToString());
  return true;
}

void Examiner::ExamineAll(World& world, const Effort& effort, const Deadline& deadline,
                          const std::string& where) {
  std::optional<Oracle> oracle;
  std::uint64_t clock_ms = 0;
  const std::vector<Moment> moments = world.TakeMoments();
  for (std::size_t i = 0; i < moments.size() && !deadline.over(); ++i) {
    const Moment& moment = moments[i];
    if (!oracle || clock_ms != moment.clock_ms) {
      clock_ms = moment.clock_ms;
      oracle.emplace(world.history(), world.expiries(), clock_ms);
    }
    Examine(moment, *oracle, effort, deadline, world.sync(),
            where + ", boundary " + std::to_string(i));
  }
}

void Examiner::Examine(const Moment& moment, const Oracle& oracle, const Effort& effort,
                       const Deadline& deadline, Sync sync, const std::string& where) {
  bool exhaustive = true;
  bool cut = false;
  for (const CrashProfile profile : io::kCrashProfiles) {
    const bool killed = profile == CrashProfile::kProcessKill;
    const support::Bounds bounds = killed ? moment.process_kill : moment.power_loss;
    const Hash128 allowed = oracle.HashOfAllowed(bounds);
    std::uint64_t states = 0;
    std::uint64_t images = 0;
    exhaustive &= VisitChoices(*moment.states, profile, effort, dice_, [&](const auto& choice) {
      if (cut |= deadline.over(); cut) return;
      ++states;
      const Hash128 hash = moment.states->HashOf(profile, choice);
      // What a dead process leaves isn't durable: the same bytes, but another image.
      const Hash128 owed = Combine(hash, killed ? Combine(allowed, {1, 1}) : allowed);
      if (!recovered_.Insert(owed)) return;
      images += images_.Insert(hash) ? 1 : 0;
      const Disk disk = moment.states->Image(profile, choice);
      if (disk == nullptr) return report_.Violation(Wrong::kOther, where + ": no memory");
      Recover({.oracle = oracle,
               .bounds = bounds,
               .after_power_loss = moment.power_loss,
               .profile = profile,
               .clock_ms = moment.clock_ms,
               .sync = sync,
               .acknowledged = moment.process_kill.at_least,
               .where =
                   [&] {
                     return where + ", " + moment.when + ", " + std::string(NameOf(profile)) +
                            ", choice " + TextOf(choice);
                   }},
              disk);
    });
    report_.Count("crash_states", states);
    report_.Count("crash_images", images);
    report_.Count("images_" + std::string(NameOf(profile)), images);
  }
  report_.Count("crash_boundaries");
  if (exhaustive && !cut) report_.Count("crash_boundaries_exhaustive");
  report_.Count("lost_unsynced", std::exchange(lost_unsynced_, 0));
}

std::optional<Contents> Examiner::OpenAndJudge(const Case& image, const Disk& disk,
                                               std::unique_ptr<KVStore>& store) {
  report_.Count("recovered_opens");
  auto opened = OpenOn(disk, TinyOptions(image.sync), image.clock_ms, dice_.Next());
  if (!opened) {
    Wronged(image, Wrong::kOther, "does not open: " + opened.error().ToString());
    return std::nullopt;
  }
  store = *std::move(opened);
  auto contents = support::ReadContents(*store);
  if (!contents) {
    Wronged(image, Wrong::kOther, "iterator: " + contents.error().ToString());
    return std::nullopt;
  }
  const Verdict verdict = image.oracle.Judge(*contents, image.bounds);
  if (verdict.wrong) {
    Wronged(image, *verdict.wrong, verdict.what);
    return std::nullopt;
  }
  if (verdict.writes < image.acknowledged) ++lost_unsynced_;
  return *std::move(contents);
}

void Examiner::Recover(const Case& image, const Disk& disk) {
  if (dice_.OneIn(rates_.read_only)) CheckReadOnly(image, disk);
  std::optional<Recorder> recorder;
  if (dice_.OneIn(rates_.nested)) recorder.emplace(disk);
  std::unique_ptr<KVStore> store;
  auto contents = OpenAndJudge(image, disk, store);
  if (recorder) {
    const std::vector<Moment> moments = recorder->Take();
    disk->SetOperationHook(nullptr);
    if (contents) RecoverNested(image, moments, *contents);
    // A thread of the store may still be in the hook.
    store.reset();
    return;
  }
  if (!contents) return;
  if (dice_.OneIn(rates_.point_reads)) {
    std::set<std::string> others = {kNewKey};
    for (const auto& [key, value] : image.oracle.StateAfter(image.oracle.writes())) {
      others.insert(key);
    }
    const std::string problem = support::CompareReads(*store, *contents, others);
    if (!problem.empty()) return Wronged(image, Wrong::kMissed, problem);
  }
  if (dice_.OneIn(rates_.use)) CheckUse(image, *store, *contents);
  OpenAgain(image, disk, std::move(store), *contents);
}

void Examiner::CheckReadOnly(const Case& image, const Disk& disk) {
  const auto changes = [&] { return disk->Freeze()->HashOf(CrashProfile::kProcessKill, {}); };
  const Hash128 before = changes();
  Options options = TinyOptions(image.sync);
  options.create_if_missing = false;
  options.read_only = true;
  report_.Count("recovered_opens");
  const auto store = OpenOn(disk, options, image.clock_ms, dice_.Next());
  if (!store) {
    // Only where no store was ever durable there is none.
    const bool none = store.error().code() == StatusCode::kNotFound && image.bounds.at_least == 0;
    if (!none) Failed(image, store.error(), "open to read only");
    return;
  }
  const auto contents = support::ReadContents(**store);
  if (!contents) {
    Failed(image, contents.error(), "iterator, read only");
    return;
  }
  const Verdict verdict = image.oracle.Judge(*contents, image.bounds);
  if (verdict.wrong) Wronged(image, *verdict.wrong, "read only: " + verdict.what);
  if (changes() != before) Wronged(image, Wrong::kOther, "opening to read only changed a file");
}

void Examiner::CheckUse(const Case& image, KVStore& store, Contents& contents) {
  const std::string value = support::MakeValue(kNewKey, dice_.Next(), 100);
  if (Failed(image, store.Put(kNewKey, value), "put after recovery")) return;
  contents.insert_or_assign(kNewKey, value);
  if (dice_.OneIn(2)) {
    const auto deleted = store.Delete(kNewKey);
    if (!deleted) {
      Failed(image, deleted.error(), "delete after recovery");
      return;
    }
    if (!*deleted) return Wronged(image, Wrong::kMissed, "delete after recovery found no key");
    contents.erase(kNewKey);
  }
  if (dice_.OneIn(std::max<std::uint64_t>(rates_.compact / rates_.use, 1))) {
    const auto report =
        HotSwapCompactor(store, {.min_space_saving = 0, .seal_active = true}).Compact();
    if (!report) {
      Failed(image, report.error(), "compaction after recovery");
      return;
    }
    report_.Count("compacted_after_crash");
    Failed(image, store.VerifyChecksums(), "verify after recovery and compaction");
  }
  const std::string problem = support::CompareReads(store, contents, {kNewKey});
  if (!problem.empty()) Wronged(image, Wrong::kMissed, "used after recovery: " + problem);
  Failed(image, store.Sync(), "sync after recovery");
}

void Examiner::OpenAgain(const Case& image, Disk disk, std::unique_ptr<KVStore> store,
                         const Contents& contents) {
  const bool crash = dice_.OneIn(rates_.crash_again);
  FileBytes before;
  if (crash) {
    // What recovery found it made durable, so no crash may take anything.
    disk = disk->CrashImage({.mode = dice_.OneIn(2) ? io::CrashOptions::Mode::kProcessKill
                                                    : io::CrashOptions::Mode::kLoseAllUnsynced});
    if (disk == nullptr) return Wronged(image, Wrong::kOther, "no memory");
    store.reset();
  } else {
    if (Failed(image, store->Close(), "close after recovery")) return;
    store.reset();
    if (dice_.OneIn(rates_.same_bytes)) before = BytesOf(*disk);
  }
  report_.Count("recovered_opens");
  auto opened = OpenOn(disk, TinyOptions(image.sync), image.clock_ms, dice_.Next());
  const std::string when = crash ? "opened again after a crash" : "opened again after closing";
  if (!opened) {
    Failed(image, opened.error(), when);
    return;
  }
  const auto found = support::ReadContents(**opened);
  if (!found) {
    Failed(image, found.error(), when);
    return;
  }
  if (*found != contents) {
    const Wrong wrong =
        found->size() < contents.size() ? Wrong::kAcknowledgedLost : Wrong::kResurrected;
    return Wronged(image, wrong, when + ": " + support::Differences(contents, *found));
  }
  if (before.empty()) return;
  if (Failed(image, (*opened)->Close(), "second close")) return;
  const FileBytes after = BytesOf(*disk);
  for (const auto& [name, bytes] : before) {
    const auto same = after.find(name);
    if (same == after.end() || same->second != bytes) {
      Wronged(image, Wrong::kOther, "the second open changed " + name);
    }
  }
}

void Examiner::RecoverNested(const Case& parent, const std::vector<Moment>& moments,
                             const Contents& contents) {
  for (const Moment& moment : moments) {
    for (const CrashProfile profile : io::kCrashProfiles) {
      const bool killed = profile == CrashProfile::kProcessKill;
      // Only a process that died leaves something to lose for the power cut after it.
      const bool may_lose = parent.profile == CrashProfile::kProcessKill && !killed;
      const support::Bounds bounds = may_lose ? parent.after_power_loss : parent.bounds;
      const Effort effort{.exhaustive_limit = 1, .sampled = rates_.nested_choices};
      VisitChoices(*moment.states, profile, effort, dice_, [&](const auto& choice) {
        const Hash128 hash = moment.states->HashOf(profile, choice);
        const Hash128 owed = Combine(hash, parent.oracle.HashOfAllowed(bounds));
        if (!nested_.Insert(owed)) return;
        report_.Count("nested_crash_images");
        const Disk disk = moment.states->Image(profile, choice);
        Case image = parent;
        image.bounds = bounds;
        image.profile = profile;
        image.where = [&] {
          return parent.where() + ", then " + moment.when + ", " + std::string(NameOf(profile)) +
                 ", choice " + TextOf(choice);
        };
        if (disk == nullptr) return Wronged(image, Wrong::kOther, "no memory");
        std::unique_ptr<KVStore> store;
        const auto found = OpenAndJudge(image, disk, store);
        if (!found || may_lose || *found == contents) return;
        Wronged(image, Wrong::kAcknowledgedLost,
                "not what the recovery found that was cut off: " +
                    support::Differences(contents, *found));
      });
    }
  }
}

}  // namespace freyja::torture
