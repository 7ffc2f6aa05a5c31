// FreyjaDB with its own defaults, except that nothing is synced, as for all others, that it can be
// looked at while it runs, and what a ceiling on space asks for.
#include "freyja/freyja.h"

#include <utility>

#include "../peer.h"

namespace freyja::bench {

namespace {

class FreyjaSession final : public PeerSession {
 public:
  explicit FreyjaSession(KVStore& store) : store_(store) {}

  Outcome Put(std::string_view key, std::string_view value) override {
    return ToOutcome(store_.Put(key, value));
  }

  Outcome Get(std::string_view key, std::string& value) override {
    return ToOutcome(store_.Get(key, value));
  }

  Outcome Delete(std::string_view key) override { return ToOutcome(store_.Delete(key)); }

  Outcome MultiGet(std::span<const std::string_view> keys, std::span<Answer> answers) override {
    if (values_.size() < keys.size()) values_.resize(keys.size());
    const std::vector<Result<bool>> found =
        store_.MultiGet(keys, std::span(values_).first(keys.size()));
    for (std::size_t i = 0; i < keys.size(); ++i) {
      if (!found[i]) return Fail(found[i].error().ToString());
      answers[i].found = *found[i];
      answers[i].value.swap(values_[i]);
    }
    return Outcome::kDone;
  }

  Outcome PutBatch(std::span<const KeyValue> entries) override {
    batch_.Clear();
    for (const KeyValue& entry : entries) batch_.Put(entry.key, entry.value);
    return ToOutcome(store_.Write(batch_));
  }

 private:
  Outcome ToOutcome(const Status& status) {
    return status.ok() ? Outcome::kDone : Fail(status.ToString());
  }
  Outcome ToOutcome(const Result<bool>& found) {
    if (!found) return Fail(found.error().ToString());
    return *found ? Outcome::kDone : Outcome::kMissing;
  }

  KVStore& store_;
  std::vector<std::string> values_;
  WriteBatch batch_;
};

// Above its own ceiling FreyjaDB slows writers down more and more, so that it ends up to a tenth
// above it when they never rest.
constexpr double kShareOfCeiling = 0.92;
// The log, up to five segments that are not compacted, counts as well.
constexpr std::uint64_t kSegmentBytesBelowCeiling = std::uint64_t{32} << 20;

class FreyjaPeer final : public Peer {
 public:
  Status Open(const OpenParameters& parameters) override {
    Options options = {.create_if_missing = true,
                       .sync = parameters.sync_always ? Sync::kAlways : Sync::kNone,
                       .control_socket = true};
    if (parameters.space_ceiling != 0) {
      options.scheduler.limits.space_ceiling = kShareOfCeiling * parameters.space_ceiling;
      options.segment_bytes = kSegmentBytesBelowCeiling;
    }
    auto opened = KVStore::Open(parameters.directory / "store", options);
    if (!opened) return opened.error();
    store_ = *std::move(opened);
    return Status::Ok();
  }

  Result<std::unique_ptr<PeerSession>> NewSession() override {
    return std::make_unique<FreyjaSession>(*store_);
  }

  Status Close() override {
    const Status status = store_->Close();
    store_.reset();
    return status;
  }

 private:
  std::unique_ptr<KVStore> store_;
};

}  // namespace

PeerKind FreyjaKind() {
  return {
      .id = "freyja",
      .title = "FreyjaDB",
      .settings = "sync none; every value's CRC-32C verified on every get; MultiGet and WriteBatch",
      .durability = "process death: every write; power loss: the prefix last synced",
      .sync_always = "Sync::kAlways",
      .survives_kill = true,
      .opening_aids = {".hint", "INDEX"},
      .make = [] { return std::make_unique<FreyjaPeer>(); }};
}

}  // namespace freyja::bench
