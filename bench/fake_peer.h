// A store in memory for tests of the driver, which can be told to misbehave.
#pragma once

#include <cstdint>
#include <string>
#include <unordered_map>

#include "peer.h"

namespace freyja::bench {

enum class Fault : std::uint8_t {
  kNone,
  kShortValue,  // values come back one byte short
  kOtherValue,  // a get returns another key's value
  kStaleValue,  // overwrites are dropped
  kLostKey,     // one key in a hundred is never stored
  kPhantomKey,  // missing keys are found
  kDeleteIgnored,
  kPutFails,
};

class FakePeer final : public Peer {
 public:
  explicit FakePeer(Fault fault = Fault::kNone) : fault_(fault) {}

  Status Open(const OpenParameters&) override { return Status::Ok(); }
  Status Close() override { return Status::Ok(); }

  Outcome Put(std::string_view key, std::string_view value) override {
    if (fault_ == Fault::kPutFails) return Fail("disk on fire");
    if (fault_ == Fault::kLostKey && ++puts_ % 100 == 0) return Outcome::kDone;
    const auto [entry, is_new] = map_.try_emplace(std::string(key), value);
    if (!is_new && fault_ != Fault::kStaleValue) entry->second = value;
    return Outcome::kDone;
  }

  Outcome Get(std::string_view key, std::string& value) override {
    const auto found = map_.find(std::string(key));
    if (found == map_.end()) {
      return fault_ == Fault::kPhantomKey ? Outcome::kDone : Outcome::kMissing;
    }
    value = fault_ == Fault::kOtherValue ? map_.begin()->second : found->second;
    if (fault_ == Fault::kShortValue) value.pop_back();
    return Outcome::kDone;
  }

  Outcome Delete(std::string_view key) override {
    if (fault_ == Fault::kDeleteIgnored) return Outcome::kDone;
    return map_.erase(std::string(key)) == 1 ? Outcome::kDone : Outcome::kMissing;
  }

 private:
  const Fault fault_;
  std::uint64_t puts_ = 0;
  std::unordered_map<std::string, std::string> map_;
};

}  // namespace freyja::bench
