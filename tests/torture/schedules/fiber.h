// Threads of the smallest kind: several stacks that take turns on one thread of the system.
//
// Controlled threads of a schedule are fibers, so that a schedule depends on nothing but its
// choices, a switch costs well below a microsecond, and a busy machine changes nothing. The
// sanitizers are told of every switch.
#pragma once

#include <ucontext.h>

#include <cstddef>
#include <functional>
#include <memory>

namespace freyja::torture::schedules {

// Thread safety: none; a fiber and its host live on one thread.
class Fiber {
 public:
  // Whether a sanitizer is at work: then everything takes ten times as long.
  static const bool kSanitized;

  Fiber();
  // A body that has not ended is given up where it stands; nothing on its stack is destroyed.
  ~Fiber();
  Fiber(const Fiber&) = delete;
  Fiber& operator=(const Fiber&) = delete;

  // The next Resume starts it. The last body has ended.
  void Start(std::function<void()> body);
  bool ended() const { return body_ == nullptr; }
  // Called by the host: runs the fiber until it suspends itself or ends.
  void Resume();
  // Called by the fiber: goes on behind the host's Resume.
  void Suspend();

 private:
  static void Enter(unsigned high, unsigned low);
  void Loop();
  void SwitchToHost();

  void* stack_ = nullptr;
  std::function<void()> body_;
  ucontext_t context_;
  ucontext_t host_;
  // What the sanitizers need; unused without them.
  [[maybe_unused]] void* fiber_handle_ = nullptr;
  [[maybe_unused]] void* host_handle_ = nullptr;
  [[maybe_unused]] void* fiber_fake_stack_ = nullptr;
  [[maybe_unused]] void* host_fake_stack_ = nullptr;
  [[maybe_unused]] const void* host_stack_ = nullptr;
  [[maybe_unused]] std::size_t host_stack_bytes_ = 0;
};

}  // namespace freyja::torture::schedules
