// Taking crash images of a running store, and judging what is recovered from them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <iosfwd>
#include <memory>
#include <string>
#include <vector>

#include "base/mutex.h"
#include "freyja/compaction.h"
#include "freyja/kv_store.h"
#include "freyja/options.h"
#include "io/memory_file_system.h"
#include "support/history.h"
#include "support/test_settings.h"

namespace freyja::support {

inline constexpr char kStorePath[] = "/store";
inline constexpr char kTempPath[] = "/scratch";

// Opens the store at kStorePath.
Result<std::unique_ptr<KVStore>> OpenOn(std::shared_ptr<io::MemoryFileSystem> disk,
                                        const Options& options, std::uint64_t seed);

// Options under which everything happens often: tiny segments, a tiny reserve.
Options TinyOptions(Dice& dice);
HotSwapConfig AnyConfig(Dice& dice);
io::CrashOptions AnyCrash(Dice& dice);

// What an operation does to the disk, in words; null if it only looks. Creating directories
// and locking count as looking here.
const char* EffectOf(io::Operation operation);

struct CrashedDisk {
  std::shared_ptr<io::MemoryFileSystem> disk;
  io::CrashOptions::Mode mode = io::CrashOptions::Mode::kRandom;
  Bounds bounds;            // what may be found on it
  Bounds after_power_loss;  // and after its own power fails before it is recovered
  std::string when;
};

// Takes images of a file system at random operations of it, on whatever thread they happen.
// Thread-safe, except that `history` must not change hands meanwhile.
class ImageTaker {
 public:
  ImageTaker(io::MemoryFileSystem& disk, const History& history, std::uint64_t seed);
  ~ImageTaker() { Stop(); }
  ImageTaker(const ImageTaker&) = delete;
  ImageTaker& operator=(const ImageTaker&) = delete;

  // Of the operations that change something, one in `one_in` gets an image taken before it,
  // as long as fewer than `most` wait.
  void Start(std::uint64_t one_in, std::size_t most);
  void Stop();
  void TakeNow(const std::string& when);
  std::vector<CrashedDisk> Collect();

 private:
  CrashedDisk Take(const io::CrashOptions& crash, std::string when) const;
  void BeforeOperation(io::Operation operation, const std::filesystem::path& path,
                       std::uint64_t one_in, std::size_t most);

  io::MemoryFileSystem& disk_;
  const History& history_;
  base::Mutex mutex_;
  Dice dice_ FREYJA_GUARDED_BY(mutex_);
  std::vector<CrashedDisk> taken_ FREYJA_GUARDED_BY(mutex_);
};

// How often each thing was done, so that a test can't pass by doing nothing.
struct CrashCounts {
  std::size_t images = 0;
  std::size_t process_kills = 0;
  std::size_t inside_recovery = 0;
  std::size_t swaps = 0;        // hot swaps that images were taken around
  std::size_t compacted = 0;    // images whose store was compacted after recovery
  std::size_t lost_writes = 0;  // images that lost something that had been acknowledged
};
std::ostream& operator<<(std::ostream& out, const CrashCounts& counts);

// A store recovered from an image, found to be right, and open.
struct Survivor {
  std::string error;  // empty: right. Else the rest is not to be used.
  std::shared_ptr<io::MemoryFileSystem> disk;
  std::unique_ptr<KVStore> store;
  Options options;  // that it was opened with
  Contents contents;
};

// Opens the image, at times with a second crash in the middle of recovery; compares what it
// finds with the history; opens it again after a clean close or another crash, and at times
// after a compaction of everything: nothing may change any more.
Survivor Recover(const CrashedDisk& image, const History& history, std::uint64_t seed,
                 CrashCounts& counts);

}  // namespace freyja::support
