#include "torture/crash_states/oracle.h"

#include <algorithm>
#include <set>
#include <span>

#include "base/bytes.h"

namespace freyja::torture {

using io::memory::Hash128;
using support::Bounds;
using support::Contents;

namespace {

const std::string* FindIn(const Contents& contents, const std::string& key) {
  const auto entry = contents.find(key);
  return entry == contents.end() ? nullptr : &entry->second;
}

bool Same(const std::string* a, const std::string* b) {
  return a == nullptr || b == nullptr ? a == b : *a == *b;
}

}  // namespace

Oracle::Oracle(const support::History& history,
               const std::map<std::string, std::uint64_t>& expiries, std::uint64_t clock_ms)
    : history_(history) {
  for (const auto& [value, expiry] : expiries) {
    if (expiry <= clock_ms) expired_.insert(value);
  }
  for (std::size_t writes = 0; writes <= history.begun(); ++writes) {
    Contents state = history.StateAfter(writes);
    std::erase_if(state, [&](const auto& entry) { return expired_.contains(entry.second); });
    std::string text;
    for (const auto& [key, value] : state) {
      text.append(key).push_back('\0');
      text.append(value).push_back('\0');
    }
    hashes_.push_back(io::memory::HashOf(base::AsBytes(text)));
    states_.push_back(std::move(state));
  }
}

Hash128 Oracle::HashOfAllowed(Bounds bounds) const {
  const auto allowed =
      std::span(hashes_).subspan(bounds.at_least, bounds.at_most - bounds.at_least + 1);
  return io::memory::HashOf(std::as_bytes(allowed));
}

Verdict Oracle::Judge(const Contents& found, Bounds bounds) const {
  for (std::size_t writes = bounds.at_most + 1; writes-- > bounds.at_least;) {
    if (states_[writes] == found) return {.wrong = {}, .what = {}, .writes = writes};
  }
  return Classify(found, bounds);
}

// One key by itself: was the value ever its, and may it be again?
std::optional<Wrong> Oracle::ClassifyKey(const std::string& key, const std::string* found,
                                         Bounds bounds) const {
  bool before = false;
  for (std::size_t writes = 0; writes <= bounds.at_most; ++writes) {
    if (!Same(FindIn(states_[writes], key), found)) continue;
    if (writes >= bounds.at_least) return std::nullopt;
    before = true;
  }
  if (found == nullptr) return Wrong::kAcknowledgedLost;
  return before || expired_.contains(*found) ? Wrong::kResurrected : Wrong::kFabricated;
}

Verdict Oracle::Classify(const Contents& found, Bounds bounds) const {
  Verdict verdict;
  verdict.what = history_.Judge(found, bounds);
  for (const auto& [key, value] : found) {
    if (!support::IsValueOf(key, value)) {
      verdict.wrong = Wrong::kFabricated;
      return verdict;
    }
  }
  for (std::size_t writes = 0; writes < bounds.at_least; ++writes) {
    if (states_[writes] == found) {
      verdict.wrong = Wrong::kAcknowledgedLost;
      return verdict;
    }
  }
  std::set<std::string> keys;
  for (const auto& [key, value] : found) keys.insert(key);
  for (const auto& [key, value] : states_[bounds.at_least]) keys.insert(key);
  // Each key may be what it is, but not all at once: unless one of them says more.
  verdict.wrong = Wrong::kHole;
  for (const std::string& key : keys) {
    const auto wrong = ClassifyKey(key, FindIn(found, key), bounds);
    if (!wrong) continue;
    verdict.wrong = wrong;
    if (*wrong == Wrong::kFabricated) break;
  }
  if (verdict.what.empty()) verdict.what = "expired values are not as they should be";
  return verdict;
}

}  // namespace freyja::torture
