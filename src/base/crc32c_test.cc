#include "base/crc32c.h"

#include <gtest/gtest.h>
#include <sys/mman.h>

#include <algorithm>
#include <array>
#include <random>
#include <vector>

#include "base/bytes.h"

namespace freyja::base {
namespace {

// Bit by bit, from the polynomial.
std::uint32_t SlowCrc32c(std::uint32_t crc, std::span<const std::byte> data) {
  std::uint32_t state = ~crc;
  for (const std::byte byte : data) {
    state ^= std::to_integer<std::uint32_t>(byte);
    for (int bit = 0; bit < 8; ++bit) {
      state = (state >> 1) ^ ((state & 1) != 0 ? 0x82F63B78U : 0U);
    }
  }
  return ~state;
}

std::vector<std::byte> SomeBytes(std::size_t size) {
  std::mt19937_64 random(size);
  std::vector<std::byte> bytes(size);
  for (std::byte& byte : bytes) byte = static_cast<std::byte>(random());
  return bytes;
}

TEST(Crc32cTest, AgreesWithThePublishedVectors) {
  EXPECT_EQ(Crc32c(0, AsBytes("123456789")), 0xE3069283U);
  std::array<std::byte, 32> bytes{};
  EXPECT_EQ(Crc32c(0, bytes), 0x8A9136AAU);
  bytes.fill(std::byte{0xFF});
  EXPECT_EQ(Crc32c(0, bytes), 0x62A8AB43U);
  for (std::size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<std::byte>(i);
  EXPECT_EQ(Crc32c(0, bytes), 0x46DD794EU);
  std::ranges::reverse(bytes);
  EXPECT_EQ(Crc32c(0, bytes), 0x113FDB5CU);
}

TEST(Crc32cTest, ChecksumOfNothingIsTheChecksumBefore) {
  EXPECT_EQ(Crc32c(0, {}), 0U);
  EXPECT_EQ(Crc32c(0xDEADBEEF, {}), 0xDEADBEEFU);
}

TEST(Crc32cTest, ShortAndLongInputsOfEveryLengthAndAlignmentAgreeWithThePolynomial) {
  const std::vector<std::byte> bytes = SomeBytes(1100);
  for (std::size_t start = 0; start < 9; ++start) {
    for (std::size_t length = 0; length <= 600; ++length) {
      const auto data = std::span(bytes).subspan(start, length);
      ASSERT_EQ(Crc32c(0x12345678, data), SlowCrc32c(0x12345678, data))
          << "start " << start << ", length " << length;
    }
  }
}

TEST(Crc32cTest, PiecesGiveTheChecksumOfTheWhole) {
  const std::vector<std::byte> bytes = SomeBytes(700);
  const std::uint32_t whole = Crc32c(99, bytes);
  for (std::size_t cut = 0; cut <= bytes.size(); ++cut) {
    const auto data = std::span(bytes);
    ASSERT_EQ(Crc32c(Crc32c(99, data.first(cut)), data.subspan(cut)), whole) << "cut " << cut;
  }
}

TEST(Crc32cTest, BuffersLongerThanAnIntCanSayAreCoveredToTheEnd) {
  // Over 4 GiB, so that a length cut to 32 bits is wrong whatever its sign means. Untouched
  // pages are only read and take no memory.
  const std::size_t size = (std::size_t{4} << 30) + (std::size_t{1} << 20) + 3;
  void* const zeros =
      mmap(nullptr, size, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (zeros == MAP_FAILED) GTEST_SKIP() << "no address space for the buffer";
  madvise(zeros, size, MADV_HUGEPAGE);  // fewer page faults; without it only slower
  const std::span data(static_cast<const std::byte*>(zeros), size);
  std::uint32_t in_pieces = 0;
  for (std::size_t at = 0; at < size;) {
    const std::size_t piece = std::min(size - at, std::size_t{300} << 20);
    in_pieces = Crc32c(in_pieces, data.subspan(at, piece));
    at += piece;
  }
  EXPECT_EQ(Crc32c(0, data), in_pieces);
  munmap(zeros, size);
}

}  // namespace
}  // namespace freyja::base
