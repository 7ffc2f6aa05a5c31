// Faults that tests order from the in-memory file system, and its count of operations.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <new>
#include <optional>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "base/mutex.h"
#include "base/status_macros.h"
#include "freyja/status.h"

namespace freyja::io {

// Every call of FileSystem and File that a disk can fail is one operation. Loads and
// stores through mappings, and hints to the kernel, are none.
enum class Operation : std::uint8_t {
  kOpen,    // an existing file
  kCreate,  // Open with kCreateNew
  kRead,
  kWrite,
  kSync,
  kAllocate,
  kTruncate,
  kReleaseTail,
  kMap,
  kRename,
  kUnlink,
  kCreateDirectory,
  kList,
  kSyncDirectory,
  kLock,
  kStat,  // Size, DiskUsage, Exists, FreeSpace, Capacity, SameFileSystem
};
inline constexpr std::size_t kOperationKinds = static_cast<std::size_t>(Operation::kStat) + 1;

struct Fault {
  std::vector<Operation> operations = {};  // empty: any
  std::string path_contains = {};          // a rename matches by either path; empty: any
  std::uint64_t skip = 0;                  // this many matching calls go through first
  Status status{StatusCode::kIoError, "injected fault"};
  bool sticky = false;        // fails every matching call from then on
  bool after_effect = false;  // the operation happens, and yet reports failure
  // kSync: the failed sync leaves unwritten data marked clean, so that it never becomes
  // durable although later syncs succeed (what Linux file systems do after EIO).
  bool sync_drops_dirty = false;
  // The report of the failure finds no memory: std::bad_alloc takes its place.
  bool no_memory = false;
  // kSync: the sync succeeds, and the next one of the same file reports the failure.
  bool reported_late = false;
  // kWrite: this many bytes are written before the failure.
  std::optional<std::uint64_t> short_write_bytes = {};
  // kRead: this many bytes are read before the failure; the rest of the buffer is garbage.
  std::optional<std::uint64_t> short_read_bytes = {};
};

// A call that a fault hit.
struct FiredFault {
  Operation operation = Operation::kOpen;
  std::filesystem::path path;
};

namespace memory {

// Thread-safe.
class FaultPlan {
 public:
  using Hook = std::function<void(Operation, const std::filesystem::path&)>;

  void Inject(Fault fault);
  void Clear();
  // When it returns, no other thread is in the old hook any more: what that one refers to
  // may go. So don't hold a lock that the old hook waits for.
  void SetHook(Hook hook);

  std::uint64_t operations() const;
  std::uint64_t operations(Operation operation) const;
  std::uint64_t fired() const;
  std::vector<FiredFault> first_fired() const;  // the first few

  // Counts the operation, calls the hook, and returns the fault that hits it, if any.
  std::optional<Fault> Begin(Operation operation, const std::filesystem::path& path,
                             const std::filesystem::path& other_path = {});

  // Runs `effect`, or fails in its place or after it. `effect` returns a Status or Result.
  template <typename Effect>
  std::invoke_result_t<Effect> Run(Operation operation, const std::filesystem::path& path,
                                   Effect&& effect) {
    return Finish(Begin(operation, path), std::forward<Effect>(effect));
  }

  template <typename Effect>
  static std::invoke_result_t<Effect> Finish(std::optional<Fault> fault, Effect&& effect) {
    if (!fault) return effect();
    if (fault->after_effect) {
      if (auto outcome = effect(); !Succeeded(outcome)) return outcome;
    }
    if (fault->no_memory) throw std::bad_alloc();
    return base::ErrorReturn(std::move(fault->status));
  }

 private:
  static bool Succeeded(const Status& status) { return status.ok(); }
  template <typename T>
  static bool Succeeded(const Result<T>& result) {
    return result.has_value();
  }

  void RunHook(Operation operation, const std::filesystem::path& path);

  mutable base::Mutex mutex_;
  std::vector<Fault> faults_ FREYJA_GUARDED_BY(mutex_);
  Hook hook_ FREYJA_GUARDED_BY(mutex_);
  std::size_t hooks_running_ FREYJA_GUARDED_BY(mutex_) = 0;
  base::CondVar hook_ended_;
  std::array<std::uint64_t, kOperationKinds> counts_ FREYJA_GUARDED_BY(mutex_) = {};
  std::uint64_t fired_ FREYJA_GUARDED_BY(mutex_) = 0;
  std::vector<FiredFault> first_fired_ FREYJA_GUARDED_BY(mutex_);
};

}  // namespace memory
}  // namespace freyja::io
