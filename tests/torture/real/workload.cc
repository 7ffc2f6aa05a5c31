#include "torture/real/workload.h"

#include <algorithm>
#include <map>
#include <numeric>
#include <utility>

#include "support/test_settings.h"

namespace freyja::torture::real {

using support::Contents;
using support::Dice;

namespace {

std::string PrefixOf(std::uint64_t writer) { return "w" + std::to_string(writer) + "/"; }

Dice DiceOf(const Shape& shape, std::uint64_t writer, std::uint64_t number) {
  return Dice((shape.seed * 0x9e3779b97f4a7c15ULL) ^ (writer << 56) ^
              (number * 0xd1b54a32d192ed03ULL));
}

std::vector<Contents> SplitByWriter(const Contents& contents, std::uint64_t writers) {
  std::vector<Contents> split(writers);
  for (const auto& [key, value] : contents) {
    for (std::uint64_t writer = 0; writer < writers; ++writer) {
      if (key.starts_with(PrefixOf(writer))) split[writer].emplace(key, value);
    }
  }
  return split;
}

bool Holds(const std::vector<std::optional<std::string>>& values,
           const std::optional<std::string>& value) {
  return std::ranges::find(values, value) != values.end();
}

}  // namespace

support::Write WriteOf(const Shape& shape, std::uint64_t writer, std::uint64_t number) {
  Dice dice = DiceOf(shape, writer, number);
  const std::uint64_t changes = dice.OneIn(6) ? dice.Between(2, 6) : 1;
  support::Write write;
  for (std::uint64_t i = 0; i < changes; ++i) {
    std::string key = PrefixOf(writer) + std::to_string(dice.Below(shape.keys));
    if (dice.OneIn(4)) {
      write.push_back({std::move(key), std::nullopt});
      continue;
    }
    // Several large ones might not fit in the smallest segment together.
    const bool large = changes == 1 && dice.OneIn(12);
    const std::uint64_t bytes = large ? shape.value_bytes * 5 : shape.value_bytes;
    std::string value = support::MakeValue(key, number, dice.Between(20, bytes));
    write.push_back({std::move(key), std::move(value)});
  }
  return write;
}

bool AsksForSync(const Shape& shape, std::uint64_t writer, std::uint64_t number) {
  return DiceOf(shape, writer + 100, number).OneIn(5);
}

Ledger::Ledger(const Shape& shape, const Contents& base, std::uint64_t first)
    : shape_(shape),
      first_(first),
      acknowledged_(shape.writers, 0),
      durable_(shape.writers, 0),
      seen_(shape.writers, Floor(shape.writers, 0)) {
  // Histories can't be moved: the vector takes its size at once.
  std::vector<Contents> split = SplitByWriter(base, shape.writers);
  histories_ = std::vector<support::History>(split.begin(), split.end());
  for (std::uint64_t writer = 0; writer < shape.writers; ++writer) {
    histories_[writer].Begin(WriteOf(shape, writer, first));
  }
}

void Ledger::Returned(std::uint64_t writer, std::uint64_t number, bool durable) {
  acknowledged_.at(writer) = number - first_ + 1;
  histories_[writer].Begin(WriteOf(shape_, writer, number + 1));
  if (durable) BecameDurable(writer);
  seen_[writer] = acknowledged_;
}

void Ledger::Synced(std::uint64_t writer) {
  BecameDurable(writer);
  seen_[writer] = acknowledged_;
}

void Ledger::BecameDurable(std::uint64_t writer) {
  for (std::uint64_t other = 0; other < shape_.writers; ++other) {
    durable_[other] = std::max(durable_[other], seen_[writer][other]);
  }
  durable_[writer] = acknowledged_[writer];
}

std::size_t Ledger::total_acknowledged() const {
  return std::accumulate(acknowledged_.begin(), acknowledged_.end(), std::size_t{0});
}

std::optional<Finding> Ledger::Judge(const Contents& found, const Floor& floor) const {
  const std::vector<Contents> split = SplitByWriter(found, shape_.writers);
  std::size_t owned = 0;
  for (std::uint64_t writer = 0; writer < shape_.writers; ++writer) {
    const support::History& history = histories_[writer];
    owned += split[writer].size();
    std::string problem = history.Judge(
        split[writer], {.at_least = floor.at(writer), .at_most = acknowledged_[writer] + 1});
    if (!problem.empty()) return Classify(writer, split[writer], floor[writer], std::move(problem));
  }
  if (owned != found.size()) return Finding{Wrong::kFabricated, "a key that nobody wrote"};
  return std::nullopt;
}

// Judges key by key: is what was found something that the key never held, or held too early?
// If each key for itself is as it may be, then it is the whole that was torn.
Finding Ledger::Classify(std::uint64_t writer, const Contents& found, std::size_t floor,
                         std::string what) const {
  what = "writer " + std::to_string(writer) + ": " + what;
  const support::History& history = histories_[writer];
  const auto value_in = [](const Contents& contents, const std::string& key) {
    const auto entry = contents.find(key);
    return entry == contents.end() ? std::nullopt : std::optional(entry->second);
  };
  const Contents base = history.StateAfter(0);
  const Contents at_floor = history.StateAfter(floor);
  // What each key may be, and all that it ever was.
  std::map<std::string, std::vector<std::optional<std::string>>> may_be;
  std::map<std::string, std::vector<std::optional<std::string>>> ever;
  for (std::size_t i = 0; i <= acknowledged_[writer]; ++i) {
    for (const support::Change& change : WriteOf(shape_, writer, first_ + i)) {
      ever[change.key].push_back(change.value);
      if (i >= floor) may_be[change.key].push_back(change.value);
    }
  }
  Contents keys = found;
  keys.insert(base.begin(), base.end());
  for (const auto& [key, values] : ever) keys.emplace(key, std::string());
  Finding finding{Wrong::kHole, what};
  for (const auto& [key, unused] : keys) {
    const auto value = value_in(found, key);
    if (value == value_in(at_floor, key) || Holds(may_be[key], value)) continue;
    if (value && value != value_in(base, key) && !Holds(ever[key], value)) {
      return {Wrong::kFabricated, what};
    }
    finding.wrong =
        value && !value_in(at_floor, key) ? Wrong::kResurrected : Wrong::kAcknowledgedLost;
  }
  return finding;
}

}  // namespace freyja::torture::real
