// A store in memory for tests of the driver, which can be told to misbehave.
#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
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
  kMultiGetShifted,  // answers of one call are in the wrong order
  kBatchTorn,        // the last of a batch is dropped
  kRestartForgets,   // nothing is left after Close and Open
};

class FakePeer final : public Peer {
 public:
  explicit FakePeer(Fault fault = Fault::kNone) : fault_(fault) {}

  Status Open(const OpenParameters&) override {
    if (fault_ == Fault::kRestartForgets) map_.clear();
    return Status::Ok();
  }
  Result<std::unique_ptr<PeerSession>> NewSession() override {
    return std::make_unique<Session>(*this);
  }
  Status Close() override { return Status::Ok(); }

 private:
  class Session final : public PeerSession {
   public:
    explicit Session(FakePeer& peer) : peer_(peer) {}

    Outcome Put(std::string_view key, std::string_view value) override {
      if (peer_.fault_ == Fault::kPutFails) return Fail("disk on fire");
      peer_.Put(key, value);
      return Outcome::kDone;
    }
    Outcome Get(std::string_view key, std::string& value) override { return peer_.Get(key, value); }
    Outcome Delete(std::string_view key) override { return peer_.Delete(key); }
    Outcome MultiGet(std::span<const std::string_view> keys, std::span<Answer> answers) override {
      const Outcome outcome = PeerSession::MultiGet(keys, answers);
      if (peer_.fault_ == Fault::kMultiGetShifted) std::swap(answers.front(), answers.back());
      return outcome;
    }
    Outcome PutBatch(std::span<const KeyValue> entries) override {
      if (peer_.fault_ == Fault::kBatchTorn) entries = entries.first(entries.size() - 1);
      return PeerSession::PutBatch(entries);
    }

   private:
    FakePeer& peer_;
  };

  void Put(std::string_view key, std::string_view value) {
    const std::scoped_lock lock(mutex_);
    if (fault_ == Fault::kLostKey && ++puts_ % 100 == 0) return;
    const auto [entry, is_new] = map_.try_emplace(std::string(key), value);
    if (!is_new && fault_ != Fault::kStaleValue) entry->second = value;
  }

  Outcome Get(std::string_view key, std::string& value) {
    const std::scoped_lock lock(mutex_);
    const auto found = map_.find(std::string(key));
    if (found == map_.end()) {
      return fault_ == Fault::kPhantomKey ? Outcome::kDone : Outcome::kMissing;
    }
    value = fault_ == Fault::kOtherValue ? map_.begin()->second : found->second;
    if (fault_ == Fault::kShortValue) value.pop_back();
    return Outcome::kDone;
  }

  Outcome Delete(std::string_view key) {
    const std::scoped_lock lock(mutex_);
    if (fault_ == Fault::kDeleteIgnored) return Outcome::kDone;
    return map_.erase(std::string(key)) == 1 ? Outcome::kDone : Outcome::kMissing;
  }

  const Fault fault_;
  std::mutex mutex_;
  std::uint64_t puts_ = 0;
  std::unordered_map<std::string, std::string> map_;
};

}  // namespace freyja::bench
