// Disk space held back so that deleting, compacting and opening work on a full disk.
#pragma once

#include <atomic>
#include <cstdint>
#include <utility>

#include "base/mutex.h"
#include "engine/directory.h"

namespace freyja::engine {

// A preallocated file, RESERVE, whose blocks are given up when a step that frees space, or
// that must not fail for want of it, finds the disk full. Puts are refused while it is not
// whole: they are not what the space is kept for.
//
// Thread safety: all members may be called from any thread.
class Reserve {
 public:
  // `bytes` 0: chosen from the segment size. `segment_bytes`: as segments really are
  // (Store::segment_bytes), which on a small disk is less than what was asked for.
  Reserve(Directory& directory, std::uint64_t bytes, std::uint64_t segment_bytes);

  // Allocates the file if it is not whole. kNoSpace: the disk is too full.
  Status Establish() FREYJA_EXCLUDES(mutex_);
  bool whole() const { return whole_.load(); }
  // kNoSpace if the disk has nothing left but what the file system keeps for root, after an
  // allocation that a process of root's may have made from just that. Whoever fills those blocks
  // finds later that what the reserve gives back first replaces them and is not free.
  Status CheckRootsBlocksAreLeft() const;
  // The part that deletes leave to the compaction that they are made for.
  std::uint64_t kept_for_compaction() const { return bytes_ / 3 * 2; }

  // Gives the blocks back, and keeps Establish from taking them again until the loan ends:
  // whoever needs them needs them for a while, and a refused put must not snatch them away.
  class Loan {
   public:
    explicit Loan(Reserve& reserve) : reserve_(&reserve), gave_(reserve.Lend()) {}
    Loan(Loan&& other) noexcept
        : reserve_(std::exchange(other.reserve_, nullptr)), gave_(other.gave_) {}
    Loan& operator=(Loan&&) = delete;
    ~Loan() {
      if (reserve_ != nullptr) reserve_->EndLoan();
    }
    // `false`: there was nothing to give.
    bool gave() const { return gave_; }

   private:
    Reserve* reserve_;
    bool gave_;
  };
  std::uint64_t bytes() const { return bytes_; }

  // Runs step(), and once more without the reserve if it failed for want of space.
  template <class Step>
  auto RunWith(Step&& step) -> decltype(step()) {
    auto result = step();
    if (!IsNoSpace(result)) return result;
    const Loan loan(*this);
    if (loan.gave()) result = step();
    return result;
  }

 private:
  bool Lend() FREYJA_EXCLUDES(mutex_);
  void EndLoan() FREYJA_EXCLUDES(mutex_);
  static bool IsNoSpace(const Status& status) { return status.code() == StatusCode::kNoSpace; }
  template <class T>
  static bool IsNoSpace(const Result<T>& result) {
    return !result && result.error().code() == StatusCode::kNoSpace;
  }

  Directory& directory_;
  const std::uint64_t bytes_;
  base::Mutex mutex_;
  std::uint32_t loans_ FREYJA_GUARDED_BY(mutex_) = 0;
  std::atomic<bool> whole_{false};
};

}  // namespace freyja::engine
