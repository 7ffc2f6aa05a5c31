#include "limit.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <bit>
#include <cerrno>
#include <cstring>
#include <string>
#include <utility>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "base/bytes.h"
#include "base/crc32c.h"

namespace freyja::bench {

namespace {

constexpr std::size_t kPieceBytes = std::size_t{2} << 20;
constexpr std::uint64_t kFirstOffset = 64;
constexpr std::uint64_t kEmpty = 0;
constexpr std::uint64_t kDeleted = 1;

Status SystemError(std::string_view what) {
  return {StatusCode::kIoError, std::string(what) + ": " + std::strerror(errno)};
}

class Mapping {
 public:
  Mapping() = default;
  Mapping(Mapping&& other) noexcept { *this = std::move(other); }
  Mapping& operator=(Mapping&& other) noexcept {
    std::swap(data_, other.data_);
    std::swap(bytes_, other.bytes_);
    return *this;
  }
  ~Mapping() {
    if (data_ != nullptr) ::munmap(data_, bytes_);
  }

  // Zeros, on huge pages where the kernel has them.
  static Mapping Anonymous(std::size_t bytes) {
    Mapping mapping = Make(bytes, MAP_PRIVATE | MAP_ANONYMOUS, -1);
    if (mapping.data_ != nullptr) ::madvise(mapping.data_, bytes, MADV_HUGEPAGE);
    return mapping;
  }
  static Mapping OfFile(int fd, std::size_t bytes) { return Make(bytes, MAP_SHARED, fd); }

  std::byte* data() const { return data_; }
  // Makes every page present and writable.
  bool Populate() const {
    for (std::size_t at = 0; at < bytes_; at += kPieceBytes) {
      if (::madvise(data_ + at, std::min(kPieceBytes, bytes_ - at), MADV_POPULATE_WRITE) != 0) {
        return false;
      }
    }
    return true;
  }

 private:
  static Mapping Make(std::size_t bytes, int flags, int fd) {
    Mapping mapping;
    void* const data = ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, flags, fd, 0);
    if (data == MAP_FAILED) return mapping;
    mapping.data_ = static_cast<std::byte*>(data);
    mapping.bytes_ = bytes;
    return mapping;
  }

  std::byte* data_ = nullptr;
  std::size_t bytes_ = 0;
};

struct Slot {
  std::uint64_t hash;
  std::uint64_t offset;  // in the file, or kEmpty or kDeleted
};

// As long as a record of FreyjaDB with neither expiry nor watermark.
struct [[gnu::packed]] Header {
  std::uint32_t checksum;  // CRC-32C of everything after it
  std::uint32_t value_bytes;
  std::uint64_t sequence;
  std::uint32_t key_bytes;
};
static_assert(sizeof(Header) == 20);

class LimitPeer final : public Peer {
 public:
  explicit LimitPeer(bool grows) : grows_(grows) {}

  Status Open(const OpenParameters& parameters) override {
    const std::size_t slots = grows_ ? 4096 : std::bit_ceil(parameters.keys * 2);
    if (!MakeTable(slots)) return SystemError("mmap of the table");
    if (!grows_ && !table_memory_.Populate()) return SystemError("populating the table");
    const std::size_t record_bytes = base::RoundUp<std::size_t>(
        sizeof(Header) + parameters.key_bytes + parameters.value_bytes, 8);
    return PrepareFile(parameters.directory / "records",
                       kFirstOffset + record_bytes * parameters.writes);
  }

  Outcome Put(std::string_view key, std::string_view value) override {
    const std::uint64_t hash = XXH3_64bits(key.data(), key.size());
    const std::uint64_t offset = Append(key, value);
    Slot& slot = Find(hash, key);
    if (slot.offset == kEmpty) ++used_;
    slot = {hash, offset};
    if (used_ * 2 > slots_) [[unlikely]] {
      if (!Grow()) return Fail("mmap of a larger table failed");
    }
    return Outcome::kDone;
  }

  Outcome Get(std::string_view key, std::string& value) override {
    const Slot& slot = Find(XXH3_64bits(key.data(), key.size()), key);
    if (slot.offset == kEmpty) return Outcome::kMissing;
    const std::byte* const record = file_memory_.data() + slot.offset;
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

  Outcome Delete(std::string_view key) override {
    Slot& slot = Find(XXH3_64bits(key.data(), key.size()), key);
    if (slot.offset == kEmpty) return Outcome::kMissing;
    slot.offset = kDeleted;
    return Outcome::kDone;
  }

  Status Close() override {
    file_memory_ = Mapping();
    table_memory_ = Mapping();
    return Status::Ok();
  }

 private:
  // Blocks are allocated, zeroed and mapped before the run: in a store another thread does it.
  Status PrepareFile(const std::filesystem::path& path, std::size_t bytes) {
    const int fd = ::open(path.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
    if (fd < 0) return SystemError(path.string());
    const std::string zeros(kPieceBytes, '\0');
    Status status;
    std::size_t at = 0;
    while (at < bytes && status.ok()) {
      const ssize_t written =
          ::pwrite(fd, zeros.data(), std::min(zeros.size(), bytes - at), static_cast<off_t>(at));
      if (written <= 0)
        status = SystemError(path.string());
      else
        at += static_cast<std::size_t>(written);
    }
    if (status.ok()) {
      file_memory_ = Mapping::OfFile(fd, bytes);
      if (file_memory_.data() == nullptr || !file_memory_.Populate()) {
        status = SystemError(path.string());
      }
    }
    ::close(fd);
    return status;
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
    const std::uint64_t offset = tail_;
    std::byte* const record = file_memory_.data() + offset;
    Header header{0, static_cast<std::uint32_t>(value.size()), ++sequence_,
                  static_cast<std::uint32_t>(key.size())};
    std::memcpy(record, &header, sizeof header);
    std::memcpy(record + sizeof header, key.data(), key.size());
    std::memcpy(record + sizeof header + key.size(), value.data(), value.size());
    const std::size_t bytes = sizeof header + key.size() + value.size();
    header.checksum =
        base::Crc32c(0, {record + sizeof header.checksum, bytes - sizeof header.checksum});
    std::memcpy(record, &header.checksum, sizeof header.checksum);
    tail_ += base::RoundUp<std::uint64_t>(bytes, 8);
    return offset;
  }

  // The key's slot, or the empty one where it belongs.
  Slot& Find(std::uint64_t hash, std::string_view key) {
    for (std::size_t at = hash & (slots_ - 1);; at = (at + 1) & (slots_ - 1)) {
      Slot& slot = table_[at];
      if (slot.offset == kEmpty) return slot;
      if (slot.hash == hash && slot.offset != kDeleted && HasKey(slot.offset, key)) return slot;
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
  Mapping table_memory_;
  Mapping file_memory_;
  Slot* table_ = nullptr;
  std::size_t slots_ = 0;  // a power of two
  std::size_t used_ = 0;
  std::uint64_t tail_ = kFirstOffset;
  std::uint64_t sequence_ = 0;
};

}  // namespace

PeerKind LimitKind() {
  return {.id = "limit",
          .title = "limit",
          .settings =
              "bare loop: flat presized table of 16-byte slots, records in one file mapped "
              "and populated beforehand, CRC-32C verified, value copied",
          .durability = "none: cannot be reopened",
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
