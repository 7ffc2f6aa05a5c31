// Tkrzw's HashDBM on its default memory-mapped file, in both update modes. Its documentation
// asks for more buckets than records; everything else is left at the defaults, so records carry
// no CRC. GetMulti and SetMulti are loops over Get and Set that fill a std::map besides, so the
// plain loops stand for them.
#include <fmt/format.h>
#include <tkrzw_dbm_hash.h>
#include <tkrzw_lib_common.h>

#include <algorithm>

#include "../peer.h"

namespace freyja::bench {

namespace {

using tkrzw::HashDBM;

Status ToStatus(const tkrzw::Status& status) {
  if (status.IsOK()) return Status::Ok();
  return {StatusCode::kIoError, tkrzw::ToString(status)};
}

class TkrzwSession final : public PeerSession {
 public:
  TkrzwSession(HashDBM& dbm, bool sync) : dbm_(dbm), sync_(sync) {}

  Outcome Put(std::string_view key, std::string_view value) override {
    const tkrzw::Status status = dbm_.Set(key, value);
    return ToOutcome(sync_ && status.IsOK() ? dbm_.Synchronize(true) : status);
  }
  Outcome Get(std::string_view key, std::string& value) override {
    return ToOutcome(dbm_.Get(key, &value));
  }
  Outcome Delete(std::string_view key) override { return ToOutcome(dbm_.Remove(key)); }

 private:
  Outcome ToOutcome(const tkrzw::Status& status) {
    if (status.IsOK()) return Outcome::kDone;
    if (status == tkrzw::Status::NOT_FOUND_ERROR) return Outcome::kMissing;
    return Fail(tkrzw::ToString(status));
  }

  HashDBM& dbm_;
  const bool sync_;
};

class TkrzwPeer final : public Peer {
 public:
  explicit TkrzwPeer(HashDBM::UpdateMode mode) : mode_(mode) {}

  Status Open(const OpenParameters& parameters) override {
    sync_ = parameters.sync_always;
    HashDBM::TuningParameters tuning;
    tuning.update_mode = mode_;
    tuning.num_buckets =
        std::max(HashDBM::DEFAULT_NUM_BUCKETS, static_cast<std::int64_t>(parameters.keys * 2));
    return ToStatus(dbm_.OpenAdvanced((parameters.directory / "store.tkh").string(), true,
                                      tkrzw::File::OPEN_DEFAULT, tuning));
  }
  Result<std::unique_ptr<PeerSession>> NewSession() override {
    return std::make_unique<TkrzwSession>(dbm_, sync_);
  }
  Status Close() override { return ToStatus(dbm_.Close()); }

 private:
  const HashDBM::UpdateMode mode_;
  HashDBM dbm_;
  bool sync_ = false;
};

PeerKind Kind(std::string id, std::string_view mode_name, HashDBM::UpdateMode mode) {
  return {.id = std::move(id),
          .title = fmt::format("Tkrzw {} {}", tkrzw::PACKAGE_VERSION, mode_name),
          .settings = fmt::format(
              "HashDBM, {}, 2 buckets a key, own defaults otherwise (no CRC); MultiGet and "
              "batches are loops, as its own are",
              mode_name),
          .durability = mode == HashDBM::UPDATE_APPENDING
                            ? "process death: writes found by a restoring scan; power loss: none "
                              "promised"
                            : "process death: restored as far as the file allows; power loss: "
                              "none promised",
          .sync_always = "Synchronize(hard) after every put: it has no log to sync instead",
          .make = [mode] { return std::make_unique<TkrzwPeer>(mode); }};
}

}  // namespace

PeerKind TkrzwAppendingKind() { return Kind("tkrzw", "appending", HashDBM::UPDATE_APPENDING); }
PeerKind TkrzwInPlaceKind() { return Kind("tkrzw-inplace", "in place", HashDBM::UPDATE_IN_PLACE); }

}  // namespace freyja::bench
