// What freyja-bench asks of a store, and the list of stores it was built with.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "freyja/status.h"

namespace freyja::bench {

struct OpenParameters {
  std::filesystem::path directory;  // exists and is empty
  std::uint64_t keys = 0;           // different keys that will be put
  std::uint64_t writes = 0;         // puts in all, at most
  std::size_t key_bytes = 0;
  std::size_t value_bytes = 0;
};

enum class Outcome : std::uint8_t { kDone, kMissing, kFailed };

// One store under test. Every call of the timed loops is one virtual call into an
// adapter that does nothing but call its store. Used by one thread.
class Peer {
 public:
  virtual ~Peer() = default;

  [[nodiscard]] virtual Status Open(const OpenParameters& parameters) = 0;
  // kDone or kFailed.
  [[nodiscard]] virtual Outcome Put(std::string_view key, std::string_view value) = 0;
  // kMissing leaves `value` unspecified. Its capacity is reused from call to call.
  [[nodiscard]] virtual Outcome Get(std::string_view key, std::string& value) = 0;
  [[nodiscard]] virtual Outcome Delete(std::string_view key) = 0;
  [[nodiscard]] virtual Status Close() = 0;

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

// A kind of store, as it is chosen with --stores and stated in reports.
struct PeerKind {
  std::string id;          // "rocksdb"
  std::string title;       // "RocksDB 7.8.3"
  std::string settings;    // whatever differs from the store's own defaults
  std::string durability;  // what survives the death of the process, and power loss
  bool is_limit = false;   // a bare loop, not a store
  std::function<std::unique_ptr<Peer>()> make;
};

PeerKind FreyjaKind();
PeerKind LmdbKind();
PeerKind RocksDbKind();
PeerKind LevelDbKind();
PeerKind TkrzwAppendingKind();
PeerKind TkrzwInPlaceKind();

// Every kind this binary was built with, FreyjaDB first and the limits last.
std::vector<PeerKind> BuiltPeers();
// One line for each kind that was left out because its package was not found.
std::vector<std::string> AbsentPeers();

}  // namespace freyja::bench
