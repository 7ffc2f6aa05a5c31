// RocksDB with its own defaults, but a 2 GiB block cache, Bloom filters of 10 bits a key and
// no compression. The write-ahead log stays on, unsynced.
#include <fmt/format.h>
#include <rocksdb/cache.h>
#include <rocksdb/db.h>
#include <rocksdb/filter_policy.h>
#include <rocksdb/options.h>
#include <rocksdb/table.h>
#include <rocksdb/version.h>

#include "../peer.h"

namespace freyja::bench {

namespace {

constexpr std::size_t kBlockCacheBytes = std::size_t{2} << 30;

rocksdb::Slice ToSlice(std::string_view bytes) { return {bytes.data(), bytes.size()}; }

Status ToStatus(const rocksdb::Status& status) {
  if (status.ok()) return Status::Ok();
  return {StatusCode::kIoError, status.ToString()};
}

class RocksDbPeer final : public Peer {
 public:
  Status Open(const OpenParameters& parameters) override {
    rocksdb::BlockBasedTableOptions table;
    table.block_cache = rocksdb::NewLRUCache(kBlockCacheBytes);
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

  Outcome Put(std::string_view key, std::string_view value) override {
    const rocksdb::Status status = db_->Put(write_options_, ToSlice(key), ToSlice(value));
    return status.ok() ? Outcome::kDone : Fail(status.ToString());
  }

  Outcome Get(std::string_view key, std::string& value) override {
    const rocksdb::Status status = db_->Get(read_options_, ToSlice(key), &value);
    if (status.IsNotFound()) return Outcome::kMissing;
    return status.ok() ? Outcome::kDone : Fail(status.ToString());
  }

  Outcome Delete(std::string_view key) override {
    const rocksdb::Status status = db_->Delete(write_options_, ToSlice(key));
    return status.ok() ? Outcome::kDone : Fail(status.ToString());
  }

  Status Close() override {
    const rocksdb::Status status = db_->Close();
    db_.reset();
    return ToStatus(status);
  }

 private:
  const rocksdb::WriteOptions write_options_;
  const rocksdb::ReadOptions read_options_;
  std::unique_ptr<rocksdb::DB> db_;
};

}  // namespace

PeerKind RocksDbKind() {
  return {.id = "rocksdb",
          .title = fmt::format("RocksDB {}.{}.{}", ROCKSDB_MAJOR, ROCKSDB_MINOR, ROCKSDB_PATCH),
          .settings =
              "own defaults but a 2 GiB block cache, Bloom filters of 10 bits a key, no "
              "compression",
          .durability = "process death: every write; power loss: the part of the log written back",
          .make = [] { return std::make_unique<RocksDbPeer>(); }};
}

}  // namespace freyja::bench
