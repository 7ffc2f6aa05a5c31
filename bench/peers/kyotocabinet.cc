// Kyoto Cabinet's HashDB, its fastest file database. Its documentation asks for about twice as
// many buckets as records, and for a mapped region that holds the whole file (beyond it, it
// calls pread and pwrite; the default is 64 MiB): the map is an address range, not memory.
// Records carry no checksum. get_bulk and set_bulk lock all buckets of a call and then loop,
// with a std::map to fill besides, so the plain loops stand for them.
#include <fmt/format.h>
#include <kchashdb.h>

#include <algorithm>
#include <bit>
#include <cstdint>

#include "../peer.h"

namespace freyja::bench {

namespace {

using kyotocabinet::HashDB;

std::string Describe(const HashDB& db) {
  const HashDB::Error error = db.error();
  return fmt::format("{}: {}", error.name(), error.message());
}

// get() would allocate a buffer for each value, or make a std::string of each key.
class CopyValue final : public HashDB::Visitor {
 public:
  explicit CopyValue(std::string& value) : value_(value) {}
  bool found() const { return found_; }

 private:
  const char* visit_full(const char*, std::size_t, const char* value, std::size_t bytes,
                         std::size_t*) override {
    value_.assign(value, bytes);
    found_ = true;
    return NOP;
  }

  std::string& value_;
  bool found_ = false;
};

class KyotoCabinetSession final : public PeerSession {
 public:
  explicit KyotoCabinetSession(HashDB& db) : db_(db) {}

  Outcome Put(std::string_view key, std::string_view value) override {
    const bool done = db_.set(key.data(), key.size(), value.data(), value.size());
    return done ? Outcome::kDone : Fail(Describe(db_));
  }

  Outcome Get(std::string_view key, std::string& value) override {
    CopyValue visitor(value);
    if (!db_.accept(key.data(), key.size(), &visitor, false)) return Fail(Describe(db_));
    return visitor.found() ? Outcome::kDone : Outcome::kMissing;
  }

  Outcome Delete(std::string_view key) override {
    if (db_.remove(key.data(), key.size())) return Outcome::kDone;
    return db_.error() == HashDB::Error::NOREC ? Outcome::kMissing : Fail(Describe(db_));
  }

 private:
  HashDB& db_;
};

class KyotoCabinetPeer final : public Peer {
 public:
  Status Open(const OpenParameters& parameters) override {
    constexpr std::int64_t kDefaultBuckets = 1'048'583;
    constexpr std::uint64_t kRecordOverhead = 32;
    const std::uint64_t record_bytes =
        parameters.key_bytes + parameters.value_bytes + kRecordOverhead;
    const auto buckets = std::max(kDefaultBuckets, static_cast<std::int64_t>(parameters.keys * 2));
    const std::uint64_t file_bytes =
        parameters.keys * record_bytes * 2 + static_cast<std::uint64_t>(buckets) * 8;
    const auto map_bytes =
        static_cast<std::int64_t>(std::max(std::uint64_t{1} << 30, std::bit_ceil(file_bytes)));
    std::uint32_t mode = HashDB::OWRITER | HashDB::OCREATE;
    if (parameters.sync_always) mode |= HashDB::OAUTOSYNC;
    const std::string path = (parameters.directory / "store.kch").string();
    if (!db_.tune_buckets(buckets) || !db_.tune_map(map_bytes) || !db_.open(path, mode)) {
      return {StatusCode::kIoError, Describe(db_)};
    }
    return Status::Ok();
  }

  Result<std::unique_ptr<PeerSession>> NewSession() override {
    return std::make_unique<KyotoCabinetSession>(db_);
  }

  Status Close() override {
    return db_.close() ? Status::Ok() : Status(StatusCode::kIoError, Describe(db_));
  }

 private:
  HashDB db_;
};

}  // namespace

PeerKind KyotoCabinetKind() {
  return {
      .id = "kyotocabinet",
      .title = fmt::format("Kyoto Cabinet {}", kyotocabinet::VERSION),
      .settings =
          "HashDB, 2 buckets a key, map as large as the file may become, own defaults "
          "otherwise (no checksum); MultiGet and batches are loops, as its own are",
      .durability = "process death: records found by a restoring scan; power loss: none promised",
      .sync_always = "OAUTOSYNC: the whole map synced after every put, no transaction",
      .make = [] { return std::make_unique<KyotoCabinetPeer>(); }};
}

}  // namespace freyja::bench
