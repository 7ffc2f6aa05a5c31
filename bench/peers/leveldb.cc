// LevelDB with its own defaults, but a large block cache, Bloom filters of 10 bits a key and
// no compression. Its write-ahead log stays unsynced, as is its default.
#include <fmt/format.h>
#include <leveldb/cache.h>
#include <leveldb/db.h>
#include <leveldb/filter_policy.h>
#include <leveldb/options.h>
#include <leveldb/write_batch.h>

#include "../peer.h"

namespace freyja::bench {

namespace {

leveldb::Slice ToSlice(std::string_view bytes) { return {bytes.data(), bytes.size()}; }

class LevelDbSession final : public PeerSession {
 public:
  LevelDbSession(leveldb::DB& db, bool sync) : db_(db) { write_options_.sync = sync; }

  Outcome Put(std::string_view key, std::string_view value) override {
    return ToOutcome(db_.Put(write_options_, ToSlice(key), ToSlice(value)));
  }

  Outcome Get(std::string_view key, std::string& value) override {
    const leveldb::Status status = db_.Get(read_options_, ToSlice(key), &value);
    return status.IsNotFound() ? Outcome::kMissing : ToOutcome(status);
  }

  Outcome Delete(std::string_view key) override {
    return ToOutcome(db_.Delete(write_options_, ToSlice(key)));
  }

  Outcome PutBatch(std::span<const KeyValue> entries) override {
    batch_.Clear();
    for (const KeyValue& entry : entries) batch_.Put(ToSlice(entry.key), ToSlice(entry.value));
    return ToOutcome(db_.Write(write_options_, &batch_));
  }

 private:
  Outcome ToOutcome(const leveldb::Status& status) {
    return status.ok() ? Outcome::kDone : Fail(status.ToString());
  }

  leveldb::DB& db_;
  leveldb::WriteOptions write_options_;
  const leveldb::ReadOptions read_options_;
  leveldb::WriteBatch batch_;
};

class LevelDbPeer final : public Peer {
 public:
  Status Open(const OpenParameters& parameters) override {
    sync_ = parameters.sync_always;
    cache_.reset(leveldb::NewLRUCache(parameters.cache_bytes));
    leveldb::Options options;
    options.create_if_missing = true;
    options.compression = leveldb::kNoCompression;
    options.block_cache = cache_.get();
    options.filter_policy = filter_.get();
    leveldb::DB* db = nullptr;
    const leveldb::Status status = leveldb::DB::Open(options, parameters.directory.string(), &db);
    db_.reset(db);
    if (!status.ok()) return {StatusCode::kIoError, status.ToString()};
    return Status::Ok();
  }

  Result<std::unique_ptr<PeerSession>> NewSession() override {
    return std::make_unique<LevelDbSession>(*db_, sync_);
  }

  Status Close() override {
    db_.reset();
    return Status::Ok();
  }

  std::uint64_t CacheBytes() override { return cache_->TotalCharge(); }

 private:
  // Used by the database, so declared before it.
  std::unique_ptr<leveldb::Cache> cache_;
  std::unique_ptr<const leveldb::FilterPolicy> filter_{leveldb::NewBloomFilterPolicy(10)};
  std::unique_ptr<leveldb::DB> db_;
  bool sync_ = false;
};

}  // namespace

PeerKind LevelDbKind() {
  return {
      .id = "leveldb",
      .title = fmt::format("LevelDB {}.{}", leveldb::kMajorVersion, leveldb::kMinorVersion),
      .settings =
          "own defaults but a block cache of 2 GiB, or half of --memory-cap, Bloom filters of 10 "
          "bits a key, no compression; WriteBatch; it has no MultiGet, so one Get for each key",
      .durability = "process death: every write; power loss: the part of the log written back",
      .sync_always = "WriteOptions::sync",
      .survives_kill = true,
      .make = [] { return std::make_unique<LevelDbPeer>(); }};
}

}  // namespace freyja::bench
