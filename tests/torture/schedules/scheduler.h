// A token scheduler: of several controlled threads exactly one runs, and at every scheduling
// point something that can be replayed decides which one goes on.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "base/schedule_point.h"
#include "torture/schedules/fiber.h"

namespace freyja::torture::schedules {

// Threads that may go on now. The current one comes first, if it may; the others ascend.
struct Choices {
  std::span<const std::uint8_t> threads;
  bool current_may_go_on = false;  // to choose another is a preemption
  const char* point = "";
};

// Decides. `Choose` returns an index into choices.threads, of which there are at least two.
class Chooser {
 public:
  virtual ~Chooser() = default;
  virtual std::size_t Choose(const Choices& choices) = 0;
};

struct SchedulerOptions {
  // Whether each lock of a base::Mutex is a scheduling point, too. Blocking is seen anyway.
  bool points_at_locks = false;
  // More points than that in one schedule: the threads get nowhere.
  std::uint64_t most_steps = 20'000;
};

struct Outcome {
  std::uint64_t steps = 0;        // scheduling points passed
  std::uint64_t decisions = 0;    // points where more than one thread could go on
  std::uint64_t preemptions = 0;  // decisions against a thread that could go on
  std::string problem;            // empty, or: deadlock, too many steps
};

// Thread safety: none; all of it happens on one thread of the system.
class Scheduler final : public base::ScheduleObserver {
 public:
  // Told of each point as it is passed, before the decision.
  using Watcher =
      std::function<void(std::size_t thread, std::string_view point, const void* operand)>;

  explicit Scheduler(const SchedulerOptions& options) : options_(options) {}
  ~Scheduler() = default;

  // Runs the bodies, one a thread, to their ends. With a problem the bodies are given up
  // where they stand, so nothing that they use may be destroyed.
  Outcome Run(std::vector<std::function<void()>> bodies, Chooser& chooser, Watcher watcher);

  // The switches of the last run in words, for a report.
  std::string DescribeSwitches() const;

  void AtPoint(const char* name, const void* operand) override;
  void AtYield(const char* name) override;
  void BeforeLock(const void* mutex) override;
  bool BeforeTryLock(const void* mutex) override;
  void AfterUnlock(const void* mutex) override;
  void Wait(const void* condition) override;
  void Notify(const void* condition, bool all) override;

 private:
  enum class State : std::uint8_t { kReady, kLocking, kWaiting, kYielded, kEnded };
  struct Thread {
    std::unique_ptr<Fiber> fiber;
    State state = State::kReady;
    const void* waits_for = nullptr;  // the mutex or condition variable
    std::uint64_t yielded_at = 0;     // steps_ then
  };
  struct Switch {
    std::uint8_t from;
    std::uint8_t to;
    const char* point;
    bool preemption;
  };

  bool MayGoOn(const Thread& thread) const;
  bool IsOwned(const void* mutex) const;
  // Lets somebody go on; returns when that is the caller again.
  void Decide(const char* point);
  // The thread that goes on, or none.
  std::size_t Pick(const char* point);
  void GiveUp(std::string problem);

  const SchedulerOptions options_;
  std::vector<Thread> threads_;
  std::vector<const void*> owned_;  // mutexes that are locked
  Chooser* chooser_ = nullptr;
  Watcher watcher_;
  Outcome outcome_;
  std::vector<Switch> switches_;
  std::size_t current_ = SIZE_MAX;  // the thread that runs
  std::size_t next_ = SIZE_MAX;     // the thread that goes on
};

}  // namespace freyja::torture::schedules
