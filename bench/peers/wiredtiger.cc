// WiredTiger's row store with as large a cache as RocksDB and LevelDB have. By default it has no
// log at all, and with one it keeps records in the process's memory; method "none" makes every
// commit call write(), which is what the other stores' unsynced logs do. Checkpoints every
// minute, as MongoDB makes them: without them the log would only grow. A session and its
// cursors belong to one thread; a cursor is reset after each call, for it pins a page.
#include <fmt/format.h>
#include <wiredtiger.h>

#include "../peer.h"

namespace freyja::bench {

namespace {

constexpr std::string_view kConfig =
    "create,cache_size={},log=(enabled=true),checkpoint=(wait=60),"
    "transaction_sync=(enabled=true,method={})";
constexpr const char* kTable = "table:store";

std::string Describe(std::string_view call, int code) {
  return fmt::format("{}: {}", call, wiredtiger_strerror(code));
}

WT_ITEM ToItem(std::string_view bytes) {
  WT_ITEM item = {};
  item.data = bytes.data();
  item.size = bytes.size();
  return item;
}

class WiredTigerSession final : public PeerSession {
 public:
  // Takes `session`, in which `cursor` is open.
  WiredTigerSession(WT_SESSION* session, WT_CURSOR* cursor) : session_(session), cursor_(cursor) {}
  ~WiredTigerSession() override { session_->close(session_, nullptr); }

  Outcome Put(std::string_view key, std::string_view value) override {
    if (const int code = Insert({key, value}); code != 0) return Fail(Describe("insert", code));
    return Outcome::kDone;
  }

  Outcome Get(std::string_view key, std::string& value) override {
    const WT_ITEM key_item = ToItem(key);
    cursor_->set_key(cursor_, &key_item);
    int code = cursor_->search(cursor_);
    if (code == WT_NOTFOUND) return Outcome::kMissing;
    WT_ITEM found = {};
    if (code == 0) code = cursor_->get_value(cursor_, &found);
    if (code == 0) value.assign(static_cast<const char*>(found.data), found.size);
    if (code == 0) code = cursor_->reset(cursor_);
    return code == 0 ? Outcome::kDone : Fail(Describe("search", code));
  }

  Outcome Delete(std::string_view key) override {
    const WT_ITEM key_item = ToItem(key);
    cursor_->set_key(cursor_, &key_item);
    int code = cursor_->remove(cursor_);
    if (code == WT_NOTFOUND) return Outcome::kMissing;
    if (code == 0) code = cursor_->reset(cursor_);
    return code == 0 ? Outcome::kDone : Fail(Describe("remove", code));
  }

  Outcome PutBatch(std::span<const KeyValue> entries) override {
    int code = session_->begin_transaction(session_, nullptr);
    if (code != 0) return Fail(Describe("begin_transaction", code));
    for (const KeyValue& entry : entries) {
      code = Insert(entry);
      if (code != 0) {
        session_->rollback_transaction(session_, nullptr);
        return Fail(Describe("insert", code));
      }
    }
    code = session_->commit_transaction(session_, nullptr);
    return code == 0 ? Outcome::kDone : Fail(Describe("commit_transaction", code));
  }

 private:
  // Replaces what was there: the default of a cursor. Outside of a transaction WiredTiger itself
  // tries again after a conflict; in one, nothing else writes here.
  int Insert(const KeyValue& entry) {
    const WT_ITEM key_item = ToItem(entry.key);
    const WT_ITEM value_item = ToItem(entry.value);
    cursor_->set_key(cursor_, &key_item);
    cursor_->set_value(cursor_, &value_item);
    return cursor_->insert(cursor_);
  }

  WT_SESSION* const session_;
  WT_CURSOR* const cursor_;
};

class WiredTigerPeer final : public Peer {
 public:
  ~WiredTigerPeer() override {
    if (connection_ != nullptr) connection_->close(connection_, nullptr);
  }

  Status Open(const OpenParameters& parameters) override {
    const std::string config = fmt::format(fmt::runtime(kConfig), parameters.cache_bytes,
                                           parameters.sync_always ? "fsync" : "none");
    int code = wiredtiger_open(parameters.directory.c_str(), nullptr, config.c_str(), &connection_);
    if (code != 0) return {StatusCode::kIoError, Describe("wiredtiger_open", code)};
    WT_SESSION* session = nullptr;
    code = connection_->open_session(connection_, nullptr, nullptr, &session);
    if (code != 0) return {StatusCode::kIoError, Describe("open_session", code)};
    code = session->create(session, kTable, "key_format=u,value_format=u");
    session->close(session, nullptr);
    if (code != 0) return {StatusCode::kIoError, Describe("create", code)};
    return Status::Ok();
  }

  Result<std::unique_ptr<PeerSession>> NewSession() override {
    WT_SESSION* session = nullptr;
    WT_CURSOR* cursor = nullptr;
    int code = connection_->open_session(connection_, nullptr, nullptr, &session);
    if (code == 0) code = session->open_cursor(session, kTable, nullptr, nullptr, &cursor);
    if (code != 0) {
      if (session != nullptr) session->close(session, nullptr);
      return std::unexpected(Status(StatusCode::kIoError, Describe("open_session", code)));
    }
    return std::make_unique<WiredTigerSession>(session, cursor);
  }

  Status Close() override {
    const int code = connection_->close(connection_, nullptr);
    connection_ = nullptr;
    if (code != 0) return {StatusCode::kIoError, Describe("close", code)};
    return Status::Ok();
  }

  // Statistics are off while operations are timed.
  std::uint64_t CacheBytes() override {
    std::int64_t bytes = 0;
    WT_SESSION* session = nullptr;
    WT_CURSOR* cursor = nullptr;
    if (connection_->reconfigure(connection_, "statistics=(fast)") == 0 &&
        connection_->open_session(connection_, nullptr, nullptr, &session) == 0) {
      if (session->open_cursor(session, "statistics:", nullptr, nullptr, &cursor) == 0) {
        const char* description = nullptr;
        const char* printed = nullptr;
        cursor->set_key(cursor, WT_STAT_CONN_CACHE_BYTES_INUSE);
        if (cursor->search(cursor) != 0 ||
            cursor->get_value(cursor, &description, &printed, &bytes) != 0) {
          bytes = 0;
        }
      }
      session->close(session, nullptr);
    }
    connection_->reconfigure(connection_, "statistics=(none)");
    return static_cast<std::uint64_t>(bytes);
  }

 private:
  WT_CONNECTION* connection_ = nullptr;
};

}  // namespace

PeerKind WiredTigerKind() {
  return {
      .id = "wiredtiger",
      .title = fmt::format("WiredTiger {}.{}.{}", WIREDTIGER_VERSION_MAJOR,
                           WIREDTIGER_VERSION_MINOR, WIREDTIGER_VERSION_PATCH),
      .settings =
          "row store, a cache of 2 GiB or half of --memory-cap, log written (not synced) at every "
          "commit, a checkpoint every 60 s, no compression; a batch is a transaction; it has no "
          "MultiGet, so one search for each key",
      .durability = "process death: every write; power loss: the part of the log written back",
      .sync_always = "transaction_sync method fsync",
      .survives_kill = true,
      .make = [] { return std::make_unique<WiredTigerPeer>(); }};
}

}  // namespace freyja::bench
