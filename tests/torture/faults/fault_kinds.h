// The failures that are injected, and the one who injects them.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "io/memory_file_system.h"

namespace freyja::torture {

// What the message of every injected failure says.
inline constexpr char kInjected[] = "injected fault";

struct FaultKind {
  const char* name = "";
  // What fails, as a fault of the first call: empty operations for any.
  io::Fault fault;
  // In place of `fault`: before the call, the kernel fails to write back one of the store's
  // files, and says so at the next sync of that file.
  bool write_back = false;
};

const std::vector<FaultKind>& FaultKinds();

// Fails call number `n`, counted from zero, of those its kind concerns, across the disks that
// a workload goes through. Not thread-safe, but the disks' threads go on meanwhile.
class Injector {
 public:
  // Without a kind: counts all calls and fails none.
  Injector(const FaultKind* kind, std::uint64_t n) : kind_(kind), n_(n) {}
  Injector(const Injector&) = delete;
  Injector& operator=(const Injector&) = delete;
  ~Injector() { Detach(); }

  // From now on the calls of this disk count, and no longer those of the one before.
  void Attach(std::shared_ptr<io::MemoryFileSystem> disk);
  // The disk works again.
  void Detach();

  // How many of the calls so far the kind concerns.
  std::uint64_t calls() const;
  // How many calls have failed.
  std::uint64_t fired() const;
  // Whether anything was done at all: a write-back can fail without any call that fails.
  bool injected() const;
  bool fails_write_back() const { return kind_ != nullptr && kind_->write_back; }
  // The first of them.
  std::vector<io::FiredFault> first_fired() const;
  // Whether the store can, and if it has to then must, have noticed. A sync that reports late
  // has not been noticed before it does; a full disk is reported to the
  // writer who needs room, and what the background prepares ahead is tried again.
  bool must_be_noticed() const;
  StatusCode code() const {
    return kind_ == nullptr ? StatusCode::kOk : kind_->fault.status.code();
  }
  std::string Describe() const;

 private:
  std::uint64_t Count(const io::MemoryFileSystem& disk) const;
  void WatchWriteBack();

  const FaultKind* const kind_;
  const std::uint64_t n_;
  std::shared_ptr<io::MemoryFileSystem> disk_;
  std::uint64_t calls_before_ = 0;
  std::uint64_t fired_before_ = 0;
  std::vector<io::FiredFault> first_fired_;
  // Of a failed write-back: shared with the hook, which may outlive this.
  struct WriteBack;
  std::shared_ptr<WriteBack> write_back_;
};

}  // namespace freyja::torture
