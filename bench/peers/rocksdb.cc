// RocksDB with its own defaults, but a large block cache, Bloom filters of 10 bits a key and
// no compression. The write-ahead log stays on, unsynced.
#include <fmt/format.h>
#include <rocksdb/cache.h>
#include <rocksdb/db.h>
#include <rocksdb/filter_policy.h>
#include <rocksdb/options.h>
#include <rocksdb/table.h>
#include <rocksdb/version.h>
#include <rocksdb/write_batch.h>

#include "../peer.h"

namespace freyja::bench {

namespace {

rocksdb::Slice ToSlice(std::string_view bytes) { return {bytes.data(), bytes.size()}; }

Status ToStatus(const rocksdb::Status& status) {
  if (status.ok()) return Status::Ok();
  return {StatusCode::kIoError, status.ToString()};
}

class RocksDbSession final : public PeerSession {
 public:
  RocksDbSession(rocksdb::DB& db, bool sync) : db_(db) { write_options_.sync = sync; }

  Outcome Put(std::string_view key, std::string_view value) override {
    return ToOutcome(db_.Put(write_options_, ToSlice(key), ToSlice(value)));
  }

  Outcome Get(std::string_view key, std::string& value) override {
    const rocksdb::Status status = db_.Get(read_options_, ToSlice(key), &value);
    return status.IsNotFound() ? Outcome::kMissing : ToOutcome(status);
  }

  Outcome Delete(std::string_view key) override {
    return ToOutcome(db_.Delete(write_options_, ToSlice(key)));
  }

  Outcome MultiGet(std::span<const std::string_view> keys, std::span<Answer> answers) override {
    slices_.clear();
    for (const std::string_view key : keys) slices_.push_back(ToSlice(key));
    values_.resize(std::max(values_.size(), keys.size()));
    statuses_.resize(std::max(statuses_.size(), keys.size()));
    db_.MultiGet(read_options_, db_.DefaultColumnFamily(), keys.size(), slices_.data(),
                 values_.data(), statuses_.data());
    for (std::size_t i = 0; i < keys.size(); ++i) {
      answers[i].found = statuses_[i].ok();
      if (answers[i].found) {
        answers[i].value.assign(values_[i].data(), values_[i].size());
      } else if (!statuses_[i].IsNotFound()) {
        return Fail(statuses_[i].ToString());
      }
      values_[i].Reset();
    }
    return Outcome::kDone;
  }

  Outcome PutBatch(std::span<const KeyValue> entries) override {
    batch_.Clear();
    for (const KeyValue& entry : entries) {
      const rocksdb::Status status = batch_.Put(ToSlice(entry.key), ToSlice(entry.value));
      if (!status.ok()) return Fail(status.ToString());
    }
    return ToOutcome(db_.Write(write_options_, &batch_));
  }

 private:
  Outcome ToOutcome(const rocksdb::Status& status) {
    return status.ok() ? Outcome::kDone : Fail(status.ToString());
  }

  rocksdb::DB& db_;
  rocksdb::WriteOptions write_options_;
  const rocksdb::ReadOptions read_options_;
  rocksdb::WriteBatch batch_;
  std::vector<rocksdb::Slice> slices_;
  std::vector<rocksdb::PinnableSlice> values_;
  std::vector<rocksdb::Status> statuses_;
};

class RocksDbPeer final : public Peer {
 public:
  Status Open(const OpenParameters& parameters) override {
    sync_ = parameters.sync_always;
    cache_ = rocksdb::NewLRUCache(parameters.cache_bytes);
    rocksdb::BlockBasedTableOptions table;
    table.block_cache = cache_;
    table.filter_policy.reset(rocksdb::NewBloomFilterPolicy(10));
    rocksdb::Options options;
    options.create_if_missing = true;
    options.compression = rocksdb::kNoCompression;
    options.table_factory.reset(rocksdb::NewBlockBasedTableFactory(table));
    rocksdb::DB* db = nullptr;
    const rocksdb::Status status = rocksdb::DB::Open(options, parameters.directory.string(), &db);
    db_.reset(db);
    return ToStatus(status);
  }

  Result<std::unique_ptr<PeerSession>> NewSession() override {
    return std::make_unique<RocksDbSession>(*db_, sync_);
  }

  Status Close() override {
    const rocksdb::Status status = db_->Close();
    db_.reset();
    return ToStatus(status);
  }

  std::uint64_t CacheBytes() override { return cache_->GetUsage(); }

 private:
  std::shared_ptr<rocksdb::Cache> cache_;
  std::unique_ptr<rocksdb::DB> db_;
  bool sync_ = false;
};

}  // namespace

PeerKind RocksDbKind() {
  return {
      .id = "rocksdb",
      .title = fmt::format("RocksDB {}.{}.{}", ROCKSDB_MAJOR, ROCKSDB_MINOR, ROCKSDB_PATCH),
      .settings =
          "own defaults but a block cache of 2 GiB, or half of --memory-cap, Bloom filters of 10 "
          "bits a key, no compression; MultiGet and WriteBatch",
      .durability = "process death: every write; power loss: the part of the log written back",
      .sync_always = "WriteOptions::sync",
      .survives_kill = true,
      .make = [] { return std::make_unique<RocksDbPeer>(); }};
}

}  // namespace freyja::bench
