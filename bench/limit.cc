#include "limit.h"

#include <unistd.h>

#include <array>
#include <atomic>
#include <bit>
#include <cerrno>
#include <condition_variable>
#include <cstring>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "base/bytes.h"
#include "base/crc32c.h"
#include "base/status_macros.h"
#include "limit_memory.h"

namespace freyja::bench {

namespace {

constexpr std::uint64_t kFirstOffset = 64;
constexpr std::uint64_t kEmpty = 0;
constexpr std::uint64_t kDeleted = 1;
// As many cache misses as a core has under way at once, about.
constexpr std::size_t kTogether = 16;

Status SystemError(std::string_view what) {
  return {StatusCode::kIoError, std::string(what) + ": " + std::strerror(errno)};
}

// Threads may read and replace at once, hence the atomic accesses, which cost nothing; new keys
// are put by one thread, or under a lock.
struct Slot {
  std::uint64_t hash;
  std::uint64_t offset;  // in the file, or kEmpty or kDeleted

  std::uint64_t Load() { return std::atomic_ref(offset).load(std::memory_order_acquire); }
  void Store(std::uint64_t value) {
    std::atomic_ref(offset).store(value, std::memory_order_release);
  }
};

// As long as a record of FreyjaDB with neither expiry nor watermark.
struct [[gnu::packed]] Header {
  std::uint32_t checksum;  // CRC-32C of everything after it
  std::uint32_t value_bytes;
  std::uint64_t sequence;
  std::uint32_t key_bytes;
};
static_assert(sizeof(Header) == 20);

std::uint64_t Hash(std::string_view key) { return XXH3_64bits(key.data(), key.size()); }

// The table and the records.
class LimitTable {
 public:
  explicit LimitTable(bool grows) : grows_(grows) {}
  ~LimitTable() { Close(); }

  Status Open(const OpenParameters& parameters) {
    const std::size_t slots = grows_ ? 4096 : std::bit_ceil(parameters.keys * 2);
    if (!MakeTable(slots)) return SystemError("mmap of the table");
    if (!grows_ && !table_memory_.Populate()) return SystemError("populating the table");
    const std::size_t record_bytes = base::RoundUp<std::size_t>(
        sizeof(Header) + parameters.key_bytes + parameters.value_bytes, 8);
    FREYJA_ASSIGN_OR_RETURN(PreparedFile file,
                            PrepareFile(parameters.directory / "records",
                                        kFirstOffset + record_bytes * parameters.writes));
    file_memory_ = std::move(file.memory);
    fd_ = file.fd;
    sync_ = parameters.sync_always;
    return Status::Ok();
  }

  void Close() {
    file_memory_ = Mapping();
    table_memory_ = Mapping();
    if (fd_ >= 0) ::close(fd_);
    fd_ = -1;
  }

  // False: no memory for a larger table, or the sync failed.
  bool Put(std::uint64_t hash, std::string_view key, std::string_view value) {
    if (!sync_) return Insert(hash, key, value);
    std::unique_lock lock(mutex_);
    if (!Insert(hash, key, value)) return false;
    return SyncThrough(lock, ++appended_);
  }

  // Null: not there.
  const std::byte* Find(std::uint64_t hash, std::string_view key) {
    const std::uint64_t offset = SlotOf(hash, key).Load();
    return offset == kEmpty ? nullptr : file_memory_.data() + offset;
  }

  bool Delete(std::string_view key) {
    Slot& slot = SlotOf(Hash(key), key);
    if (slot.Load() == kEmpty) return false;
    slot.Store(kDeleted);
    return true;
  }

  void PrefetchSlot(std::uint64_t hash) const { __builtin_prefetch(&table_[hash & (slots_ - 1)]); }
  // Of the record that the hash leads to, probably, the first cache lines.
  void PrefetchRecord(std::uint64_t hash) {
    for (std::size_t at = hash & (slots_ - 1);; at = (at + 1) & (slots_ - 1)) {
      const std::uint64_t offset = table_[at].Load();
      if (offset == kEmpty) return;
      if (table_[at].hash != hash || offset == kDeleted) continue;
      constexpr std::size_t kCacheLine = 64;
      constexpr std::size_t kLines = 3;
      for (std::size_t line = 0; line < kLines; ++line) {
        __builtin_prefetch(file_memory_.data() + offset + line * kCacheLine);
      }
      return;
    }
  }

 private:
  bool Insert(std::uint64_t hash, std::string_view key, std::string_view value) {
    const std::uint64_t offset = Append(key, value);
    // A page that was changed through a mapping costs a fault and a journal commit at each sync.
    if (sync_ && ::pwrite(fd_, record_.data(), record_.size(), static_cast<off_t>(offset)) !=
                     static_cast<ssize_t>(record_.size())) {
      return false;
    }
    Slot& slot = SlotOf(hash, key);
    if (slot.Load() == kEmpty) {
      slot.hash = hash;
      ++used_;
    }
    slot.Store(offset);
    return used_ * 2 <= slots_ || Grow();
  }

  // The first to come syncs for all who have appended by then.
  bool SyncThrough(std::unique_lock<std::mutex>& lock, std::uint64_t wanted) {
    while (synced_ < wanted) {
      if (syncing_) {
        synced_more_.wait(lock);
        continue;
      }
      syncing_ = true;
      const std::uint64_t target = appended_;
      lock.unlock();
      const bool done = ::fdatasync(fd_) == 0;
      lock.lock();
      syncing_ = false;
      if (done) synced_ = target;
      synced_more_.notify_all();
      if (!done) return false;
    }
    return true;
  }

  bool MakeTable(std::size_t slots) {
    Mapping memory = Mapping::Anonymous(slots * sizeof(Slot));
    if (memory.data() == nullptr) return false;
    table_memory_ = std::move(memory);
    table_ = reinterpret_cast<Slot*>(table_memory_.data());
    slots_ = slots;
    return true;
  }

  std::uint64_t Append(std::string_view key, std::string_view value) {
    const std::size_t bytes = sizeof(Header) + key.size() + value.size();
    const std::uint64_t offset =
        tail_.fetch_add(base::RoundUp<std::uint64_t>(bytes, 8), std::memory_order_relaxed);
    if (sync_) record_.resize(bytes);
    std::byte* const record = sync_ ? record_.data() : file_memory_.data() + offset;
    Header header{0, static_cast<std::uint32_t>(value.size()), offset,
                  static_cast<std::uint32_t>(key.size())};
    std::memcpy(record, &header, sizeof header);
    std::memcpy(record + sizeof header, key.data(), key.size());
    std::memcpy(record + sizeof header + key.size(), value.data(), value.size());
    header.checksum =
        base::Crc32c(0, {record + sizeof header.checksum, bytes - sizeof header.checksum});
    std::memcpy(record, &header.checksum, sizeof header.checksum);
    return offset;
  }

  // The key's slot, or the empty one where it belongs.
  Slot& SlotOf(std::uint64_t hash, std::string_view key) {
    for (std::size_t at = hash & (slots_ - 1);; at = (at + 1) & (slots_ - 1)) {
      Slot& slot = table_[at];
      const std::uint64_t offset = slot.Load();
      if (offset == kEmpty) return slot;
      if (slot.hash == hash && offset != kDeleted && HasKey(offset, key)) return slot;
    }
  }

  bool HasKey(std::uint64_t offset, std::string_view key) const {
    const std::byte* const record = file_memory_.data() + offset;
    Header header;
    std::memcpy(&header, record, sizeof header);
    return header.key_bytes == key.size() &&
           std::memcmp(record + sizeof header, key.data(), key.size()) == 0;
  }

  bool Grow() {
    const Mapping old_memory = std::move(table_memory_);
    const Slot* const old_table = table_;
    const std::size_t old_slots = slots_;
    if (!MakeTable(old_slots * 2)) return false;
    for (std::size_t i = 0; i < old_slots; ++i) {
      if (old_table[i].offset == kEmpty || old_table[i].offset == kDeleted) continue;
      std::size_t at = old_table[i].hash & (slots_ - 1);
      while (table_[at].offset != kEmpty) at = (at + 1) & (slots_ - 1);
      table_[at] = old_table[i];
    }
    return true;
  }

  const bool grows_;
  bool sync_ = false;
  int fd_ = -1;
  Mapping table_memory_;
  Mapping file_memory_;
  Slot* table_ = nullptr;
  std::size_t slots_ = 0;  // a power of two
  std::size_t used_ = 0;
  std::atomic<std::uint64_t> tail_ = kFirstOffset;

  // Of synced puts.
  std::vector<std::byte> record_;
  std::mutex mutex_;
  std::condition_variable synced_more_;
  bool syncing_ = false;
  std::uint64_t appended_ = 0;
  std::uint64_t synced_ = 0;
};

class LimitSession final : public PeerSession {
 public:
  explicit LimitSession(LimitTable& table) : table_(table) {}

  Outcome Put(std::string_view key, std::string_view value) override {
    return Put(Hash(key), key, value);
  }

  Outcome Get(std::string_view key, std::string& value) override {
    return Get(Hash(key), key, value);
  }

  Outcome Delete(std::string_view key) override {
    return table_.Delete(key) ? Outcome::kDone : Outcome::kMissing;
  }

  Outcome MultiGet(std::span<const std::string_view> keys, std::span<Answer> answers) override {
    for (std::size_t first = 0; first < keys.size(); first += kTogether) {
      const std::size_t count = std::min(kTogether, keys.size() - first);
      Prefetch(count, [&](std::size_t i) { return keys[first + i]; });
      for (std::size_t i = 0; i < count; ++i) {
        Answer& answer = answers[first + i];
        const Outcome outcome = Get(hashes_[i], keys[first + i], answer.value);
        if (outcome == Outcome::kFailed) return outcome;
        answer.found = outcome == Outcome::kDone;
      }
    }
    return Outcome::kDone;
  }

  Outcome PutBatch(std::span<const KeyValue> entries) override {
    for (std::size_t first = 0; first < entries.size(); first += kTogether) {
      const std::size_t count = std::min(kTogether, entries.size() - first);
      Prefetch(count, [&](std::size_t i) { return entries[first + i].key; });
      for (std::size_t i = 0; i < count; ++i) {
        const KeyValue& entry = entries[first + i];
        const Outcome outcome = Put(hashes_[i], entry.key, entry.value);
        if (outcome != Outcome::kDone) return outcome;
      }
    }
    return Outcome::kDone;
  }

 private:
  template <typename KeyAt>
  void Prefetch(std::size_t count, KeyAt key_at) {
    for (std::size_t i = 0; i < count; ++i) {
      hashes_[i] = Hash(key_at(i));
      table_.PrefetchSlot(hashes_[i]);
    }
    for (std::size_t i = 0; i < count; ++i) table_.PrefetchRecord(hashes_[i]);
  }

  Outcome Put(std::uint64_t hash, std::string_view key, std::string_view value) {
    if (table_.Put(hash, key, value)) return Outcome::kDone;
    return Fail("no memory for a larger table, or a failed sync");
  }

  Outcome Get(std::uint64_t hash, std::string_view key, std::string& value) {
    const std::byte* const record = table_.Find(hash, key);
    if (record == nullptr) return Outcome::kMissing;
    Header header;
    std::memcpy(&header, record, sizeof header);
    const std::size_t bytes = sizeof header + header.key_bytes + header.value_bytes;
    if (base::Crc32c(0, {record + sizeof header.checksum, bytes - sizeof header.checksum}) !=
        header.checksum) {
      return Fail("checksum mismatch");
    }
    value.assign(reinterpret_cast<const char*>(record + sizeof header + header.key_bytes),
                 header.value_bytes);
    return Outcome::kDone;
  }

  LimitTable& table_;
  std::array<std::uint64_t, kTogether> hashes_{};
};

class LimitPeer final : public Peer {
 public:
  explicit LimitPeer(bool grows) : table_(grows) {}

  Status Open(const OpenParameters& parameters) override { return table_.Open(parameters); }
  Result<std::unique_ptr<PeerSession>> NewSession() override {
    return std::make_unique<LimitSession>(table_);
  }
  Status Close() override {
    table_.Close();
    return Status::Ok();
  }

 private:
  LimitTable table_;
};

}  // namespace

PeerKind LimitKind() {
  return {.id = "limit",
          .title = "limit",
          .settings =
              "bare loop: flat presized table of 16-byte slots, records in one file mapped "
              "and populated beforehand, CRC-32C verified, value copied; MultiGet and batches "
              "prefetch 16 keys together",
          .durability = "none: cannot be reopened",
          .sync_always = "pwrite, and one fdatasync for all who wait",
          .is_limit = true,
          .make = [] { return std::make_unique<LimitPeer>(false); }};
}

PeerKind GrowingLimitKind() {
  PeerKind kind = LimitKind();
  kind.id = "limit-growing";
  kind.title = "limit, growing";
  kind.settings = "as limit, but the table starts small and doubles, rehashing at once";
  kind.make = [] { return std::make_unique<LimitPeer>(true); };
  return kind;
}

}  // namespace freyja::bench
