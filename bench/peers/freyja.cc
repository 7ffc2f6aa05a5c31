// FreyjaDB with its own defaults, except that nothing is synced, as for all others, and that it
// can be looked at while it runs.
#include "freyja/freyja.h"

#include "../peer.h"

namespace freyja::bench {

namespace {

class FreyjaPeer final : public Peer {
 public:
  Status Open(const OpenParameters& parameters) override {
    auto opened =
        KVStore::Open(parameters.directory / "store",
                      {.create_if_missing = true, .sync = Sync::kNone, .control_socket = true});
    if (!opened) return opened.error();
    store_ = *std::move(opened);
    return Status::Ok();
  }

  Outcome Put(std::string_view key, std::string_view value) override {
    const Status status = store_->Put(key, value);
    return status.ok() ? Outcome::kDone : Fail(status.ToString());
  }

  Outcome Get(std::string_view key, std::string& value) override {
    const Result<bool> found = store_->Get(key, value);
    if (!found) return Fail(found.error().ToString());
    return *found ? Outcome::kDone : Outcome::kMissing;
  }

  Outcome Delete(std::string_view key) override {
    const Result<bool> found = store_->Delete(key);
    if (!found) return Fail(found.error().ToString());
    return *found ? Outcome::kDone : Outcome::kMissing;
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
  return {.id = "freyja",
          .title = "FreyjaDB",
          .settings = "sync none; every value's CRC-32C verified on every get",
          .durability = "process death: every write; power loss: the prefix last synced",
          .make = [] { return std::make_unique<FreyjaPeer>(); }};
}

}  // namespace freyja::bench
