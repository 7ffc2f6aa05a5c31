// The writer: one append order, group commit.
//
// The life of a write:
//  0. Each fetches what publishing will look at. Where records seem to come from the disk it reads
//     there what it will replace, while nobody else waits for that.
//  1. Writers queue, each by one exchange of `last_`. The first in the queue is the leader; it
//     takes those behind it along.
//  2. For each request the leader decides conditions (does the key to delete exist?) against
//     what has been appended, finds room, and copies the records into the active segment.
//  3. If one of them asked for it, it makes the log durable: one sync for the group.
//  4. It publishes the group in order: index, live counts, saved locations for snapshots.
//  5. It answers all of them and hands over to the next in the queue, if there is one.
// So bytes, publication and acknowledgement follow the sequence numbers, a write that asked
// for sync is visible only once it is durable, and an answer ("there was no such key")
// returns only when what it was decided on is published.
//
// A request that fails before step 2 has copied anything leaves no trace. A failure after it
// poisons the store: its numbers are given, and no later record may follow a hole.
//
// The queue is that of an MCS lock (J. Mellor-Crummey, M. Scott, "Algorithms for scalable
// synchronization on shared-memory multiprocessors", ACM TOCS 1991), whose holder serves others
// along with itself.
//
// Thread safety: all public members may be called from any thread.
#pragma once

#include <atomic>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "base/mutex.h"
#include "engine/health.h"
#include "engine/log.h"
#include "engine/publisher.h"
#include "engine/record_reader.h"
#include "engine/reserve.h"
#include "freyja/status.h"

namespace freyja::engine {

struct WriteOperation {
  std::string_view key;
  std::string_view value;
  std::uint64_t expires_at_ms = 0;
  bool is_delete = false;
  format::KeyHash hash;
};

class Writer {
 public:
  struct Parts {
    Log& log;
    Publisher& publisher;
    RecordReader& reader;
    EpochManager& epochs;
    Health& health;
    Reserve& reserve;
    base::Clock& clock;
  };
  explicit Writer(const Parts& parts) : parts_(parts), carried_watermark_(parts.log.durable()) {
    group_.reserve(kMaxGroupRequests);
  }

  // Applies the operations as one; several become a batch. Limits have been checked.
  Status Write(std::span<const WriteOperation> operations, bool sync);
  // Removes one key. `false`: it was not there, and nothing was written; or it had expired.
  Result<bool> Delete(const WriteOperation& operation, bool sync);
  // Makes the active segment full, in order with the writes.
  Status RollActive();
  // Returns when all writes that came before are appended and published, or have failed. Those
  // that come after it get kClosed and leave no trace. Their threads, and those of writes before,
  // may still be on their way out of the writer.
  Status Stop();

  std::uint64_t puts() const { return puts_.load(); }
  std::uint64_t deletes() const { return deletes_.load(); }
  std::uint64_t user_bytes() const { return user_bytes_.load(); }

 private:
  static constexpr std::size_t kMaxGroupRequests = 256;

  struct Request {
    std::span<const WriteOperation> operations;
    bool sync = false;
    bool only_if_present = false;
    bool roll = false;
    bool stop = false;

    bool appended = false;       // the leader's
    Result<bool> result = true;  // the leader's until done

    // Who came next; null: nobody, or it hasn't said so yet. Nobody looks at a request that is
    // done.
    std::atomic<Request*> next{nullptr};
    enum class Turn : std::uint8_t { kWait, kLead, kDone };
    std::atomic<Turn> turn{Turn::kWait};  // changed under `mutex`
    base::Mutex mutex;
    base::CondVar turn_changed;
  };

  void LookAtOldRecords(std::span<const WriteOperation> operations) const;
  Result<bool> Submit(Request& request);
  Status SubmitForStatus(Request& request);
  static Request::Turn WaitForTurn(Request& request);
  static void GiveTurn(Request& request, Request::Turn turn);
  void TakeGroup(Request& leader);
  // Who came after `request`, the last of the group; null: nobody, and the queue has ended with it.
  Request* NextInQueue(Request& request);
  void RunGroup();
  void Append(Request& request);
  Status AppendRecords(const Request& request);
  // Ok if puts may be written: the disk's reserve is whole.
  Status CheckSpaceForPuts(std::span<const WriteOperation> operations);
  // Whether the key is there, as of everything appended; *expired if only by the clock not.
  Result<bool> IsPresent(const WriteOperation& operation, bool* expired);
  Status SyncAndPublish();
  void FailAppended(const Status& status);

  const Parts parts_;

  // Who came last; null: nobody is being served or waits.
  alignas(64) std::atomic<Request*> last_{nullptr};

  // The leader's. What one has written here the next one sees: `last_`, or the mutex of its
  // request, is written after it and read before.
  alignas(64) std::vector<Request*> group_;
  std::vector<AppendedRecord> pending_;  // appended by the group, not yet published
  std::vector<const Segment*> touched_;  // segments the group's records lie in
  std::uint64_t carried_watermark_;      // the last one a record carried
  bool stopped_ = false;

  std::atomic<std::uint64_t> puts_{0};
  std::atomic<std::uint64_t> deletes_{0};
  std::atomic<std::uint64_t> user_bytes_{0};
};

}  // namespace freyja::engine
