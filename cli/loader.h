// Loader: puts records into a store in batches. Not thread-safe.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>

#include "freyja/kv_store.h"
#include "records_io.h"

namespace freyja::cli {

struct LoaderOptions {
  std::size_t batch_records = 1000;
  bool sync = false;  // each batch is durable before the next begins
};

// Records are stored in the order they were added; when a call fails, those that
// records_stored() counts are in the store and no others.
class Loader {
 public:
  Loader(KVStore& store, LoaderOptions options);

  // Why the store would refuse `record`, naming the limit.
  std::optional<std::string> Refusal(const Record& record) const;

  // kInvalidArgument: the store refuses this very record (a value near the limit leaves
  // less room for its key); another record may be added after that.
  [[nodiscard]] Status Add(Record&& record);
  // Stores what was added since the last batch. Must be called at the end.
  [[nodiscard]] Status Flush();

  std::uint64_t records_stored() const { return records_stored_; }

 private:
  Status WriteOneByOne();

  KVStore& store_;
  LoaderOptions options_;
  WriteOptions write_options_;
  std::size_t batch_bytes_limit_;
  WriteBatch batch_;
  std::size_t batch_bytes_ = 0;
  std::uint64_t records_stored_ = 0;
};

}  // namespace freyja::cli
