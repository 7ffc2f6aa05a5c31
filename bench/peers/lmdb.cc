// LMDB without fsync and with a writable map, the fastest of its modes. Its map never
// grows while it is open, so it gets one that is certainly large enough; the file is
// sparse. A put is a write transaction. The read transaction of a get is renewed, not
// made anew, as LMDB's documentation advises. MDB_NOTLS ties reader slots to sessions
// rather than to threads. Synced at every commit it runs with no flags, its own default.
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

class LmdbSession final : public PeerSession {
 public:
  // Takes `reader`, a read transaction that was reset.
  LmdbSession(MDB_env* env, MDB_dbi dbi, MDB_txn* reader) : env_(env), dbi_(dbi), reader_(reader) {}
  ~LmdbSession() override { mdb_txn_abort(reader_); }

  Outcome Put(std::string_view key, std::string_view value) override {
    const KeyValue entry = {key, value};
    return PutBatch({&entry, 1});
  }

  Outcome Get(std::string_view key, std::string& value) override {
    if (const int code = mdb_txn_renew(reader_); code != 0) return Fail(mdb_strerror(code));
    const int code = Find(key, value);
    mdb_txn_reset(reader_);
    if (code == MDB_NOTFOUND) return Outcome::kMissing;
    return code == 0 ? Outcome::kDone : Fail(mdb_strerror(code));
  }

  Outcome Delete(std::string_view key) override {
    MDB_val key_val = ToVal(key);
    return Change([&](MDB_txn* txn) { return mdb_del(txn, dbi_, &key_val, nullptr); });
  }

  Outcome MultiGet(std::span<const std::string_view> keys, std::span<Answer> answers) override {
    int code = mdb_txn_renew(reader_);
    if (code != 0) return Fail(mdb_strerror(code));
    for (std::size_t i = 0; i < keys.size(); ++i) {
      code = Find(keys[i], answers[i].value);
      answers[i].found = code == 0;
      if (code != 0 && code != MDB_NOTFOUND) break;
      code = 0;
    }
    mdb_txn_reset(reader_);
    return code == 0 ? Outcome::kDone : Fail(mdb_strerror(code));
  }

  Outcome PutBatch(std::span<const KeyValue> entries) override {
    return Change([&](MDB_txn* txn) {
      int code = 0;
      for (const KeyValue& entry : entries) {
        MDB_val key_val = ToVal(entry.key);
        MDB_val value_val = ToVal(entry.value);
        code = mdb_put(txn, dbi_, &key_val, &value_val, 0);
        if (code != 0) break;
      }
      return code;
    });
  }

 private:
  int Find(std::string_view key, std::string& value) {
    MDB_val key_val = ToVal(key);
    MDB_val found;
    const int code = mdb_get(reader_, dbi_, &key_val, &found);
    if (code == 0) value.assign(static_cast<const char*>(found.mv_data), found.mv_size);
    return code;
  }

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

  MDB_env* const env_;
  const MDB_dbi dbi_;
  MDB_txn* const reader_;
};

class LmdbPeer final : public Peer {
 public:
  ~LmdbPeer() override { Release(); }

  Status Open(const OpenParameters& parameters) override {
    const std::size_t record_bytes = parameters.key_bytes + parameters.value_bytes + 64;
    const std::size_t map_bytes =
        std::max(std::size_t{16} << 30, std::bit_ceil(record_bytes * parameters.writes * 4));
    const unsigned flags = parameters.sync_always ? 0U : MDB_NOSYNC | MDB_WRITEMAP;
    int code = mdb_env_create(&env_);
    if (code == 0) code = mdb_env_set_mapsize(env_, map_bytes);
    if (code == 0) {
      code = mdb_env_open(env_, parameters.directory.c_str(), flags | MDB_NOTLS, 0644);
    }
    if (code != 0) return ToStatus(code, "mdb_env_open");

    MDB_txn* txn = nullptr;
    code = mdb_txn_begin(env_, nullptr, 0, &txn);
    if (code == 0) code = mdb_dbi_open(txn, nullptr, 0, &dbi_);
    if (code == 0) code = mdb_txn_commit(txn);
    return ToStatus(code, "mdb_dbi_open");
  }

  Result<std::unique_ptr<PeerSession>> NewSession() override {
    MDB_txn* reader = nullptr;
    if (const int code = mdb_txn_begin(env_, nullptr, MDB_RDONLY, &reader); code != 0) {
      return std::unexpected(ToStatus(code, "mdb_txn_begin"));
    }
    mdb_txn_reset(reader);
    return std::make_unique<LmdbSession>(env_, dbi_, reader);
  }

  Status Close() override {
    Release();
    return Status::Ok();
  }

 private:
  void Release() {
    if (env_ != nullptr) mdb_env_close(env_);
    env_ = nullptr;
  }

  MDB_env* env_ = nullptr;
  MDB_dbi dbi_ = 0;
};

}  // namespace

PeerKind LmdbKind() {
  return {.id = "lmdb",
          .title =
              fmt::format("LMDB {}.{}.{}", MDB_VERSION_MAJOR, MDB_VERSION_MINOR, MDB_VERSION_PATCH),
          .settings =
              "MDB_NOSYNC | MDB_WRITEMAP | MDB_NOTLS, map of 16 GiB or more, one transaction per "
              "operation or batch, read transaction renewed",
          .durability = "process death: every write; power loss: the file may be damaged",
          .sync_always = "no MDB_NOSYNC and no MDB_WRITEMAP: its own default",
          .survives_kill = true,
          .make = [] { return std::make_unique<LmdbPeer>(); }};
}

}  // namespace freyja::bench
