// WriteBatch: several puts and deletes applied as one.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace freyja {

// A list of operations applied in order by KVStore::Write, atomically: readers
// that start after Write returns see all of it, a crash keeps all or nothing,
// and an iterator's point in time is never inside a batch. Concurrent point
// reads may see the keys of one batch change one after another.
//
// The batch owns copies of its keys and values. Not thread-safe. Limits are
// checked by Write, which refuses the whole batch: each key and value must be
// within the store's limits and the encoded batch must fit in one segment.
class WriteBatch {
 public:
  struct Operation {
    std::string key;
    std::string value;
    std::uint64_t expires_at_ms = 0;  // as WriteOptions::expires_at_ms
    bool is_delete = false;
  };

  void Put(std::string_view key, std::string_view value, std::uint64_t expires_at_ms = 0) {
    operations_.push_back({std::string(key), std::string(value), expires_at_ms, false});
  }
  void Delete(std::string_view key) { operations_.push_back({std::string(key), {}, 0, true}); }
  void Clear() { operations_.clear(); }

  std::size_t size() const { return operations_.size(); }
  bool empty() const { return operations_.empty(); }
  const std::vector<Operation>& operations() const { return operations_; }

 private:
  std::vector<Operation> operations_;
};

}  // namespace freyja
