#include "engine/index_heap.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <map>
#include <random>
#include <thread>
#include <vector>

namespace freyja::engine {
namespace {

// Pieces with what was written into them.
class Pieces {
 public:
  explicit Pieces(IndexHeap& heap) : heap_(heap) {}
  ~Pieces() {
    while (!pieces_.empty()) Free(pieces_.begin()->first);
  }
  Pieces(const Pieces&) = delete;
  Pieces& operator=(const Pieces&) = delete;

  std::byte* Allocate(std::size_t bytes) {
    auto* const memory = static_cast<std::byte*>(heap_.Allocate(bytes));
    EXPECT_NE(memory, nullptr);
    EXPECT_EQ(reinterpret_cast<std::uintptr_t>(memory) % 64, 0u);
    std::memset(memory, static_cast<int>(++fill_), bytes);
    EXPECT_TRUE(pieces_.emplace(memory, Piece{bytes, fill_}).second);
    return memory;
  }
  void Free(std::byte* memory) {
    const Piece piece = pieces_.at(memory);
    const auto is_whole = [&](std::byte byte) { return byte == std::byte{piece.fill}; };
    EXPECT_TRUE(std::all_of(memory, memory + piece.bytes, is_whole)) << "somebody wrote into it";
    heap_.Free(memory, piece.bytes);
    pieces_.erase(memory);
  }
  void ExpectApart() const {
    const std::byte* end = nullptr;
    for (const auto& [memory, piece] : pieces_) {
      EXPECT_GE(memory, end);
      end = memory + piece.bytes;
    }
  }
  std::size_t size() const { return pieces_.size(); }
  std::byte* At(std::size_t number) const {
    return std::next(pieces_.begin(), static_cast<std::ptrdiff_t>(number))->first;
  }

 private:
  struct Piece {
    std::size_t bytes;
    std::uint8_t fill;
  };
  IndexHeap& heap_;
  std::map<std::byte*, Piece> pieces_;
  std::uint8_t fill_ = 0;
};

TEST(IndexHeapTest, PiecesOfAllLengthsDoNotOverlap) {
  IndexHeap heap;
  Pieces pieces(heap);
  for (std::size_t bytes = 1; bytes <= IndexHeap::kMaxBytes + 5000; bytes += 331) {
    pieces.Allocate(bytes);
  }
  pieces.ExpectApart();
}

TEST(IndexHeapTest, RandomUseKeepsEveryPieceWhole) {
  std::mt19937_64 random(1);
  IndexHeap heap;
  Pieces pieces(heap);
  for (int step = 0; step < 20'000; ++step) {
    const bool grows = step % 8'000 < 4'500;
    if (pieces.size() == 0 || random() % 8 < (grows ? 5U : 3U)) {
      pieces.Allocate(64 * (1 + random() % (IndexHeap::kMaxBytes / 64)));
    } else {
      pieces.Free(pieces.At(random() % pieces.size()));
    }
    if (step % 1000 == 0) pieces.ExpectApart();
  }
}

// What is free side by side is one piece again, in whatever order it was freed.
TEST(IndexHeapTest, FreeNeighboursAreJoined) {
  if (!IndexHeap::kUsesRegions) GTEST_SKIP() << "with a sanitizer there are no regions";
  std::mt19937_64 random(2);
  for (int round = 0; round < 20; ++round) {
    IndexHeap heap;
    Pieces pieces(heap);
    while (heap.regions() < 2) pieces.Allocate(64 * (1 + random() % 40));
    while (pieces.size() != 0) pieces.Free(pieces.At(random() % pieces.size()));
    EXPECT_EQ(heap.regions(), 1u) << "one empty region is kept";
    // 63 of the longest fit into a region, beside what it needs itself.
    for (int i = 0; i < 63; ++i) pieces.Allocate(IndexHeap::kMaxBytes);
    EXPECT_EQ(heap.regions(), 1u);
    pieces.Allocate(IndexHeap::kMaxBytes);
    EXPECT_EQ(heap.regions(), 2u);
  }
}

// Pages of an index grow all at about the same time, each into a longer piece.
TEST(IndexHeapTest, PagesThatGrowInTurnLeaveLittleUnused) {
  if (!IndexHeap::kUsesRegions) GTEST_SKIP() << "with a sanitizer there are no regions";
  std::mt19937_64 random(3);
  IndexHeap heap;
  std::vector<std::pair<std::byte*, std::size_t>> pages;
  std::size_t used = 0;
  const auto allocate = [&](std::size_t lines) {
    const std::size_t bytes = 64 + lines * 64;
    used += bytes;
    return std::pair(static_cast<std::byte*>(heap.Allocate(bytes)), bytes);
  };
  const auto free = [&](const std::pair<std::byte*, std::size_t>& page) {
    used -= page.second;
    heap.Free(page.first, page.second);
  };
  constexpr int kPages = 5000;
  for (int i = 0; i < kPages; ++i) pages.push_back(allocate(128));
  double most = 0;
  for (const std::size_t lines : {std::size_t{160}, std::size_t{200}, std::size_t{250}}) {
    std::ranges::shuffle(pages, random);
    for (auto& page : pages) {
      const auto larger = allocate(lines + random() % 5);
      free(page);
      page = larger;
      most = std::max(most, static_cast<double>(heap.regions() * IndexHeap::kRegionBytes) /
                                static_cast<double>(used));
    }
  }
  EXPECT_LT(most, 1.3);
  EXPECT_GE(heap.regions(), 30u);
  for (const auto& page : pages) free(page);
  EXPECT_LE(heap.regions(), 1u);
}

TEST(IndexHeapTest, ManyThreadsShareIt) {
  IndexHeap heap;
  std::vector<std::thread> threads;
  for (unsigned thread = 0; thread < 4; ++thread) {
    threads.emplace_back([&heap, thread] {
      std::mt19937_64 random(thread);
      Pieces pieces(heap);
      for (int step = 0; step < 5'000; ++step) {
        if (pieces.size() == 0 || random() % 2 == 0) {
          pieces.Allocate(64 * (1 + random() % 260));
        } else {
          pieces.Free(pieces.At(random() % pieces.size()));
        }
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
}

}  // namespace
}  // namespace freyja::engine
