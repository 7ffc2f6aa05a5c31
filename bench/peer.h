// What freyja-bench asks of a store, and the list of stores it was built with.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "freyja/status.h"

namespace freyja::bench {

// What stores that have a cache of their own get, unless memory is capped.
inline constexpr std::uint64_t kDefaultCacheBytes = std::uint64_t{2} << 30;

struct OpenParameters {
  std::filesystem::path directory;  // exists; empty, or holds what the same kind has closed
  std::uint64_t keys = 0;           // different keys that will be put
  std::uint64_t writes = 0;         // puts in all, at most
  std::size_t key_bytes = 0;
  std::size_t value_bytes = 0;
  bool sync_always = false;  // a put returns when it is on the device
  // What the files may take at most, over the live records; 0: as the store likes. Stores that
  // can't be told do without.
  double space_ceiling = 0;
  std::uint64_t cache_bytes = kDefaultCacheBytes;
};

enum class Outcome : std::uint8_t { kDone, kMissing, kFailed };

struct KeyValue {
  std::string_view key;
  std::string_view value;
};

struct Answer {
  bool found = false;
  std::string value;  // unspecified if not found; its capacity is reused
};

// One thread's handle to an open store. Every call of the timed loops is one virtual call into
// an adapter that does nothing but call its store. Used by one thread at a time; destroyed
// before the store is closed.
class PeerSession {
 public:
  virtual ~PeerSession() = default;

  // kDone or kFailed.
  [[nodiscard]] virtual Outcome Put(std::string_view key, std::string_view value) = 0;
  // kMissing leaves `value` unspecified. Its capacity is reused from call to call.
  [[nodiscard]] virtual Outcome Get(std::string_view key, std::string& value) = 0;
  [[nodiscard]] virtual Outcome Delete(std::string_view key) = 0;
  // answers[i] becomes that of keys[i]. kDone or kFailed. By default one Get for each.
  [[nodiscard]] virtual Outcome MultiGet(std::span<const std::string_view> keys,
                                         std::span<Answer> answers);
  // kDone or kFailed. By default one Put for each, so that a crash may keep a part.
  [[nodiscard]] virtual Outcome PutBatch(std::span<const KeyValue> entries);

  // What the last call that answered kFailed has to say.
  const std::string& last_error() const { return last_error_; }

 protected:
  Outcome Fail(std::string message) {
    last_error_ = std::move(message);
    return Outcome::kFailed;
  }

 private:
  std::string last_error_;
};

// One store under test. All its members are called by one thread, while no session is in use.
class Peer {
 public:
  virtual ~Peer() = default;

  [[nodiscard]] virtual Status Open(const OpenParameters& parameters) = 0;
  [[nodiscard]] virtual Result<std::unique_ptr<PeerSession>> NewSession() = 0;
  [[nodiscard]] virtual Status Close() = 0;

  // Of the cache that the adapter configured, what is in use. 0: it configured none.
  [[nodiscard]] virtual std::uint64_t CacheBytes() { return 0; }
};

// A kind of store, as it is chosen with --stores and stated in reports.
struct PeerKind {
  std::string id;                // "rocksdb"
  std::string title;             // "RocksDB 7.8.3"
  std::string settings;          // whatever differs from the store's own defaults
  std::string durability;        // what survives the death of the process, and power loss
  std::string sync_always = {};  // how OpenParameters::sync_always is had; empty: not at all
  bool is_limit = false;         // a bare loop, not a store; can't be reopened
  bool survives_kill = false;    // every put that returned survives the process
  // How the names of files end that only make opening faster.
  std::vector<std::string> opening_aids = {};
  std::function<std::unique_ptr<Peer>()> make;
};

PeerKind FreyjaKind();
PeerKind LmdbKind();
PeerKind RocksDbKind();
PeerKind LevelDbKind();
PeerKind TkrzwAppendingKind();
PeerKind TkrzwInPlaceKind();
PeerKind KyotoCabinetKind();
PeerKind WiredTigerKind();

// Every kind this binary was built with, FreyjaDB first and the limits last.
std::vector<PeerKind> BuiltPeers();
// One line for each kind that was left out because its package was not found.
std::vector<std::string> AbsentPeers();

}  // namespace freyja::bench
