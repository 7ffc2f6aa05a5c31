#include "base/process_barrier.h"

#include <linux/membarrier.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace freyja::base {
namespace {

bool Membarrier(int command) { return syscall(SYS_membarrier, command, 0U, 0) == 0; }

}  // namespace

bool HasProcessBarrier() {
  // Registering tells the kernel which processes want it; before, the call is refused.
  static const bool registered = Membarrier(MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED);
  return registered;
}

bool ProcessBarrier() { return Membarrier(MEMBARRIER_CMD_PRIVATE_EXPEDITED); }

}  // namespace freyja::base
