#include "io/memory_faults.h"

#include <algorithm>
#include <numeric>

namespace freyja::io::memory {
namespace {

constexpr std::size_t kFiredKept = 16;

// Whose hooks this thread is in; a hook's own operations call it again.
thread_local std::vector<const FaultPlan*> hooks_of_this_thread;

bool Matches(const Fault& fault, Operation operation, const std::filesystem::path& path,
             const std::filesystem::path& other_path) {
  const auto& kinds = fault.operations;
  if (!kinds.empty() && std::ranges::find(kinds, operation) == kinds.end()) return false;
  return path.native().contains(fault.path_contains) ||
         other_path.native().contains(fault.path_contains);
}

}  // namespace

void FaultPlan::Inject(Fault fault) {
  base::MutexLock lock(mutex_);
  faults_.push_back(std::move(fault));
}

void FaultPlan::Clear() {
  base::MutexLock lock(mutex_);
  faults_.clear();
}

void FaultPlan::SetHook(Hook hook) {
  const auto own = static_cast<std::size_t>(std::ranges::count(hooks_of_this_thread, this));
  base::MutexLock lock(mutex_);
  std::swap(hook_, hook);
  while (hooks_running_ > own) hook_ended_.Wait(mutex_);
}

void FaultPlan::RunHook(Operation operation, const std::filesystem::path& path) {
  Hook hook;
  {
    base::MutexLock lock(mutex_);
    ++counts_[static_cast<std::size_t>(operation)];
    if (!hook_) return;
    hook = hook_;
    ++hooks_running_;
  }
  // Without the lock: hooks take crash images and inject faults.
  hooks_of_this_thread.push_back(this);
  hook(operation, path);
  hooks_of_this_thread.pop_back();
  hook = nullptr;  // what it holds goes before it counts as ended
  base::MutexLock lock(mutex_);
  --hooks_running_;
  hook_ended_.NotifyAll();
}

std::uint64_t FaultPlan::operations() const {
  base::MutexLock lock(mutex_);
  return std::accumulate(counts_.begin(), counts_.end(), std::uint64_t{0});
}

std::uint64_t FaultPlan::operations(Operation operation) const {
  base::MutexLock lock(mutex_);
  return counts_[static_cast<std::size_t>(operation)];
}

std::uint64_t FaultPlan::fired() const {
  base::MutexLock lock(mutex_);
  return fired_;
}

std::vector<FiredFault> FaultPlan::first_fired() const {
  base::MutexLock lock(mutex_);
  return first_fired_;
}

std::optional<Fault> FaultPlan::Begin(Operation operation, const std::filesystem::path& path,
                                      const std::filesystem::path& other_path) {
  RunHook(operation, path);
  base::MutexLock lock(mutex_);
  std::optional<Fault> hit;
  for (auto fault = faults_.begin(); fault != faults_.end();) {
    if (!Matches(*fault, operation, path, other_path)) {
      ++fault;
    } else if (fault->skip > 0) {
      --fault->skip;
      ++fault;
    } else if (hit) {
      ++fault;
    } else {
      hit = *fault;
      ++fired_;
      fault = fault->sticky ? fault + 1 : faults_.erase(fault);
    }
  }
  if (hit && first_fired_.size() < kFiredKept) first_fired_.push_back({operation, path});
  if (hit && hit->reported_late && operation == Operation::kSync) {
    hit->reported_late = false;
    hit->sticky = false;
    hit->path_contains = path.native();
    faults_.push_back(*std::move(hit));
    return std::nullopt;
  }
  return hit;
}

}  // namespace freyja::io::memory
