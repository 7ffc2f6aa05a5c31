#include "support/history.h"

#include <algorithm>
#include <cstdio>
#include <set>
#include <utility>

#include "base/bytes.h"
#include "base/crc32c.h"

namespace freyja::support {

namespace {

std::string ChecksumOf(std::string_view text) {
  char hex[9];
  std::snprintf(hex, sizeof(hex), "%08x", base::Crc32c(0, base::AsBytes(text)));
  return hex;
}

void Apply(const Write& write, Contents& contents) {
  for (const Change& change : write) {
    if (change.value) {
      contents.insert_or_assign(change.key, *change.value);
    } else {
      contents.erase(change.key);
    }
  }
}

const std::string* FindIn(const Contents& contents, const std::string& key) {
  const auto entry = contents.find(key);
  return entry == contents.end() ? nullptr : &entry->second;
}

bool DiffersAt(const std::string& key, const Contents& a, const Contents& b) {
  const std::string* const x = FindIn(a, key);
  const std::string* const y = FindIn(b, key);
  if (x == nullptr || y == nullptr) return x != y;
  return *x != *y;
}

std::string Describe(const std::string* value) {
  return value == nullptr ? "nothing" : "'" + value->substr(0, 24) + "'";
}

}  // namespace

std::string MakeValue(std::string_view key, std::uint64_t number, std::size_t bytes) {
  std::string value = std::string(key) + "#" + std::to_string(number) + "#";
  constexpr std::size_t kChecksumDigits = 8;
  while (value.size() + kChecksumDigits < bytes) {
    value += static_cast<char>('a' + (number + value.size()) % 26);
  }
  return value + ChecksumOf(value);
}

bool IsValueOf(std::string_view key, std::string_view value) {
  constexpr std::size_t kChecksumDigits = 8;
  if (value.size() < key.size() + kChecksumDigits) return false;
  const std::size_t end = value.size() - kChecksumDigits;
  return value.starts_with(key) && value[key.size()] == '#' &&
         value.substr(end) == ChecksumOf(value.substr(0, end));
}

void History::Begin(Write write) {
  Apply(write, newest_);
  writes_.push_back(std::move(write));
  begun_.store(writes_.size());
}

void History::MakeDurable() {
  Acknowledge();
  durable_.store(acknowledged_.load());
}

Contents History::StateAfter(std::size_t writes) const {
  Contents state = base_;
  for (std::size_t i = 0; i < writes; ++i) Apply(writes_.at(i), state);
  return state;
}

template <typename Visit>
void History::CompareAll(const Contents& found, Bounds bounds, Visit visit) const {
  Contents state = StateAfter(bounds.at_least);
  std::set<std::string> differing;
  const auto compare = [&](const std::string& key) {
    if (DiffersAt(key, state, found)) {
      differing.insert(key);
    } else {
      differing.erase(key);
    }
  };
  for (const auto& [key, value] : state) compare(key);
  for (const auto& [key, value] : found) compare(key);
  visit(bounds.at_least, differing.size());
  for (std::size_t i = bounds.at_least; i < bounds.at_most; ++i) {
    Apply(writes_.at(i), state);
    for (const Change& change : writes_[i]) compare(change.key);
    visit(i + 1, differing.size());
  }
}

std::optional<std::size_t> History::FindPrefix(const Contents& found, Bounds bounds) const {
  std::optional<std::size_t> prefix;
  CompareAll(found, bounds, [&](std::size_t writes, std::size_t differing) {
    if (differing == 0) prefix = writes;
  });
  return prefix;
}

std::string History::Judge(const Contents& found, Bounds bounds) const {
  for (const auto& [key, value] : found) {
    if (!IsValueOf(key, value)) return "key " + key + " has a value that nobody wrote";
  }
  if (FindPrefix(found, bounds)) return {};
  std::string text = "not the state after any of the first " + std::to_string(bounds.at_least) +
                     " to " + std::to_string(bounds.at_most) + " writes";
  if (const auto elsewhere = FindPrefix(found, {.at_least = 0, .at_most = writes_.size()})) {
    return text + ", but after " + std::to_string(*elsewhere);
  }
  std::size_t nearest = 0;
  std::size_t fewest = SIZE_MAX;
  CompareAll(found, {.at_least = 0, .at_most = writes_.size()},
             [&](std::size_t writes, std::size_t differing) {
               if (differing < fewest) std::tie(nearest, fewest) = std::pair(writes, differing);
             });
  return text + "; nearest is after " + std::to_string(nearest) + ", but " +
         Differences(StateAfter(nearest), found);
}

std::string Differences(const Contents& expected, const Contents& found) {
  constexpr int kShown = 5;
  std::string text;
  int shown = 0;
  const auto compare = [&](const std::string& key) {
    if (!DiffersAt(key, expected, found) || ++shown > kShown) return;
    text += (text.empty() ? "" : "; ") + key + ": expected " + Describe(FindIn(expected, key)) +
            ", found " + Describe(FindIn(found, key));
  };
  for (const auto& [key, value] : expected) compare(key);
  for (const auto& [key, value] : found) {
    if (!expected.contains(key)) compare(key);
  }
  if (shown > kShown) text += "; and " + std::to_string(shown - kShown) + " more";
  return text;
}

}  // namespace freyja::support
