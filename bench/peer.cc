#include "peer.h"

namespace freyja::bench {

Outcome PeerSession::MultiGet(std::span<const std::string_view> keys, std::span<Answer> answers) {
  for (std::size_t i = 0; i < keys.size(); ++i) {
    const Outcome outcome = Get(keys[i], answers[i].value);
    if (outcome == Outcome::kFailed) return outcome;
    answers[i].found = outcome == Outcome::kDone;
  }
  return Outcome::kDone;
}

Outcome PeerSession::PutBatch(std::span<const KeyValue> entries) {
  for (const KeyValue& entry : entries) {
    const Outcome outcome = Put(entry.key, entry.value);
    if (outcome != Outcome::kDone) return outcome;
  }
  return Outcome::kDone;
}

}  // namespace freyja::bench
