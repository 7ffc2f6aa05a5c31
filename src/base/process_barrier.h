// A memory barrier for all threads of this process at once.
//
// Where one side of a protocol runs millions of times a second and the other now and then, the
// rare side pays for both: the frequent one stores and loads without a fence of its own, only in
// program order (std::atomic_signal_fence), and the rare one makes every thread pass a barrier.
// Source: M. Desnoyers, P. McKenney, A. Stern, M. Dagenais, J. Walpole, "User-level
// implementations of read-copy update", IEEE TPDS 2012; membarrier(2).
//
// Thread safety: both may be called from any thread at any time.
#pragma once

namespace freyja::base {

// Whether this kernel has it (Linux 4.14, unless a sandbox forbids it). Always the same answer.
bool HasProcessBarrier();

// Returns after every running thread of the process has passed a full barrier since the call. What
// a thread did before its barrier is visible to the caller; what the caller did before the call is
// visible to what a thread does after its barrier. Some microseconds. `false`: the kernel refused,
// and nothing may be assumed.
[[nodiscard]] bool ProcessBarrier();

}  // namespace freyja::base
