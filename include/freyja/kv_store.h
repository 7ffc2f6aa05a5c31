// KVStore: an embeddable, log-structured key-value store.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "freyja/iterator.h"
#include "freyja/options.h"
#include "freyja/stats.h"
#include "freyja/status.h"
#include "freyja/write_batch.h"

namespace freyja {

namespace api {
struct StoreParts;
}  // namespace api

// All members may be called from any thread at once, except Close and the
// destructor, which must not race with other calls, live iterators or pins.
//
// Reads take no lock and never wait for writers or for compaction. Each read
// returns the newest value published at some instant within the call
// (linearizable per key). Every value returned has passed its checksum; one that
// does not is reported as kCorruption, never returned and never hidden.
//
// Writes are ordered by one sequence of numbers. What survives which crash:
//   process death (kill -9)  every write that returned
//   power loss               every write through the last sync, and then a prefix of
//                            the rest in write order, without holes (Sync in options.h)
// A failed sync turns the store read-only until it is reopened: nothing that was
// not durable is ever reported as durable.
class KVStore {
 public:
  // Opens the store in directory `path`. Errors: kNotFound (no store there and
  // create_if_missing not set), kBusy (another process has it), kCorruption
  // (names file and offset), kUnsupported (newer format), kInvalidArgument (options).
  // A relative path is resolved here, once.
  [[nodiscard]] static Result<std::unique_ptr<KVStore>> Open(const std::filesystem::path& path,
                                                             const Options& options = {});
  // Closes, ignoring errors; call Close to see them.
  ~KVStore();
  KVStore(const KVStore&) = delete;
  KVStore& operator=(const KVStore&) = delete;

  // Stores `value` under `key`, replacing what was there. Errors:
  // kInvalidArgument (limits in options.h), kNoSpace, kReadOnly, kIoError.
  // On an error nothing is stored, except where the same failure made the store read-only
  // (kIoError, kReadOnly; mostly a sync): the write may or may not be there after reopening.
  [[nodiscard]] Status Put(std::string_view key, std::string_view value,
                           const WriteOptions& options = {});
  // Removes `key`. `false` if it was not there (then nothing is written).
  [[nodiscard]] Result<bool> Delete(std::string_view key, const WriteOptions& options = {});
  [[nodiscard]] Status Write(const WriteBatch& batch, const WriteOptions& options = {});

  // The value of `key`, or an empty optional if there is none.
  [[nodiscard]] Result<std::optional<std::string>> Get(std::string_view key) const;
  // The same into `value`, reusing its capacity; `false` and `value` emptied if
  // there is none. Allocates nothing if the capacity suffices.
  [[nodiscard]] Result<bool> Get(std::string_view key, std::string& value) const;
  // The value in place, without copying. Holds its segment on disk meanwhile.
  [[nodiscard]] Result<std::optional<PinnedValue>> GetPinned(std::string_view key) const;
  // One result per key, in order; each as if by its own Get. Overlaps the cache
  // misses of many keys. Throws std::bad_alloc if there is no memory for the vector itself.
  [[nodiscard]] std::vector<Result<std::optional<std::string>>> MultiGet(
      std::span<const std::string_view> keys) const;
  // The same into `values`, one for each key, reusing their capacity; for `false` or an error
  // the value is emptied. kInvalidArgument for all, and nothing changed, if there are not as many.
  [[nodiscard]] std::vector<Result<bool>> MultiGet(std::span<const std::string_view> keys,
                                                   std::span<std::string> values) const;

  [[nodiscard]] Result<Iterator> NewIterator() const;

  // Makes everything written before the call durable.
  [[nodiscard]] Status Sync();

  // Checks every listed file byte for byte against its checksums. The first
  // problem is returned as kCorruption naming file and offset.
  [[nodiscard]] Status VerifyChecksums() const;

  [[nodiscard]] Stats GetStats() const;
  [[nodiscard]] std::vector<SegmentInfo> GetSegments() const;
  // Even while no hot swap is between its commit and its last published location;
  // odd while one is. Differs before and after a call that overlapped one.
  [[nodiscard]] std::uint64_t SwapCounter() const;

  // The store's directory, absolute.
  [[nodiscard]] const std::filesystem::path& path() const;
  // Longest value this store takes under a key of one byte: kMaxValueBytes, or what
  // fits in a segment. A longer key leaves that much less.
  [[nodiscard]] std::size_t max_value_bytes() const;

  // Cancels compactions, syncs, marks the store cleanly closed. Later calls
  // return kClosed. Reports the first error; the store is closed all the same.
  // The directory stays locked until the object is destroyed.
  [[nodiscard]] Status Close();

  // Internal.
  explicit KVStore(std::unique_ptr<api::StoreParts> parts);
  api::StoreParts& parts() { return *parts_; }

 private:
  std::unique_ptr<api::StoreParts> parts_;
};

}  // namespace freyja
