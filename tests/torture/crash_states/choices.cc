#include "torture/crash_states/choices.h"

#include <algorithm>
#include <limits>
#include <utility>
#include <vector>

namespace freyja::torture {

using Choice = io::CrashStates::Choice;
using support::Dice;

namespace {

void VisitAll(const std::vector<std::uint32_t>& alternatives, const VisitChoice& visit) {
  Choice choice(alternatives.size(), 0);
  for (;;) {
    visit(choice);
    std::size_t at = 0;
    while (at < choice.size() && ++choice[at] == alternatives[at]) choice[at++] = 0;
    if (at == choice.size()) return;
  }
}

// A sample of the states of one boundary, in the order of what they are likely to find.
class Sample {
 public:
  Sample(const std::vector<std::uint32_t>& alternatives, std::uint64_t most, Dice& dice,
         const VisitChoice& visit)
      : alternatives_(alternatives), left_(most), dice_(dice), visit_(visit) {
    for (std::size_t i = 0; i < alternatives.size(); ++i) newest_.push_back(alternatives[i] - 1);
  }

  void Take(const io::CrashStates& states, io::CrashProfile profile) {
    const Choice none(alternatives_.size(), 0);
    visit_(none);
    visit_(newest_);
    left_ -= std::min<std::uint64_t>(left_, 2);
    std::vector<Choice> choices;
    for (const std::uint64_t time : states.Times(profile)) {
      choices.push_back(states.AsOf(profile, time));
    }
    VisitSome(choices);
    for (const Choice& base : {newest_, none}) AddChanged(base, choices);
    VisitSome(choices);
    for (std::uint64_t i = left_ / 2; i > 0; --i) {
      const Choice& base = dice_.OneIn(2) ? newest_ : none;
      Choice choice = base;
      for (int change = 0; change < 2; ++change) Change(base, dice_.Below(choice.size()), choice);
      choices.push_back(std::move(choice));
    }
    VisitSome(choices);
    while (left_ > 0) {
      // Sparse, dense and even ones.
      const std::uint64_t weight = 1 + dice_.Below(7);
      Choice choice = newest_;
      for (std::size_t i = 0; i < choice.size(); ++i) {
        if (dice_.Below(8) >= weight) {
          choice[i] = static_cast<std::uint32_t>(dice_.Below(alternatives_[i]));
        }
      }
      visit_(choice);
      --left_;
    }
  }

 private:
  // Another alternative of choice `i` than that in `base`.
  void Change(const Choice& base, std::size_t i, Choice& choice) {
    const auto other = static_cast<std::uint32_t>(dice_.Below(alternatives_[i] - 1));
    choice[i] = other >= base[i] ? other + 1 : other;
  }

  // For each choice each other alternative.
  void AddChanged(const Choice& base, std::vector<Choice>& choices) const {
    for (std::size_t i = 0; i < base.size(); ++i) {
      for (std::uint32_t other = 0; other < alternatives_[i]; ++other) {
        if (other == base[i]) continue;
        choices.push_back(base);
        choices.back()[i] = other;
      }
    }
  }

  // At most half of what is left, so that something stays for the rarer kinds.
  void VisitSome(std::vector<Choice>& choices) {
    const std::uint64_t count = std::min<std::uint64_t>(choices.size(), left_ - left_ / 2);
    for (std::uint64_t i = 0; i < count; ++i) {
      std::swap(choices[i], choices[i + dice_.Below(choices.size() - i)]);
      visit_(choices[i]);
    }
    left_ -= count;
    choices.clear();
  }

  const std::vector<std::uint32_t>& alternatives_;
  std::uint64_t left_;
  Dice& dice_;
  const VisitChoice& visit_;
  Choice newest_;
};

}  // namespace

std::uint64_t CountChoices(const std::vector<std::uint32_t>& alternatives) {
  std::uint64_t product = 1;
  for (const std::uint32_t count : alternatives) {
    if (product > std::numeric_limits<std::uint64_t>::max() / count) {
      return std::numeric_limits<std::uint64_t>::max();
    }
    product *= count;
  }
  return product;
}

bool VisitChoices(const io::CrashStates& states, io::CrashProfile profile, const Effort& effort,
                  Dice& dice, const VisitChoice& visit) {
  const std::vector<std::uint32_t> alternatives = states.Alternatives(profile);
  if (CountChoices(alternatives) <= std::max<std::uint64_t>(effort.exhaustive_limit, 1)) {
    VisitAll(alternatives, visit);
    return true;
  }
  Sample(alternatives, effort.sampled, dice, visit).Take(states, profile);
  return false;
}

}  // namespace freyja::torture
