#include "torture/real/tracer.h"

#include <errno.h>
#include <signal.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include <algorithm>
#include <array>
#include <optional>
#include <system_error>
#include <thread>

namespace freyja::torture::real {

namespace {

// The message pipe's write is one of them: between a write and its acknowledgement a child can
// die, too.
constexpr std::array kFileCalls = {
    SYS_openat,   SYS_close,     SYS_write,     SYS_pwrite64,   SYS_pwritev2, SYS_pread64,
    SYS_fsync,    SYS_fdatasync, SYS_fallocate, SYS_ftruncate,  SYS_renameat, SYS_renameat2,
    SYS_unlinkat, SYS_mkdirat,   SYS_munmap,    SYS_msync,      SYS_madvise,  SYS_flock,
    SYS_fstatfs,  SYS_statfs,    SYS_linkat,    SYS_getdents64,
#ifdef SYS_open
    SYS_open,     SYS_rename,    SYS_unlink,    SYS_mkdir,
#endif
};

bool ConcernsFiles(const __ptrace_syscall_info& info) {
  const auto number = static_cast<long>(info.entry.nr);
  if (number == SYS_mmap) return static_cast<int>(info.entry.args[4]) >= 0;
  return std::ranges::find(kFileCalls, number) != kFileCalls.end();
}

template <typename Argument>
long Trace(int request, pid_t thread, std::uintptr_t address, Argument data) {
  return ::ptrace(static_cast<__ptrace_request>(request), thread, reinterpret_cast<void*>(address),
                  data);  // NOLINT(performance-no-int-to-ptr)
}

long Resume(int request, pid_t thread, int signal) {
  return Trace(request, thread, 0, static_cast<std::intptr_t>(signal));
}

class Tracer {
 public:
  Tracer(Child& child, std::uint64_t n, Moment moment) : child_(child), n_(n), moment_(moment) {}

  Status Attach() {
    constexpr std::intptr_t kOptions =
        PTRACE_O_TRACESYSGOOD | PTRACE_O_TRACECLONE | PTRACE_O_EXITKILL;
    if (Trace(PTRACE_SEIZE, child_.pid(), 0, kOptions) != 0 ||
        Trace(PTRACE_INTERRUPT, child_.pid(), 0, std::intptr_t{0}) != 0) {
      return {StatusCode::kUnsupported, "ptrace: " + std::system_category().message(errno)};
    }
    return Status::Ok();
  }

  Traced Run() {
    for (;;) {
      int status = 0;
      // Only this thread's children: other threads of this process have children of their own.
      const pid_t thread = ::waitpid(-1, &status, __WALL | __WNOTHREAD);
      if (thread < 0 && errno == EINTR) continue;
      if (thread < 0) break;
      if (!WIFSTOPPED(status)) {
        if (thread != child_.pid()) continue;
        traced_.wait_status = status;
        break;
      }
      Stopped(thread, status);
    }
    child_.Reaped();
    if (killer_.joinable()) killer_.join();
    return traced_;
  }

 private:
  void Stopped(pid_t thread, int status) {
    const int signal = WSTOPSIG(status);
    if (signal == (SIGTRAP | 0x80)) {
      SystemCall(thread);
      return;
    }
    // New threads and our interruption stop without a signal of their own; signals are passed on.
    const bool event = (status >> 16) != 0;
    Resume(PTRACE_SYSCALL, thread, event ? 0 : signal);
  }

  void SystemCall(pid_t thread) {
    __ptrace_syscall_info info{};
    Trace(PTRACE_GET_SYSCALL_INFO, thread, sizeof(info), &info);
    if (info.op == PTRACE_SYSCALL_INFO_EXIT && at_exit_of_ == thread) {
      Kill();
    } else if (info.op == PTRACE_SYSCALL_INFO_ENTRY && ConcernsFiles(info)) {
      ++traced_.calls;
      traced_.kinds.insert(info.entry.nr);
      if (traced_.calls == n_ && Reached(thread)) return;
    }
    Resume(PTRACE_SYSCALL, thread, 0);
  }

  // `true`: the thread was let go already, or is to stay where it is.
  bool Reached(pid_t thread) {
    switch (moment_) {
      case Moment::kBefore:
        Kill();
        return true;
      case Moment::kDuring:
        traced_.killed = true;
        killer_ = std::thread([pid = child_.pid()] { ::kill(pid, SIGKILL); });
        Resume(PTRACE_CONT, thread, 0);
        return true;
      case Moment::kAfter:
        at_exit_of_ = thread;
        return false;
    }
    return false;
  }

  void Kill() {
    traced_.killed = true;
    child_.Kill();
  }

  Child& child_;
  const std::uint64_t n_;
  const Moment moment_;
  Traced traced_;
  std::optional<pid_t> at_exit_of_;
  std::thread killer_;
};

}  // namespace

Result<Traced> RunTraced(Child& child, std::uint64_t n, Moment moment) {
  Tracer tracer(child, n, moment);
  const Status attached = tracer.Attach();
  if (!attached.ok()) return std::unexpected(attached);
  child.Go();
  return tracer.Run();
}

}  // namespace freyja::torture::real
