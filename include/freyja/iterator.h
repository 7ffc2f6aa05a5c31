// Iterator and PinnedValue: reads that outlive one call.
#pragma once

#include <cstdint>
#include <memory>
#include <string_view>

#include "freyja/status.h"

namespace freyja {

namespace engine {
class IteratorImpl;
class PinnedRecord;
}  // namespace engine

// A value read in place. The view stays valid, and its segment's file stays on
// disk, until the PinnedValue is destroyed, whatever compaction does meanwhile. Its
// checksum was verified when it was pinned: if somebody cuts the file short or the disk
// loses a block afterwards, the view reads as zeros there.
// It must be destroyed before the store is. Move-only; thread-compatible.
class PinnedValue {
 public:
  PinnedValue(PinnedValue&&) noexcept;
  PinnedValue& operator=(PinnedValue&&) noexcept;
  ~PinnedValue();

  std::string_view value() const { return value_; }

  // Internal: built by KVStore::GetPinned.
  PinnedValue(std::unique_ptr<engine::PinnedRecord> pin, std::string_view value);

 private:
  std::unique_ptr<engine::PinnedRecord> pin_;
  std::string_view value_;
};

// Walks all keys of one point in time, in no particular order: exactly the
// writes published before NewIterator returned, never part of a batch. Writes
// and compactions go on meanwhile; segments they retire stay on disk until the
// iterator is destroyed. It must be destroyed before the store is.
//
//   for (it->Next(); it->Valid(); it->Next()) use(it->key(), it->value());
//   if (!it->status().ok()) ...
//
// key() and value() are valid until the next call of Next. A record that does
// not verify ends the walk with kCorruption in status(). Not thread-safe.
class Iterator {
 public:
  explicit Iterator(std::unique_ptr<engine::IteratorImpl> impl);
  Iterator(Iterator&&) noexcept;
  Iterator& operator=(Iterator&&) noexcept;
  ~Iterator();

  void Next();
  bool Valid() const;
  std::string_view key() const;
  std::string_view value() const;
  // 0 if the record never expires.
  std::uint64_t expires_at_ms() const;
  const Status& status() const;

 private:
  std::unique_ptr<engine::IteratorImpl> impl_;
};

}  // namespace freyja
