// Where a record lies: a 64-bit value that fits an atomic word of the index.
#pragma once

#include <cstdint>

namespace freyja::engine {

// From the top: 20 bits segment slot (an index into the table of open segments,
// not a segment id), 28 bits offset and 16 bits length, both in 8-byte units.
// 0 as a whole means "no location"; the offset of a real record is never 0,
// because a segment starts with its header, so every raw value with offset 0 is
// free for the index's own marks.
class Location {
 public:
  static constexpr std::uint32_t kMaxSlot = (1U << 20) - 1;
  // Exclusive limit of an offset in bytes: 2 GiB.
  static constexpr std::uint64_t kOffsetLimit = std::uint64_t{8} << 28;
  // The longest record whose length is kept here; longer ones say "unknown".
  static constexpr std::uint64_t kMaxKnownLength = 8 * 0xFFFEULL;

  constexpr Location() = default;
  constexpr explicit Location(std::uint64_t raw) : raw_(raw) {}
  // `slot` <= kMaxSlot; `offset` a multiple of 8, not 0, below kOffsetLimit;
  // `length` the record's whole length in bytes, a multiple of 8, not 0.
  constexpr Location(std::uint32_t slot, std::uint64_t offset, std::uint64_t length)
      : raw_((static_cast<std::uint64_t>(slot) << 44) | ((offset / 8) << 16) |
             (length > kMaxKnownLength ? kUnknownLength : length / 8)) {}

  // The same place in another segment slot.
  constexpr Location WithSlot(std::uint32_t slot) const {
    return Location((raw_ & 0xFFF'FFFF'FFFFULL) | (static_cast<std::uint64_t>(slot) << 44));
  }

  constexpr std::uint32_t slot() const { return static_cast<std::uint32_t>(raw_ >> 44); }
  // In bytes from the start of the segment file.
  constexpr std::uint64_t offset() const { return ((raw_ >> 16) & 0xFFFFFFF) * 8; }
  // In bytes; 0 if it isn't known here and the record's header must be read.
  constexpr std::uint64_t length_bytes() const {
    const std::uint64_t units = raw_ & 0xFFFF;
    return units == kUnknownLength ? 0 : units * 8;
  }
  constexpr std::uint64_t raw() const { return raw_; }
  constexpr bool is_none() const { return raw_ == 0; }
  constexpr explicit operator bool() const { return raw_ != 0; }

  friend constexpr bool operator==(Location, Location) = default;

 private:
  static constexpr std::uint64_t kUnknownLength = 0xFFFF;

  std::uint64_t raw_ = 0;
};

}  // namespace freyja::engine
