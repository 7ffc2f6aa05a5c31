#include "torture/schedules/fiber.h"

#include <sys/mman.h>

#include <cstdint>
#include <new>
#include <utility>

#if defined(__SANITIZE_ADDRESS__)
#define FREYJA_FIBER_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define FREYJA_FIBER_ASAN 1
#endif
#endif
#if defined(__SANITIZE_THREAD__)
#define FREYJA_FIBER_TSAN 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define FREYJA_FIBER_TSAN 1
#endif
#endif

#if defined(FREYJA_FIBER_ASAN)
#include <sanitizer/common_interface_defs.h>
#endif
#if defined(FREYJA_FIBER_TSAN)
#include <sanitizer/tsan_interface.h>
#endif

namespace freyja::torture::schedules {

namespace {

constexpr std::size_t kStackBytes = std::size_t{1} << 20;  // touched pages only

}  // namespace

#if defined(FREYJA_FIBER_ASAN) || defined(FREYJA_FIBER_TSAN)
const bool Fiber::kSanitized = true;
#else
const bool Fiber::kSanitized = false;
#endif

Fiber::Fiber() {
  stack_ = ::mmap(nullptr, kStackBytes, PROT_READ | PROT_WRITE,
                  MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (stack_ == MAP_FAILED) throw std::bad_alloc();
  ::getcontext(&context_);
  context_.uc_stack.ss_sp = stack_;
  context_.uc_stack.ss_size = kStackBytes;
  context_.uc_link = nullptr;
  const auto address = reinterpret_cast<std::uintptr_t>(this);
  // makecontext passes ints only.
  ::makecontext(&context_, reinterpret_cast<void (*)()>(&Fiber::Enter), 2,
                static_cast<unsigned>(address >> 32), static_cast<unsigned>(address));
#if defined(FREYJA_FIBER_TSAN)
  fiber_handle_ = __tsan_create_fiber(0);
#endif
}

Fiber::~Fiber() {
#if defined(FREYJA_FIBER_TSAN)
  __tsan_destroy_fiber(fiber_handle_);
#endif
  ::munmap(stack_, kStackBytes);
}

void Fiber::Start(std::function<void()> body) { body_ = std::move(body); }

void Fiber::Enter(unsigned high, unsigned low) {
  const std::uintptr_t address = (std::uintptr_t{high} << 32) | low;
  // NOLINTNEXTLINE(performance-no-int-to-ptr): makecontext passes ints only
  reinterpret_cast<Fiber*>(address)->Loop();
}

void Fiber::Loop() {
#if defined(FREYJA_FIBER_ASAN)
  __sanitizer_finish_switch_fiber(nullptr, &host_stack_, &host_stack_bytes_);
#endif
  for (;;) {
    body_();
    body_ = nullptr;
    SwitchToHost();
  }
}

void Fiber::Resume() {
#if defined(FREYJA_FIBER_ASAN)
  __sanitizer_start_switch_fiber(&host_fake_stack_, stack_, kStackBytes);
#endif
#if defined(FREYJA_FIBER_TSAN)
  host_handle_ = __tsan_get_current_fiber();
  __tsan_switch_to_fiber(fiber_handle_, 0);
#endif
  ::swapcontext(&host_, &context_);
#if defined(FREYJA_FIBER_ASAN)
  __sanitizer_finish_switch_fiber(host_fake_stack_, nullptr, nullptr);
#endif
}

void Fiber::SwitchToHost() {
#if defined(FREYJA_FIBER_ASAN)
  __sanitizer_start_switch_fiber(&fiber_fake_stack_, host_stack_, host_stack_bytes_);
#endif
#if defined(FREYJA_FIBER_TSAN)
  __tsan_switch_to_fiber(host_handle_, 0);
#endif
  ::swapcontext(&context_, &host_);
#if defined(FREYJA_FIBER_ASAN)
  __sanitizer_finish_switch_fiber(fiber_fake_stack_, &host_stack_, &host_stack_bytes_);
#endif
}

void Fiber::Suspend() { SwitchToHost(); }

}  // namespace freyja::torture::schedules
