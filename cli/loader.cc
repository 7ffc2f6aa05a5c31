#include "loader.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace freyja::cli {
namespace {

constexpr std::size_t kMaxBatchBytes = std::size_t{4} << 20;
// More than a record's header and padding, so that a batch is not refused for them.
constexpr std::size_t kRecordOverheadBytes = 128;

}  // namespace

Loader::Loader(KVStore& store, LoaderOptions options)
    : store_(store),
      options_(options),
      write_options_{.sync = options.sync ? Sync::kAlways : Sync::kDefault},
      // Half of the longest value: a batch then fits in a segment of any size.
      batch_bytes_limit_(std::min(kMaxBatchBytes, store.max_value_bytes() / 2)) {}

std::optional<std::string> Loader::Refusal(const Record& record) const {
  if (record.key.empty()) return "the key is empty";
  if (record.key.size() > kMaxKeyBytes) {
    return fmt::format("the key has {} bytes; the limit is {}", record.key.size(), kMaxKeyBytes);
  }
  if (record.value.size() > store_.max_value_bytes()) {
    return fmt::format("the value has {} bytes; the limit of this store is {}", record.value.size(),
                       store_.max_value_bytes());
  }
  return std::nullopt;
}

Status Loader::Add(Record&& record) {
  const std::size_t bytes = record.key.size() + record.value.size() + kRecordOverheadBytes;
  if (!batch_.empty() && batch_bytes_ + bytes > batch_bytes_limit_) {
    if (Status status = Flush(); !status.ok()) return status;
  }
  batch_.Put(record.key, record.value, record.expires_at_ms);
  batch_bytes_ += bytes;
  const bool full = batch_.size() >= options_.batch_records || batch_bytes_ > batch_bytes_limit_;
  return full ? Flush() : Status::Ok();
}

Status Loader::Flush() {
  if (batch_.empty()) return Status::Ok();
  Status status;
  if (batch_.size() == 1) {
    status = WriteOneByOne();
  } else {
    status = store_.Write(batch_, write_options_);
    if (status.ok()) records_stored_ += batch_.size();
    // A batch can be too much for a small segment where its records are not.
    if (status.code() == StatusCode::kInvalidArgument) status = WriteOneByOne();
  }
  batch_.Clear();
  batch_bytes_ = 0;
  return status;
}

Status Loader::WriteOneByOne() {
  for (const WriteBatch::Operation& operation : batch_.operations()) {
    WriteOptions options = write_options_;
    options.expires_at_ms = operation.expires_at_ms;
    if (Status status = store_.Put(operation.key, operation.value, options); !status.ok()) {
      return status;
    }
    ++records_stored_;
  }
  return Status::Ok();
}

}  // namespace freyja::cli
