// A process that uses a store, and what it tells its parent.
//
// The child is this program executed anew: it must not inherit the descriptors (locks above
// all), the locked mutexes and the half-made state of the parent's other threads. A constructor
// in child.cc, which runs before main, sees from the environment that it is meant, does the
// child's work and exits. The child sends a message through a pipe after each operation that
// returned and before the next; the pipe outlives the child, so what it acknowledged is known
// however it dies.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "freyja/options.h"
#include "freyja/status.h"
#include "torture/real/workload.h"

namespace freyja::torture::real {

enum class Task : std::uint64_t {
  kWorkload,       // the writes of a Shape, until killed or `writes` are made
  kFileSizeLimit,  // full_disks.cc: a store under RLIMIT_FSIZE
};

struct ChildSpec {
  Task task = Task::kWorkload;
  std::filesystem::path directory;  // of the store
  Shape shape;
  std::uint64_t first_number = 1;
  std::uint64_t writes = 0;  // of each writer, then Close; 0: until killed
  Sync sync = Sync::kNone;
  std::uint64_t segment_bytes = 64 << 10;
  std::uint64_t reserve_bytes = 0;
  // Compactions on a thread of their own without end; or else one after every so many writes.
  bool compact_always = false;
  std::uint64_t compact_every = 0;
  std::uint64_t sync_every = 0;  // KVStore::Sync after every so many writes
  std::uint64_t file_size_limit = 0;

  Options StoreOptions() const;
};

struct Message {
  enum class Kind : std::uint32_t {
    kOpened,
    kReturned,         // a write
    kReturnedDurable,  // one that had asked to be durable
    kSynced,
    kCompacted,
    kClosed,
    kFailed,  // something that must not fail did; `text`
    kFigure,  // `text` is a figure's name, `number` its value
  };
  Kind kind = Kind::kOpened;
  std::uint32_t writer = 0;
  std::uint64_t number = 0;
  std::string text = {};
};

// The parent's side.
class Child {
 public:
  // Started, but waiting for Go.
  static Result<Child> Start(const ChildSpec& spec);
  Child(Child&& other) noexcept;
  Child& operator=(Child&&) = delete;
  ~Child();  // kills and reaps it

  pid_t pid() const { return pid_; }
  void Go();
  // Appends what has arrived, after waiting for at most `wait` for something. `false`: nothing
  // will ever come any more.
  bool Receive(std::chrono::milliseconds wait, std::vector<Message>& messages);
  // All that is still to come.
  std::vector<Message> ReceiveRest();
  void Kill();
  // Waits for its end; the wait status.
  int Reap();
  // Somebody else (a tracer) has.
  void Reaped() { pid_ = -1; }

 private:
  Child(pid_t pid, int messages, int go) : pid_(pid), messages_(messages), go_(go) {}

  pid_t pid_;
  int messages_;
  int go_;
  std::string received_;  // and not parsed yet
};

// A word for how a child ended.
std::string DescribeEnd(int wait_status);

// Enters messages in the ledger; the text of the first failure, if there was one.
std::optional<std::string> Enter(const std::vector<Message>& messages, Ledger& ledger);

// The child's side of the pipe. Thread-safe.
void Send(const Message& message);

}  // namespace freyja::torture::real
