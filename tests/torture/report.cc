#include "torture/report.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <ostream>
#include <utility>

namespace freyja::torture {

namespace {

constexpr std::size_t kMostProblems = 20;
constexpr std::array<std::string_view, kWrongKinds> kNames = {
    "acknowledged_lost", "holes",           "resurrected", "fabricated", "missed", "stale",
    "silently_wrong",    "other_violations"};

void AddOnce(std::vector<std::string>& list, std::string text) {
  if (std::ranges::find(list, text) == list.end()) list.push_back(std::move(text));
}

}  // namespace

std::string_view NameOf(Wrong wrong) { return kNames[static_cast<std::size_t>(wrong)]; }

void Report::Count(std::string_view figure, std::uint64_t n) {
  base::MutexLock lock(mutex_);
  const auto found = content_.figures.find(figure);
  if (found != content_.figures.end()) {
    found->second += n;
  } else {
    content_.figures.emplace(figure, n);
  }
}

void Report::Maximum(std::string_view figure, std::uint64_t n) {
  base::MutexLock lock(mutex_);
  std::uint64_t& largest = content_.maxima[std::string(figure)];
  largest = std::max(largest, n);
}

void Report::Violation(Wrong wrong, std::string what) {
  base::MutexLock lock(mutex_);
  ++content_.wrong[static_cast<std::size_t>(wrong)];
  if (content_.problems.size() < kMostProblems) {
    content_.problems.push_back(std::string(NameOf(wrong)) + ": " + std::move(what));
  }
}

void Report::NotModelled(std::string what) {
  base::MutexLock lock(mutex_);
  AddOnce(content_.not_modelled, std::move(what));
}

void Report::Skipped(std::string what) {
  base::MutexLock lock(mutex_);
  AddOnce(content_.skipped, std::move(what));
}

std::uint64_t Report::figure(std::string_view name) const {
  base::MutexLock lock(mutex_);
  for (const auto* figures : {&content_.figures, &content_.maxima}) {
    if (const auto found = figures->find(name); found != figures->end()) return found->second;
  }
  return 0;
}

std::uint64_t Report::violations() const {
  std::uint64_t sum = 0;
  for (const std::uint64_t count : Copy().wrong) sum += count;
  return sum;
}

std::string Report::Problems() const {
  std::string text;
  for (const std::string& problem : Copy().problems) text += problem + "\n";
  return text;
}

Report::Content Report::Copy() const {
  base::MutexLock lock(mutex_);
  return content_;
}

void Report::Merge(const Report& part) {
  Content other = part.Copy();
  base::MutexLock lock(mutex_);
  for (const auto& [name, count] : other.figures) content_.figures[name] += count;
  for (const auto& [name, largest] : other.maxima) {
    content_.maxima[name] = std::max(content_.maxima[name], largest);
  }
  for (std::size_t kind = 0; kind < kWrongKinds; ++kind) content_.wrong[kind] += other.wrong[kind];
  for (std::string& problem : other.problems) {
    if (content_.problems.size() < kMostProblems) content_.problems.push_back(std::move(problem));
  }
  for (std::string& text : other.not_modelled) AddOnce(content_.not_modelled, std::move(text));
  for (std::string& text : other.skipped) AddOnce(content_.skipped, std::move(text));
}

std::string Report::AsJson() const {
  const Content content = Copy();
  nlohmann::ordered_json wrong;
  for (std::size_t kind = 0; kind < kWrongKinds; ++kind) {
    wrong[std::string(kNames[kind])] = content.wrong[kind];
  }
  nlohmann::ordered_json json;
  json["figures"] = content.figures;
  for (const auto& [name, largest] : content.maxima) json["figures"][name] = largest;
  json["must_be_zero"] = std::move(wrong);
  json["problems"] = content.problems;
  json["skipped"] = content.skipped;
  json["not_modelled"] = content.not_modelled;
  return json.dump(2, ' ', false, nlohmann::json::error_handler_t::replace);
}

void Report::Print(std::ostream& out) const {
  const Content content = Copy();
  const auto line = [&](std::string_view name, std::uint64_t value) {
    out << "  " << name << std::string(name.size() < 40 ? 40 - name.size() : 1, ' ') << value
        << '\n';
  };
  for (const auto& [name, count] : content.figures) line(name, count);
  for (const auto& [name, largest] : content.maxima) line(name, largest);
  out << "must be zero\n";
  for (std::size_t kind = 0; kind < kWrongKinds; ++kind) line(kNames[kind], content.wrong[kind]);
  for (const std::string& problem : content.problems) out << "  VIOLATION " << problem << '\n';
  for (const std::string& text : content.skipped) out << "  skipped: " << text << '\n';
  for (const std::string& text : content.not_modelled) out << "  not modelled: " << text << '\n';
}

}  // namespace freyja::torture
