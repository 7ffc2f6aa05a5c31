// LMDB without fsync and with a writable map, the fastest of its modes. Its map never
// grows while it is open, so it gets one that is certainly large enough; the file is
// sparse. A put is a write transaction. The read transaction of a get is renewed, not
// made anew, as LMDB's documentation advises.
#include <fmt/format.h>
#include <lmdb.h>

#include <algorithm>
#include <bit>

#include "../peer.h"

namespace freyja::bench {

namespace {

MDB_val ToVal(std::string_view bytes) {
  // LMDB does not write through the pointers it is given here.
  return {bytes.size(), const_cast<char*>(bytes.data())};
}

Status ToStatus(int code, std::string_view call) {
  if (code == MDB_SUCCESS) return Status::Ok();
  return {StatusCode::kIoError, fmt::format("{}: {}", call, mdb_strerror(code))};
}

class LmdbPeer final : public Peer {
 public:
  ~LmdbPeer() override { Release(); }

  Status Open(const OpenParameters& parameters) override {
    const std::size_t record_bytes = parameters.key_bytes + parameters.value_bytes + 64;
    const std::size_t map_bytes =
        std::max(std::size_t{16} << 30, std::bit_ceil(record_bytes * parameters.writes * 4));
    int code = mdb_env_create(&env_);
    if (code == 0) code = mdb_env_set_mapsize(env_, map_bytes);
    if (code == 0) {
      code = mdb_env_open(env_, parameters.directory.c_str(), MDB_NOSYNC | MDB_WRITEMAP, 0644);
    }
    if (code != 0) return ToStatus(code, "mdb_env_open");

    MDB_txn* txn = nullptr;
    code = mdb_txn_begin(env_, nullptr, 0, &txn);
    if (code == 0) code = mdb_dbi_open(txn, nullptr, 0, &dbi_);
    if (code == 0) code = mdb_txn_commit(txn);
    if (code == 0) code = mdb_txn_begin(env_, nullptr, MDB_RDONLY, &reader_);
    if (code == 0) mdb_txn_reset(reader_);
    return ToStatus(code, "mdb_txn_begin");
  }

  Outcome Put(std::string_view key, std::string_view value) override {
    MDB_val key_val = ToVal(key);
    MDB_val value_val = ToVal(value);
    return Change([&](MDB_txn* txn) { return mdb_put(txn, dbi_, &key_val, &value_val, 0); });
  }

  Outcome Get(std::string_view key, std::string& value) override {
    if (const int code = mdb_txn_renew(reader_); code != 0) return Fail(mdb_strerror(code));
    MDB_val key_val = ToVal(key);
    MDB_val found;
    const int code = mdb_get(reader_, dbi_, &key_val, &found);
    if (code == 0) value.assign(static_cast<const char*>(found.mv_data), found.mv_size);
    mdb_txn_reset(reader_);
    if (code == MDB_NOTFOUND) return Outcome::kMissing;
    return code == 0 ? Outcome::kDone : Fail(mdb_strerror(code));
  }

  Outcome Delete(std::string_view key) override {
    MDB_val key_val = ToVal(key);
    return Change([&](MDB_txn* txn) { return mdb_del(txn, dbi_, &key_val, nullptr); });
  }

  Status Close() override {
    Release();
    return Status::Ok();
  }

 private:
  template <typename Body>
  Outcome Change(Body body) {
    MDB_txn* txn = nullptr;
    int code = mdb_txn_begin(env_, nullptr, 0, &txn);
    if (code != 0) return Fail(mdb_strerror(code));
    code = body(txn);
    if (code != 0) {
      mdb_txn_abort(txn);
      return code == MDB_NOTFOUND ? Outcome::kMissing : Fail(mdb_strerror(code));
    }
    code = mdb_txn_commit(txn);
    return code == 0 ? Outcome::kDone : Fail(mdb_strerror(code));
  }

  void Release() {
    if (reader_ != nullptr) mdb_txn_abort(reader_);
    if (env_ != nullptr) mdb_env_close(env_);
    reader_ = nullptr;
    env_ = nullptr;
  }

  MDB_env* env_ = nullptr;
  MDB_txn* reader_ = nullptr;
  MDB_dbi dbi_ = 0;
};

}  // namespace

PeerKind LmdbKind() {
  return {.id = "lmdb",
          .title =
              fmt::format("LMDB {}.{}.{}", MDB_VERSION_MAJOR, MDB_VERSION_MINOR, MDB_VERSION_PATCH),
          .settings =
              "MDB_NOSYNC | MDB_WRITEMAP, map of 16 GiB or more, one transaction per "
              "operation, read transaction renewed",
          .durability = "process death: every write; power loss: the file may be damaged",
          .make = [] { return std::make_unique<LmdbPeer>(); }};
}

}  // namespace freyja::bench
