// LevelDB with its own defaults, but a 2 GiB block cache, Bloom filters of 10 bits a key and
// no compression. Its write-ahead log stays unsynced, as is its default.
#include <fmt/format.h>
#include <leveldb/cache.h>
#include <leveldb/db.h>
#include <leveldb/filter_policy.h>
#include <leveldb/options.h>

#include "../peer.h"

namespace freyja::bench {

namespace {

constexpr std::size_t kBlockCacheBytes = std::size_t{2} << 30;

leveldb::Slice ToSlice(std::string_view bytes) { return {bytes.data(), bytes.size()}; }

class LevelDbPeer final : public Peer {
 public:
  Status Open(const OpenParameters& parameters) override {
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

  Outcome Put(std::string_view key, std::string_view value) override {
    const leveldb::Status status = db_->Put(write_options_, ToSlice(key), ToSlice(value));
    return status.ok() ? Outcome::kDone : Fail(status.ToString());
  }

  Outcome Get(std::string_view key, std::string& value) override {
    const leveldb::Status status = db_->Get(read_options_, ToSlice(key), &value);
    if (status.IsNotFound()) return Outcome::kMissing;
    return status.ok() ? Outcome::kDone : Fail(status.ToString());
  }

  Outcome Delete(std::string_view key) override {
    const leveldb::Status status = db_->Delete(write_options_, ToSlice(key));
    return status.ok() ? Outcome::kDone : Fail(status.ToString());
  }

  Status Close() override {
    db_.reset();
    return Status::Ok();
  }

 private:
  const leveldb::WriteOptions write_options_;
  const leveldb::ReadOptions read_options_;
  // Used by the database, so declared before it.
  std::unique_ptr<leveldb::Cache> cache_{leveldb::NewLRUCache(kBlockCacheBytes)};
  std::unique_ptr<const leveldb::FilterPolicy> filter_{leveldb::NewBloomFilterPolicy(10)};
  std::unique_ptr<leveldb::DB> db_;
};

}  // namespace

PeerKind LevelDbKind() {
  return {.id = "leveldb",
          .title = fmt::format("LevelDB {}.{}", leveldb::kMajorVersion, leveldb::kMinorVersion),
          .settings =
              "own defaults but a 2 GiB block cache, Bloom filters of 10 bits a key, no "
              "compression",
          .durability = "process death: every write; power loss: the part of the log written back",
          .make = [] { return std::make_unique<LevelDbPeer>(); }};
}

}  // namespace freyja::bench
