#include "io/memory_faults.h"

#include <algorithm>
#include <numeric>

namespace freyja::io::memory {
namespace {

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
  base::MutexLock lock(mutex_);
  hook_ = std::move(hook);
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

std::optional<Fault> FaultPlan::Begin(Operation operation, const std::filesystem::path& path,
                                      const std::filesystem::path& other_path) {
  Hook hook;
  {
    base::MutexLock lock(mutex_);
    ++counts_[static_cast<std::size_t>(operation)];
    hook = hook_;
  }
  // Without the lock: hooks take crash images and inject faults.
  if (hook) hook(operation, path);

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
  return hit;
}

}  // namespace freyja::io::memory
