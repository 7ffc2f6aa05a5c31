#include "torture/schedules/scheduler.h"

#include <algorithm>
#include <array>

#include "engine/epoch.h"

namespace freyja::torture::schedules {

namespace {

constexpr std::size_t kMostThreads = 8;
constexpr std::size_t kNobody = SIZE_MAX;

// Fibers are on one thread, but each announces epochs as one of its own: with a number that no real
// thread gets before hundreds run.
class NumbersOfThreads {
 public:
  NumbersOfThreads() = default;
  ~NumbersOfThreads() { engine::epoch_thread_number = of_host_; }
  NumbersOfThreads(const NumbersOfThreads&) = delete;
  NumbersOfThreads& operator=(const NumbersOfThreads&) = delete;

  static void Become(std::size_t thread) {
    engine::epoch_thread_number =
        engine::EpochManager::kNumberedThreads - 1 - static_cast<std::uint32_t>(thread);
  }

 private:
  const std::uint32_t of_host_ = engine::epoch_thread_number;
};

}  // namespace

Outcome Scheduler::Run(std::vector<std::function<void()>> bodies, Chooser& chooser,
                       Watcher watcher) {
  threads_.resize(std::min(bodies.size(), kMostThreads));
  for (std::size_t i = 0; i < threads_.size(); ++i) {
    Thread& thread = threads_[i];
    if (!thread.fiber || !thread.fiber->ended()) thread.fiber = std::make_unique<Fiber>();
    thread.fiber->Start(std::move(bodies[i]));
    thread.state = State::kReady;
  }
  owned_.clear();
  switches_.clear();
  outcome_ = {};
  chooser_ = &chooser;
  watcher_ = std::move(watcher);
  current_ = kNobody;
  next_ = Pick("start");
  base::schedule_observer = this;
  const NumbersOfThreads numbers;
  while (next_ != kNobody) {
    current_ = next_;
    NumbersOfThreads::Become(current_);
    threads_[current_].fiber->Resume();
    if (!threads_[current_].fiber->ended()) continue;  // next_ says who goes on
    threads_[current_].state = State::kEnded;
    next_ = Pick("end");
  }
  base::schedule_observer = nullptr;
  current_ = kNobody;
  return outcome_;
}

bool Scheduler::IsOwned(const void* mutex) const {
  return std::ranges::find(owned_, mutex) != owned_.end();
}

bool Scheduler::MayGoOn(const Thread& thread) const {
  switch (thread.state) {
    case State::kReady:
      return true;
    case State::kLocking:
      return !IsOwned(thread.waits_for);
    case State::kYielded:
      return outcome_.steps > thread.yielded_at;
    case State::kWaiting:
    case State::kEnded:
      return false;
  }
  return false;
}

std::size_t Scheduler::Pick(const char* point) {
  if (!outcome_.problem.empty()) return kNobody;
  std::array<std::uint8_t, kMostThreads> list{};
  std::size_t count = 0;
  const bool current_may_go_on = current_ != kNobody && MayGoOn(threads_[current_]);
  if (current_may_go_on) list[count++] = static_cast<std::uint8_t>(current_);
  for (std::size_t i = 0; i < threads_.size(); ++i) {
    if (i != current_ && MayGoOn(threads_[i])) list[count++] = static_cast<std::uint8_t>(i);
  }
  if (count == 0) {
    for (std::size_t i = 0; i < threads_.size(); ++i) {
      if (threads_[i].state == State::kYielded) return i;  // time would help it, nobody else can
    }
    if (std::ranges::all_of(threads_, [](const auto& t) { return t.state == State::kEnded; })) {
      return kNobody;
    }
    GiveUp("all threads wait for each other");
    return kNobody;
  }
  std::size_t chosen = 0;
  if (count > 1) {
    ++outcome_.decisions;
    chosen = chooser_->Choose({.threads = std::span(list).first(count),
                               .current_may_go_on = current_may_go_on,
                               .point = point});
  }
  const bool preemption = current_may_go_on && chosen != 0;
  if (preemption) ++outcome_.preemptions;
  if (list[chosen] != current_) {
    const auto from = static_cast<std::uint8_t>(current_);
    switches_.push_back({from, list[chosen], point, preemption});
  }
  return list[chosen];
}

void Scheduler::Decide(const char* point) {
  const std::size_t self = current_;
  next_ = Pick(point);
  if (next_ == self) return;
  threads_[self].fiber->Suspend();
}

void Scheduler::GiveUp(std::string problem) { outcome_.problem = std::move(problem); }

void Scheduler::AtPoint(const char* name, const void* operand) {
  if (++outcome_.steps > options_.most_steps) {
    GiveUp("no end after " + std::to_string(options_.most_steps) + " points");
    next_ = kNobody;
    threads_[current_].fiber->Suspend();  // for good
  }
  if (watcher_) watcher_(current_, name, operand);
  Decide(name);
}

void Scheduler::AtYield(const char* name) {
  Thread& self = threads_[current_];
  ++outcome_.steps;
  self.state = State::kYielded;
  self.yielded_at = outcome_.steps;
  Decide(name);
  self.state = State::kReady;
}

void Scheduler::BeforeLock(const void* mutex) {
  if (options_.points_at_locks) AtPoint("lock", mutex);
  if (IsOwned(mutex)) {
    Thread& self = threads_[current_];
    self.state = State::kLocking;
    self.waits_for = mutex;
    Decide("blocked");
    self.state = State::kReady;
  }
  owned_.push_back(mutex);
}

bool Scheduler::BeforeTryLock(const void* mutex) {
  if (options_.points_at_locks) AtPoint("try lock", mutex);
  if (IsOwned(mutex)) return false;
  owned_.push_back(mutex);
  return true;
}

void Scheduler::AfterUnlock(const void* mutex) { std::erase(owned_, mutex); }

void Scheduler::Wait(const void* condition) {
  Thread& self = threads_[current_];
  self.state = State::kWaiting;
  self.waits_for = condition;
  Decide("wait");
}

void Scheduler::Notify(const void* condition, bool all) {
  for (Thread& thread : threads_) {
    if (thread.state != State::kWaiting || thread.waits_for != condition) continue;
    thread.state = State::kReady;
    if (!all) return;
  }
}

std::string Scheduler::DescribeSwitches() const {
  std::string text;
  for (const Switch& one : switches_) {
    if (!text.empty()) text += ", ";
    if (one.from != static_cast<std::uint8_t>(kNobody)) {
      text += std::to_string(one.from) + (one.preemption ? " preempted at " : " at ") +
              std::string(one.point) + ": ";
    }
    text += std::to_string(one.to) + " goes on";
  }
  return text;
}

}  // namespace freyja::torture::schedules
