// Thread safety: entries are written under the registry's mutex and read by the signal
// handler, which may take no lock. Invariants:
// 1. Chunks are only ever appended and never freed, so the handler can walk them at any
//    moment.
// 2. An entry's version is odd exactly while its range changes. A handler that reads an
//    odd version, or two different ones around the range, skips the entry: the mapping
//    it looks for was registered before the access began and stays registered until
//    after, so an entry in flux can't be the one.
// 3. `faulted` is set before the page of zeros appears.
#include "io/fault_guard.h"

#include <errno.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cstdint>
#include <new>
#include <utility>

#include "base/bytes.h"
#include "base/mutex.h"

namespace freyja::io {

struct FaultGuard::Entry {
  std::atomic<std::uint64_t> version = 0;
  std::atomic<std::uintptr_t> begin = 0;
  std::atomic<std::uintptr_t> end = 0;
  std::atomic<bool> writable = false;
  std::atomic<bool> faulted = false;
  Entry* next_free = nullptr;  // guarded by the registry's mutex

  void Set(std::uintptr_t new_begin, std::uintptr_t new_end, bool new_writable) {
    version.fetch_add(1);
    begin.store(new_begin);
    end.store(new_end);
    writable.store(new_writable);
    faulted.store(false);
    version.fetch_add(1);
  }

  bool Covers(std::uintptr_t address) const {
    const std::uint64_t before = version.load();
    const bool inside = address >= begin.load() && address < end.load();
    return inside && before % 2 == 0 && version.load() == before;
  }
};

struct FaultGuard::Chunk {
  std::array<Entry, 128> entries;
  std::atomic<Chunk*> next = nullptr;
};

class FaultGuard::Registry {
 public:
  // Never destroyed: a signal may arrive during exit.
  static Registry& Instance() {
    static Registry* const registry = new Registry;
    return *registry;
  }

  Result<Entry*> Acquire(std::uintptr_t begin, std::size_t length, bool writable) {
    base::MutexLock lock(mutex_);
    if (!installed_) {
      if (const int error = InstallHandler(); error != 0) {
        return std::unexpected(
            Status(StatusCode::kIoError, "installing the SIGBUS handler failed"));
      }
      installed_ = true;
    }
    if (free_ == nullptr && !AddChunk()) {
      return std::unexpected(Status(StatusCode::kOutOfMemory, "no memory to guard a mapping"));
    }
    Entry* const entry = free_;
    free_ = entry->next_free;
    entry->Set(begin, begin + base::RoundUp(length, page_bytes_), writable);
    return entry;
  }

  void Release(Entry* entry) {
    base::MutexLock lock(mutex_);
    entry->Set(0, 0, false);
    entry->next_free = free_;
    free_ = entry;
  }

 private:
  Registry() : page_bytes_(static_cast<std::size_t>(sysconf(_SC_PAGESIZE))) {}

  bool AddChunk() FREYJA_REQUIRES(mutex_) {
    Chunk* const chunk = new (std::nothrow) Chunk;
    if (chunk == nullptr) return false;
    for (Entry& entry : chunk->entries) {
      entry.next_free = free_;
      free_ = &entry;
    }
    chunk->next.store(chunks_.load());
    chunks_.store(chunk);
    return true;
  }

  int InstallHandler() FREYJA_REQUIRES(mutex_) {
    active_.store(this);
    if (sigaction(SIGBUS, nullptr, &previous_) != 0) return errno;
    struct sigaction action = {};
    action.sa_sigaction = &Registry::HandleSignal;
    action.sa_mask = previous_.sa_mask;
    action.sa_flags = SA_SIGINFO | SA_ONSTACK | SA_RESTART;
    return sigaction(SIGBUS, &action, nullptr) == 0 ? 0 : errno;
  }

  // Everything from here on is async-signal-safe.
  static void HandleSignal(int signal, siginfo_t* info, void* context) {
    const int saved_errno = errno;
    Registry* const registry = active_.load();
    // Only a synchronous fault names an address that can be replaced; a SIGBUS sent by a
    // process, or an early warning about memory nobody touched (AO), is not ours.
    const bool synchronous = info->si_code > 0 && info->si_code != BUS_MCEERR_AO;
    const bool repaired =
        synchronous && registry->Repair(reinterpret_cast<std::uintptr_t>(info->si_addr));
    if (!repaired) registry->PassOn(signal, info, context, synchronous);
    errno = saved_errno;
  }

  bool Repair(std::uintptr_t address) const {
    for (Chunk* chunk = chunks_.load(); chunk != nullptr; chunk = chunk->next.load()) {
      for (Entry& entry : chunk->entries) {
        if (!entry.Covers(address)) continue;
        const int protection = entry.writable.load() ? PROT_READ | PROT_WRITE : PROT_READ;
        entry.faulted.store(true);
        // The bare system call: sanitizers replace mmap() with versions that are not
        // async-signal-safe.
        const long mapped = syscall(SYS_mmap, address / page_bytes_ * page_bytes_, page_bytes_,
                                    protection, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0L);
        return mapped != -1;
      }
    }
    return false;
  }

  void PassOn(int signal, siginfo_t* info, void* context, bool synchronous) const {
    if ((previous_.sa_flags & SA_SIGINFO) != 0) {
      previous_.sa_sigaction(signal, info, context);
      return;
    }
    if (previous_.sa_handler == SIG_IGN && !synchronous) return;
    if (previous_.sa_handler != SIG_DFL && previous_.sa_handler != SIG_IGN) {
      previous_.sa_handler(signal);
      return;
    }
    // The default action can't be called, only restored: the access then faults again
    // and ends the process as it would have without us. (The kernel treats an ignored
    // synchronous fault likewise.)
    struct sigaction action = {};
    action.sa_handler = SIG_DFL;
    sigaction(SIGBUS, &action, nullptr);
    if (!synchronous) raise(signal);
  }

  // The handler's way to the registry; a function-local static is not async-signal-safe.
  static inline std::atomic<Registry*> active_ = nullptr;

  // Constant after construction.
  const std::size_t page_bytes_;

  // Self-synchronised.
  std::atomic<Chunk*> chunks_ = nullptr;

  // Written once before the handler is installed, read by the handler only.
  struct sigaction previous_ = {};

  base::Mutex mutex_;
  bool installed_ FREYJA_GUARDED_BY(mutex_) = false;
  Entry* free_ FREYJA_GUARDED_BY(mutex_) = nullptr;
};

Result<FaultGuard> FaultGuard::Protect(void* start, std::size_t length, bool writable) {
  auto entry =
      Registry::Instance().Acquire(reinterpret_cast<std::uintptr_t>(start), length, writable);
  if (!entry) return std::unexpected(std::move(entry).error());
  return FaultGuard(*entry);
}

FaultGuard::FaultGuard(FaultGuard&& other) noexcept
    : entry_(std::exchange(other.entry_, nullptr)) {}

FaultGuard::~FaultGuard() {
  if (entry_ != nullptr) Registry::Instance().Release(entry_);
}

bool FaultGuard::faulted() const { return entry_->faulted.load(); }

}  // namespace freyja::io
