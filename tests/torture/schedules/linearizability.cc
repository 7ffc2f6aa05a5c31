#include "torture/schedules/linearizability.h"

#include <algorithm>
#include <set>
#include <utility>

namespace freyja::torture::schedules {

namespace {

using Kind = Operation::Kind;

class Search {
 public:
  explicit Search(std::span<const Operation> operations) : operations_(operations) {}

  // Whether the operations that are not in `done` can follow in some order.
  bool From(std::uint32_t done, Version now) {
    if (done == (std::uint64_t{1} << operations_.size()) - 1) return true;
    if (!seen_.emplace(done, now).second) return false;
    // The next one began before any other that is still to come ended.
    std::uint64_t first_end = UINT64_MAX;
    for (std::size_t i = 0; i < operations_.size(); ++i) {
      if ((done >> i & 1) == 0) first_end = std::min(first_end, operations_[i].end);
    }
    for (std::size_t i = 0; i < operations_.size(); ++i) {
      const Operation& next = operations_[i];
      if ((done >> i & 1) != 0 || next.begin > first_end || !Fits(next, now)) continue;
      const Version after = next.kind == Kind::kRead     ? now
                            : next.kind == Kind::kDelete ? Version()
                                                         : next.version;
      if (From(done | std::uint32_t{1} << i, after)) return true;
    }
    return false;
  }

 private:
  static bool Fits(const Operation& operation, Version now) {
    switch (operation.kind) {
      case Kind::kRead:
        return operation.version == now;
      case Kind::kDelete:
        return operation.was_present == now.has_value();
      case Kind::kWrite:
        return true;
    }
    return false;
  }

  const std::span<const Operation> operations_;
  std::set<std::pair<std::uint32_t, Version>> seen_;
};

bool IsLinearizable(std::span<const Operation> operations, Version before) {
  return Search(operations).From(0, before);
}

bool EverHeld(std::span<const Operation> operations, Version before, Version version) {
  return version == before || std::ranges::any_of(operations, [&](const Operation& operation) {
           return operation.kind == Kind::kWrite && operation.version == version;
         });
}

// What to call it that `read` saw what it saw.
Wrong Classify(const Operation& read, std::span<const Operation> operations) {
  if (!read.version) return Wrong::kMissed;
  const bool deleted = std::ranges::any_of(operations, [&](const Operation& operation) {
    const bool deletes =
        operation.kind == Kind::kDelete || (operation.kind == Kind::kWrite && !operation.version);
    return deletes && operation.end < read.begin;
  });
  return deleted ? Wrong::kResurrected : Wrong::kStale;
}

}  // namespace

std::string Describe(const Operation& operation) {
  const auto value = [](Version version) {
    return version ? "v" + std::to_string(*version) : std::string("nothing");
  };
  std::string text = "[" + std::to_string(operation.begin) + "-" + std::to_string(operation.end) +
                     "] " + std::to_string(operation.thread) + " ";
  switch (operation.kind) {
    case Kind::kRead:
      return text + "read " + value(operation.version);
    case Kind::kWrite:
      return text + "wrote " + value(operation.version);
    case Kind::kDelete:
      return text + "deleted " + (operation.was_present ? "something" : "nothing");
  }
  return text;
}

std::optional<LinearizabilityError> CheckKey(std::span<const Operation> operations,
                                             Version before) {
  if (IsLinearizable(operations, before)) return std::nullopt;
  LinearizabilityError error;
  for (const Operation& operation : operations) {
    error.what += (error.what.empty() ? "" : "; ") + Describe(operation);
  }
  std::vector<Operation> others(operations.begin(), operations.end());
  for (std::size_t i = 0; i < operations.size(); ++i) {
    const Operation& read = operations[i];
    if (read.kind != Kind::kRead) continue;
    if (!EverHeld(operations, before, read.version) && read.version) {
      error.wrong = Wrong::kFabricated;
      return error;
    }
    // The read without which everything fits is the wrong one.
    others.erase(others.begin() + static_cast<std::ptrdiff_t>(i));
    if (IsLinearizable(others, before)) {
      error.wrong = Classify(read, operations);
      return error;
    }
    others.insert(others.begin() + static_cast<std::ptrdiff_t>(i), read);
  }
  // Not one read alone: a change whose answer was wrong, or several reads.
  const bool misses = std::ranges::any_of(operations, [](const Operation& operation) {
    return (operation.kind == Kind::kRead && !operation.version) ||
           (operation.kind == Kind::kDelete && !operation.was_present);
  });
  error.wrong = misses ? Wrong::kMissed : Wrong::kStale;
  return error;
}

}  // namespace freyja::torture::schedules
