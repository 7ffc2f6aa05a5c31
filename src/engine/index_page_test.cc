#include "engine/index_page.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <memory>
#include <set>

#include "engine/index_testing.h"
#include "engine/location.h"

namespace freyja::engine {
namespace {

using testing::HasKey;
using testing::RecordOf;

constexpr std::uint64_t kHighBit = std::uint64_t{1} << 63;

// Keys are at home in the first, a middle or the last line of a page, so that more than four of
// these go on in the next one, and from the last in the first. Odd ones have the highest bit.
std::uint64_t HashOf(std::uint64_t key) {
  constexpr std::uint64_t kHomes[] = {0, 0x80000000, 0xFFFFFFFF};
  return (key % 2 == 0 ? 0 : kHighBit) | (key << 32) | kHomes[key % 3];
}

std::unique_ptr<IndexPage> MakePage(std::uint32_t lines) {
  auto page = IndexPage::Create(lines, 0);
  EXPECT_NE(page, nullptr);
  return page;
}

void Put(IndexPage& page, std::uint64_t key) {
  const std::uint64_t hash = HashOf(key);
  IndexSlot* const slot = page.FreeSlot(hash);
  ASSERT_NE(slot, nullptr);
  page.Insert(*slot, hash, RecordOf(key, 0));
}

bool Has(IndexPage& page, std::uint64_t key) {
  return PageRef(&page).Probe(HashOf(key), [&](IndexSlot&, std::uint64_t location) {
    return HasKey(key)(Location(location));
  });
}

void Delete(IndexPage& page, std::uint64_t key) {
  PageRef(&page).Probe(HashOf(key), [&](IndexSlot& slot, std::uint64_t) {
    page.Erase(slot);
    return true;
  });
}

std::set<std::uint64_t> KeysBelow(std::uint64_t limit, IndexPage& page) {
  std::set<std::uint64_t> keys;
  for (std::uint64_t key = 0; key < limit; ++key) {
    if (Has(page, key)) keys.insert(key);
  }
  return keys;
}

// Invariant 3, and that the counts are those of the slots.
void ExpectWellFormed(IndexPage& page) {
  std::uint32_t live = 0;
  std::uint32_t used = 0;
  for (std::uint32_t line = 0; line < page.lines(); ++line) {
    bool ended = false;
    for (std::uint32_t i = 0; i < kSlotsPerLine; ++i) {
      const std::uint64_t location = PageRef(&page).Line(line)[i].location.load();
      ended |= location == kNeverUsedLocation;
      EXPECT_EQ(location == kNeverUsedLocation, ended) << "line " << line << ", slot " << i;
      live += IsLive(location) ? 1 : 0;
      used += ended ? 0 : 1;
    }
  }
  EXPECT_EQ(page.live(), live);
  EXPECT_EQ(page.used(), used);
}

TEST(IndexPageTest, CopyHasWhatIsLiveAndNothingThatWasDeleted) {
  auto page = MakePage(3);
  for (std::uint64_t key = 0; key < 12; ++key) Put(*page, key);  // to the last slot
  for (const std::uint64_t key : {1, 4, 7}) Delete(*page, key);
  for (const std::uint32_t lines : {3U, 4U, 64U}) {
    auto copy = MakePage(lines);
    copy->CopyFrom(*page);
    EXPECT_EQ(KeysBelow(12, *copy), (std::set<std::uint64_t>{0, 2, 3, 5, 6, 8, 9, 10, 11}));
    EXPECT_EQ(copy->live(), 9u);
    ExpectWellFormed(*copy);
  }
}

TEST(IndexPageTest, EachHalfOfASplitHasTheKeysOnItsSideOfTheBit) {
  auto page = MakePage(5);
  for (std::uint64_t key = 0; key < 20; ++key) Put(*page, key);
  for (const std::uint64_t key : {0, 13}) Delete(*page, key);
  auto low = MakePage(3);
  auto high = MakePage(3);
  page->SplitInto(*low, *high, kHighBit);
  EXPECT_EQ(KeysBelow(20, *low), (std::set<std::uint64_t>{2, 4, 6, 8, 10, 12, 14, 16, 18}));
  EXPECT_EQ(KeysBelow(20, *high), (std::set<std::uint64_t>{1, 3, 5, 7, 9, 11, 15, 17, 19}));
  for (IndexPage* const half : {low.get(), high.get()}) {
    EXPECT_EQ(half->live(), 9u);
    ExpectWellFormed(*half);
  }
}

TEST(IndexPageTest, FullPageTakesNoMore) {
  auto page = MakePage(2);
  for (std::uint64_t key = 0; key < 8; ++key) {
    ASSERT_TRUE(page->InsertUnshared(HashOf(key), RecordOf(key, 0).raw()));
    ExpectWellFormed(*page);
  }
  EXPECT_FALSE(page->InsertUnshared(HashOf(8), RecordOf(8, 0).raw()));
  EXPECT_EQ(KeysBelow(9, *page).size(), 8u);
  ExpectWellFormed(*page);
}

}  // namespace
}  // namespace freyja::engine
