// A store under a workload, and the moments at which it may crash.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/mutex.h"
#include "freyja/compaction.h"
#include "freyja/kv_store.h"
#include "io/memory_crash_states.h"
#include "io/memory_file_system.h"
#include "support/history.h"
#include "support/test_settings.h"

namespace freyja::torture {

inline constexpr char kStorePath[] = "/store";
inline constexpr char kScratchPath[] = "/scratch";

// What the process saw just before it died, and what its sync policy owes then.
struct Moment {
  std::shared_ptr<const io::CrashStates> states;
  support::Bounds power_loss;
  support::Bounds process_kill;
  std::uint64_t clock_ms = 0;
  std::string when;
};

// Tiny files, one thread for recovery.
Options TinyOptions(Sync sync);
Result<std::unique_ptr<KVStore>> OpenOn(std::shared_ptr<io::FileSystem> disk,
                                        const Options& options, std::uint64_t clock_ms,
                                        std::uint64_t seed);
// What an operation does to the disk, for messages; null if nothing.
const char* EffectOf(io::Operation operation);

// The thread that uses it is the only one that writes; the store's own threads go on
// meanwhile, and their operations are moments, too.
class World {
 public:
  // What the store sees in place of the disk; for planting wrongs.
  using Disguise =
      std::function<std::shared_ptr<io::FileSystem>(const std::shared_ptr<io::MemoryFileSystem>&)>;
  World(Sync sync, std::uint64_t seed, const Disguise& disguise = nullptr);
  ~World();
  World(const World&) = delete;
  World& operator=(const World&) = delete;

  // Moments before each operation that changes something are taken from here on.
  void StartRecording();
  // Whatever fails, although nothing was made to fail, is told by problem().
  void Open();
  void Put(const std::string& key, std::size_t bytes, Sync sync = Sync::kDefault);
  void PutExpiring(const std::string& key, std::size_t bytes, std::uint64_t after_ms);
  void Delete(const std::string& key, Sync sync = Sync::kDefault);
  // Puts and deletes as one write. Keys with a '-' in front are deleted.
  void Batch(const std::vector<std::string>& keys, std::size_t bytes, Sync sync = Sync::kDefault);
  void SyncAll();
  // Until a sync by time has made all of it durable.
  void AwaitInterval();
  // Seals all that is written.
  void Roll();
  // Whether segments were replaced.
  bool Compact(HotSwapConfig config);
  // Stores opened from here on compact by themselves, when they are told to look.
  void Schedule();
  // The store compacts until it has nothing left to do; `rotates`: seals what was active for it.
  void LetSchedulerCompact(bool rotates);
  // The store has to take less space, so that it gives up what is in quarantine.
  void LetSchedulerMakeRoom();
  // Stores opened from here on keep what compactions replace.
  void KeepReplaced();
  // Of the last job.
  void UndoLast();
  void GiveUpLast();
  void Close();
  // Time passes for the records that expire.
  void Pass(std::uint64_t ms);
  // Nothing is left to do for the store's own thread.
  void Settle();

  Sync sync() const { return options_.sync; }
  support::Dice& dice() { return dice_; }
  const support::History& history() const { return history_; }
  const std::map<std::string, std::uint64_t>& expiries() const { return expiries_; }
  const std::string& problem() const { return problem_; }
  std::uint64_t swaps() const { return swaps_; }
  std::uint64_t rotations() const { return rotations_; }  // by the scheduler
  // As if the history had one more durable write that the store never saw.
  void ForgetAWrite(const std::string& key);
  // As if all acknowledged writes had been synced.
  void PromiseAll() { history_.MakeDurable(); }
  std::vector<Moment> TakeMoments();

 private:
  std::string NewValue(const std::string& key, std::size_t bytes);
  void Written(const Status& status, Sync sync);
  void Check(const Status& status, std::string_view what);
  void TakeMoment(std::string when) FREYJA_EXCLUDES(mutex_);
  // How many writes the store says are durable.
  std::size_t DurableWrites() const FREYJA_REQUIRES(mutex_);

  Options options_;
  const std::shared_ptr<io::MemoryFileSystem> disk_;
  const std::shared_ptr<io::FileSystem> seen_;
  const std::shared_ptr<support::ManualClock> clock_;
  support::Dice dice_;
  support::History history_{{}};
  std::map<std::string, std::uint64_t> expiries_;
  std::uint64_t number_ = 0;
  std::uint64_t swaps_ = 0;
  std::uint64_t rotations_ = 0;
  std::uint64_t last_job_ = 0;
  std::string problem_;
  std::unique_ptr<KVStore> store_;

  base::Mutex mutex_;
  KVStore* open_ FREYJA_GUARDED_BY(mutex_) = nullptr;
  std::vector<std::uint64_t> sequences_ FREYJA_GUARDED_BY(mutex_);  // the last of each write
  std::vector<Moment> moments_ FREYJA_GUARDED_BY(mutex_);
};

}  // namespace freyja::torture
