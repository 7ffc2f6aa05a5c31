// The history of one schedule: who did what to which key, and when.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "torture/schedules/explorer.h"
#include "torture/schedules/linearizability.h"

namespace freyja::torture::schedules {

// Not thread-safe: controlled threads share one thread of the system.
class Recorder {
 public:
  // An instant; later ones are greater.
  std::uint64_t Now() { return ++now_; }
  // What the key holds before the schedule begins.
  void Starts(const std::string& key, Version version) { keys_[key].before = version; }
  void Add(const std::string& key, const Operation& operation) {
    keys_[key].operations.push_back(operation);
  }
  // Anything else that went wrong; the first text of a kind is enough.
  void Wrongly(Wrong wrong, std::string what) {
    if (findings_.size() < 8) findings_.push_back({wrong, std::move(what)});
  }

  const std::vector<std::string> Keys() const {
    std::vector<std::string> keys;
    for (const auto& [key, history] : keys_) keys.push_back(key);
    return keys;
  }
  std::vector<Finding> Judge() const {
    std::vector<Finding> findings = findings_;
    for (const auto& [key, history] : keys_) {
      if (auto error = CheckKey(history.operations, history.before)) {
        findings.push_back({error->wrong, "key " + key + ": " + error->what});
      }
    }
    return findings;
  }

 private:
  struct KeyHistory {
    Version before;
    std::vector<Operation> operations;
  };
  std::uint64_t now_ = 0;
  std::map<std::string, KeyHistory> keys_;
  std::vector<Finding> findings_;
};

}  // namespace freyja::torture::schedules
