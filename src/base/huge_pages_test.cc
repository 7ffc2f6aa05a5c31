#include "base/huge_pages.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <cstring>
#include <span>

namespace freyja::base {
namespace {

TEST(HugePagesTest, WhatIsMappedIsAlignedAndZero) {
  std::byte* const memory = MapHuge(2 * kHugePageBytes);
  ASSERT_NE(memory, nullptr);
  EXPECT_EQ(reinterpret_cast<std::uintptr_t>(memory) % kHugePageBytes, 0u);
  for (const std::byte byte : std::span(memory, 2 * kHugePageBytes)) ASSERT_EQ(byte, std::byte{0});
  std::memset(memory, 1, 2 * kHugePageBytes);
  UnmapHuge(memory, 2 * kHugePageBytes);
}

TEST(HugePagesTest, WithoutAddressSpaceThereIsNone) {
  EXPECT_EQ(MapHuge(std::size_t{1} << 62), nullptr);
}

TEST(HugeArenaTest, PiecesOfAllLengthsAreAlignedAndDoNotOverlap) {
  HugeArena arena;
  struct Piece {
    std::byte* memory;
    std::size_t bytes;
    std::byte fill;
  };
  std::vector<Piece> pieces;
  std::size_t bytes = 1;
  for (unsigned i = 0; i < 200; ++i) {
    bytes = i % 50 == 49 ? 3 * kHugePageBytes + i : bytes * 7 % 300'007;
    const Piece piece{arena.Allocate(bytes), bytes, static_cast<std::byte>(i)};
    EXPECT_EQ(reinterpret_cast<std::uintptr_t>(piece.memory) % 64, 0u);
    std::memset(piece.memory, static_cast<int>(i), bytes);
    pieces.push_back(piece);
  }
  for (const Piece& piece : pieces) {
    for (const std::byte byte : std::span(piece.memory, piece.bytes)) ASSERT_EQ(byte, piece.fill);
  }
}

TEST(HugeBufferTest, ItIsTheSameMemoryUntilMoreIsWanted) {
  HugeBuffer buffer;
  const auto first = buffer.Get(1000);
  EXPECT_EQ(first.size(), 1000u);
  EXPECT_EQ(buffer.Get(10).data(), first.data());
  EXPECT_EQ(buffer.Get(1000).data(), first.data());
  for (const std::size_t bytes : {std::size_t{2000}, 3 * kHugePageBytes + 5}) {
    const auto larger = buffer.Get(bytes);
    ASSERT_EQ(larger.size(), bytes);
    std::memset(larger.data(), 1, larger.size());
  }
  EXPECT_THROW(buffer.Get(std::size_t{1} << 62), std::bad_alloc);
  std::memset(buffer.Get(100).data(), 1, 100);
}

TEST(HugeArenaTest, AnImpossiblePieceThrowsAndTheRestGoesOn) {
  HugeArena arena;
  EXPECT_THROW(arena.Allocate(std::size_t{1} << 62), std::bad_alloc);
  std::memset(arena.Allocate(100), 1, 100);
}

}  // namespace
}  // namespace freyja::base
