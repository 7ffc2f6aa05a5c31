#include "engine/index.h"

#include <gtest/gtest.h>
#include <sys/mman.h>

#include <algorithm>
#include <cstdint>
#include <limits>
#include <memory>
#include <vector>

#include "base/huge_pages.h"
#include "base/sanitizer.h"
#include "engine/index_testing.h"

namespace freyja::engine {
namespace {

TEST(IndexDirectoryTest, IsTheSameOnHugePages) {
  for (const std::uint32_t depth : {15U, 16U, 17U}) {
    auto directory = IndexDirectory::Create(depth);
    ASSERT_NE(directory, nullptr);
    const std::size_t last = directory->size() - 1;
    EXPECT_GE(directory->bytes(), sizeof(IndexDirectory) + directory->size() * sizeof(PageRef));
    EXPECT_EQ(directory->Load(0).raw(), 0u);
    EXPECT_EQ(directory->Load(last).raw(), 0u);
    const auto address = reinterpret_cast<std::uintptr_t>(directory.get());
    EXPECT_TRUE(base::kWithSanitizer || depth < 16 || address % base::kHugePageBytes == 0);
    directory->StoreRange(~std::uint64_t{0}, depth, PageRef(std::uint64_t{42}));
    EXPECT_EQ(directory->Load(last).raw(), 42u);
    EXPECT_EQ(directory->Load(last - 1).raw(), 0u);
    if (base::kWithSanitizer || depth < 16) continue;
    auto* const end = reinterpret_cast<std::byte*>(directory.get()) + directory->bytes() - 4096;
    EXPECT_EQ(::msync(end, 4096, MS_ASYNC), 0);
    directory.reset();
    EXPECT_EQ(::msync(end, 4096, MS_ASYNC), -1) << "still mapped";
  }
}

using testing::Get;
using testing::HasKey;
using testing::KeyOf;
using testing::kIgnore;
using testing::RecordOf;
using testing::UniformHash;

constexpr std::uint64_t kLastHash = std::numeric_limits<std::uint64_t>::max();
constexpr IndexOptions kTinyPages{.initial_page_lines = 1, .max_page_lines = 4};

class IndexTest : public ::testing::Test {
 protected:
  void Make(const IndexOptions& options = {}) {
    auto made = Index::Create(epochs_, options);
    ASSERT_TRUE(made.has_value()) << made.error().message();
    index_ = std::move(*made);
  }
  Location Put(std::uint64_t hash, std::uint64_t key, std::uint64_t version = 0) {
    auto old = index_->Upsert(hash, HasKey(key), RecordOf(key, version), kIgnore);
    EXPECT_TRUE(old.has_value());
    return old.value_or(Location());
  }
  void PutUniform(std::uint64_t keys) {
    for (std::uint64_t key = 0; key < keys; ++key) Put(UniformHash(key), key);
  }
  Location Get(std::uint64_t hash, std::uint64_t key) {
    return testing::Get(*index_, epochs_, hash, key);
  }

  EpochManager epochs_;
  std::unique_ptr<Index> index_;
};

TEST(LocationTest, PartsRoundTripAtTheirLimits) {
  constexpr Location kLargest(Location::kMaxSlot, Location::kOffsetLimit - 8,
                              Location::kMaxKnownLength);
  EXPECT_EQ(kLargest.slot(), Location::kMaxSlot);
  EXPECT_EQ(kLargest.offset(), Location::kOffsetLimit - 8);
  EXPECT_EQ(kLargest.length_bytes(), Location::kMaxKnownLength);
  constexpr Location kSmallest(0, 64, 8);
  EXPECT_EQ(kSmallest.slot(), 0U);
  EXPECT_EQ(kSmallest.offset(), 64U);
  EXPECT_EQ(kSmallest.length_bytes(), 8U);
  EXPECT_EQ(Location(kSmallest.raw()), kSmallest);
  EXPECT_NE(kSmallest, kLargest);
}

TEST(LocationTest, LongRecordsSayThatTheirLengthIsUnknown) {
  EXPECT_EQ(Location(3, 64, Location::kMaxKnownLength + 8).length_bytes(), 0U);
  EXPECT_EQ(Location(3, 64, std::uint64_t{1} << 30).length_bytes(), 0U);
  EXPECT_EQ(Location(3, 64, std::uint64_t{1} << 30).offset(), 64U);
}

TEST(LocationTest, NoRealLocationEqualsTheIndexesOwnMarks) {
  EXPECT_TRUE(Location().is_none());
  EXPECT_TRUE(IsLive(Location(0, 64, 8).raw()));
  EXPECT_FALSE(IsLive(kNeverUsedLocation));
  EXPECT_FALSE(IsLive(kDeletedLocation));
  EXPECT_EQ(Location(kDeletedLocation).offset(), 0U);
}

TEST_F(IndexTest, OptionsOutOfRangeAreRefused) {
  for (const IndexOptions& options :
       {IndexOptions{.initial_page_lines = 0}, IndexOptions{.initial_page_lines = 300},
        IndexOptions{.max_page_lines = 70'000}}) {
    const auto made = Index::Create(epochs_, options);
    ASSERT_FALSE(made.has_value());
    EXPECT_EQ(made.error().code(), StatusCode::kInvalidArgument);
  }
}

TEST_F(IndexTest, EmptyIndexFindsNothing) {
  Make();
  EXPECT_TRUE(Get(0, 0).is_none());
  EXPECT_TRUE(Get(kLastHash, 1).is_none());
  EXPECT_EQ(index_->size(), 0U);
}

TEST_F(IndexTest, KeysWithTheFirstAndTheLastHashAreOrdinaryKeys) {
  Make(kTinyPages);
  Put(0, 1);
  Put(kLastHash, 2);
  PutUniform(1000);
  EXPECT_EQ(Get(0, 1), RecordOf(1, 0));
  EXPECT_EQ(Get(kLastHash, 2), RecordOf(2, 0));
  EXPECT_EQ(index_->Erase(0, HasKey(1), kIgnore), RecordOf(1, 0));
  EXPECT_TRUE(Get(0, 1).is_none());
}

TEST_F(IndexTest, FindsWhatWasInsertedAndNothingElse) {
  Make();
  PutUniform(50'000);
  EXPECT_EQ(index_->size(), 50'000U);
  for (std::uint64_t key = 0; key < 50'000; ++key) {
    ASSERT_EQ(Get(UniformHash(key), key), RecordOf(key, 0));
    ASSERT_TRUE(Get(UniformHash(key + 50'000), key + 50'000).is_none());
  }
}

TEST_F(IndexTest, OverwriteReturnsTheOldLocationAndKeepsTheSize) {
  Make();
  EXPECT_TRUE(Put(7, 1, 0).is_none());
  EXPECT_EQ(Put(7, 1, 1), RecordOf(1, 0));
  EXPECT_EQ(Get(7, 1), RecordOf(1, 1));
  EXPECT_EQ(index_->size(), 1U);
}

TEST_F(IndexTest, OnChangeRunsOnceBeforeTheChangeCanBeSeen) {
  Make(kTinyPages);
  std::vector<Location> seen;
  // Enough keys for growth and splits, which make Upsert start again.
  for (std::uint64_t key = 0; key < 500; ++key) {
    ASSERT_TRUE(index_->Upsert(UniformHash(key), HasKey(key), RecordOf(key, 0), [&](Location old) {
      EXPECT_TRUE(Get(UniformHash(key), key).is_none());
      seen.push_back(old);
    }));
  }
  EXPECT_EQ(seen, std::vector<Location>(500));
  const auto expect_old = [&](Location old) {
    EXPECT_EQ(old, RecordOf(3, 0));
    EXPECT_EQ(Get(UniformHash(3), 3), RecordOf(3, 0));
    seen.push_back(old);
  };
  seen.clear();
  EXPECT_EQ(index_->Upsert(UniformHash(3), HasKey(3), RecordOf(3, 1), expect_old), RecordOf(3, 0));
  EXPECT_EQ(seen.size(), 1U);
}

TEST_F(IndexTest, EraseOfAnAbsentKeyChangesNothing) {
  Make();
  Put(7, 1);
  int calls = 0;
  const auto count = [&](Location) { ++calls; };
  EXPECT_TRUE(index_->Erase(7, HasKey(2), count).is_none());
  EXPECT_TRUE(index_->Erase(8, HasKey(1), count).is_none());
  EXPECT_EQ(calls, 0);
  EXPECT_EQ(index_->size(), 1U);
  EXPECT_EQ(index_->Erase(7, HasKey(1), count), RecordOf(1, 0));
  EXPECT_EQ(calls, 1);
  EXPECT_EQ(index_->size(), 0U);
}

// A copy made by compaction must not bury a newer commit.
TEST_F(IndexTest, SwapFailsWhenTheKeyWasOverwritten) {
  Make();
  Put(7, 1, 0);
  Put(7, 1, 1);
  int calls = 0;
  EXPECT_FALSE(index_->ReplaceExact(7, RecordOf(1, 0), RecordOf(1, 9), [&] { ++calls; }));
  EXPECT_FALSE(index_->EraseExact(7, RecordOf(1, 0), [&] { ++calls; }));
  EXPECT_EQ(calls, 0);
  EXPECT_EQ(Get(7, 1), RecordOf(1, 1));
}

// Nor bring back a deleted key.
TEST_F(IndexTest, SwapFailsWhenTheKeyWasDeleted) {
  Make();
  Put(7, 1, 0);
  EXPECT_EQ(index_->Erase(7, HasKey(1), kIgnore), RecordOf(1, 0));
  int calls = 0;
  EXPECT_FALSE(index_->ReplaceExact(7, RecordOf(1, 0), RecordOf(1, 9), [&] { ++calls; }));
  EXPECT_FALSE(index_->EraseExact(7, RecordOf(1, 0), [&] { ++calls; }));
  EXPECT_EQ(calls, 0);
  EXPECT_TRUE(Get(7, 1).is_none());
  EXPECT_EQ(index_->size(), 0U);
}

TEST_F(IndexTest, SwapTouchesOnlyTheSlotWithTheExactLocation) {
  Make();
  for (std::uint64_t key = 0; key < 20; ++key) Put(7, key);
  EXPECT_TRUE(index_->ReplaceExact(7, RecordOf(11, 0), RecordOf(11, 5), kIgnore));
  EXPECT_TRUE(index_->EraseExact(7, RecordOf(12, 0), kIgnore));
  for (std::uint64_t key = 0; key < 20; ++key) {
    const Location expected = key == 12 ? Location() : RecordOf(key, key == 11 ? 5 : 0);
    EXPECT_EQ(Get(7, key), expected);
  }
  EXPECT_EQ(index_->size(), 19U);
}

TEST_F(IndexTest, ReplaceManyReportsEachMoveOnceAsMovedOrLost) {
  Make();
  PutUniform(1000);
  std::vector<Index::Move> moves;
  for (std::uint64_t key = 0; key < 1000; ++key) {
    if (key % 10 == 3) Put(UniformHash(key), key, 1);
    if (key % 10 == 4) index_->Erase(UniformHash(key), HasKey(key), kIgnore);
    moves.push_back({UniformHash(key), RecordOf(key, 0), RecordOf(key, 2)});
  }
  std::vector<std::uint64_t> moved;
  std::vector<std::uint64_t> lost;
  LockHolds holds;
  index_->ReplaceMany(
      moves, [&](const Index::Move& move) { moved.push_back(KeyOf(move.new_location)); },
      [&](const Index::Move& move) { lost.push_back(KeyOf(move.new_location)); }, &holds);
  EXPECT_EQ(moved.size(), 800U);
  EXPECT_EQ(lost.size(), 200U);
  for (const std::uint64_t key : lost) EXPECT_TRUE(key % 10 == 3 || key % 10 == 4);
  for (const std::uint64_t key : moved) EXPECT_EQ(Get(UniformHash(key), key), RecordOf(key, 2));
  EXPECT_EQ(holds.counts.samples, 1000U);
  EXPECT_GT(holds.longest_ns, 0U);
  EXPECT_LE(holds.longest_ns, holds.counts.sum_ns);
}

TEST_F(IndexTest, EqualHashesGrowAPageInsteadOfSplittingForEver) {
  Make(kTinyPages);
  constexpr std::uint64_t kHash = 0x123456789ABCDEF0;
  for (std::uint64_t key = 0; key < 2000; ++key) Put(kHash, key);
  Put(~kHash, 5000);
  for (std::uint64_t key = 0; key < 2000; ++key) ASSERT_EQ(Get(kHash, key), RecordOf(key, 0));
  EXPECT_EQ(Get(~kHash, 5000), RecordOf(5000, 0));
  EXPECT_LT(index_->memory_bytes(), sizeof(Index) + 100'000);
}

TEST_F(IndexTest, LongCommonPrefixesDoNotBlowUpTheDirectory) {
  Make(kTinyPages);
  constexpr std::uint64_t kPrefix = 0xABCDEF01ULL << 32;
  for (std::uint64_t key = 0; key < 20'000; ++key) Put(kPrefix | (UniformHash(key) >> 32), key);
  for (std::uint64_t key = 0; key < 20'000; ++key) {
    ASSERT_EQ(Get(kPrefix | (UniformHash(key) >> 32), key), RecordOf(key, 0));
  }
  EXPECT_LT(index_->memory_bytes(), sizeof(Index) + 20'000 * 32);
}

TEST_F(IndexTest, PagesWithOneLongPrefixSplitWhereTheirKeysDiffer) {
  // The second page of the pair is empty at each of several splits in a row.
  Make(kTinyPages);
  for (std::uint64_t key = 0; key < 40; ++key) {
    Put((UniformHash(key) >> 8) | (std::uint64_t{0xA5} << 56), key);
  }
  for (std::uint64_t key = 0; key < 40; ++key) {
    ASSERT_EQ(Get((UniformHash(key) >> 8) | (std::uint64_t{0xA5} << 56), key), RecordOf(key, 0));
  }
}

TEST_F(IndexTest, EqualHashesAmongOthersDoNotKeepTheirPageFromSplitting) {
  Make(kTinyPages);
  constexpr std::uint64_t kHash = 0xA5A5A5A5ULL << 32;  // at home in the first line
  for (std::uint64_t key = 0; key < 3; ++key) Put(kHash, key);
  for (std::uint64_t key = 3; key < 2000; ++key) Put(UniformHash(key), key);
  for (std::uint64_t key = 0; key < 3; ++key) ASSERT_EQ(Get(kHash, key), RecordOf(key, 0));
  std::uint64_t first_hash = 0;
  do {
    first_hash = 1 + index_->VisitWholePage(first_hash, [&](IndexPage& page, std::uint64_t last) {
      EXPECT_LE(page.lines(), kTinyPages.max_page_lines) << "the page that ends at " << last;
    });
  } while (first_hash != 0);
}

TEST_F(IndexTest, ChurnRebuildsPagesInsteadOfSplittingThem) {
  Make({.initial_page_lines = 1, .max_page_lines = 16});
  for (std::uint64_t key = 0; key < 200; ++key) Put(UniformHash(key), key);
  const std::uint64_t bytes = index_->memory_bytes();
  for (std::uint64_t key = 200; key < 100'000; ++key) {
    ASSERT_FALSE(index_->Erase(UniformHash(key - 200), HasKey(key - 200), kIgnore).is_none());
    Put(UniformHash(key), key);
  }
  EXPECT_EQ(index_->size(), 200U);
  EXPECT_LT(index_->memory_bytes() - sizeof(Index), 4 * (bytes - sizeof(Index)));
  for (std::uint64_t key = 99'800; key < 100'000; ++key) {
    ASSERT_EQ(Get(UniformHash(key), key), RecordOf(key, 0));
  }
}

// With one limit for all, nearly all of them would split in one or two of these steps.
TEST_F(IndexTest, PagesSplitAtDifferentTimes) {
  Make({.initial_page_lines = 4, .max_page_lines = 32});
  const auto pages = [&] {
    double count = 0;
    std::uint64_t hash = 0;
    do {
      hash = index_->VisitPage(hash, [&](const PageEntries&, std::uint64_t) { ++count; });
    } while (++hash != 0);
    return count;
  };
  std::uint64_t key = 0;
  double before = 0;
  for (double keys = 20'000; keys < 90'000; keys *= 1.1) {
    for (; key < static_cast<std::uint64_t>(keys); ++key) Put(UniformHash(key), key);
    const double now = pages();
    if (before != 0) {
      EXPECT_LT(now, 1.25 * before) << key << " keys";
    }
    before = now;
    const auto bytes = static_cast<double>(index_->memory_bytes() - sizeof(Index));
    EXPECT_LT(bytes, 24 * keys) << key << " keys";
  }
}

TEST_F(IndexTest, MissingKeysAreRefutedAfterManyDeletions) {
  // Deleted slots must not end a probe early nor make it endless.
  Make({.initial_page_lines = 8, .max_page_lines = 8});
  for (std::uint64_t key = 0; key < 28; ++key) Put(UniformHash(key) >> 8, key);
  for (std::uint64_t key = 0; key < 28; key += 2) {
    index_->Erase(UniformHash(key) >> 8, HasKey(key), kIgnore);
  }
  for (std::uint64_t key = 0; key < 28; ++key) {
    EXPECT_EQ(Get(UniformHash(key) >> 8, key), key % 2 == 0 ? Location() : RecordOf(key, 0));
  }
}

TEST_F(IndexTest, GrowthBeyondTheMemoryLimitIsReportedAndLosesNothing) {
  Make({.initial_page_lines = 1,
        .max_page_lines = 8,
        .max_memory_bytes = sizeof(Index) + 64 * 1024});
  std::vector<bool> inserted;
  std::uint64_t refused = 0;
  for (std::uint64_t key = 0; key < 10'000; ++key) {
    const auto old = index_->Upsert(UniformHash(key), HasKey(key), RecordOf(key, 0), kIgnore);
    inserted.push_back(old.has_value());
    if (old) continue;
    EXPECT_EQ(old.error().code(), StatusCode::kOutOfMemory);
    ++refused;
  }
  EXPECT_GT(refused, 1000U);
  EXPECT_EQ(index_->size(), 10'000 - refused);
  EXPECT_LE(index_->memory_bytes(), sizeof(Index) + 64 * 1024);
  for (std::uint64_t key = 0; key < 10'000; ++key) {
    ASSERT_EQ(Get(UniformHash(key), key), inserted[key] ? RecordOf(key, 0) : Location());
    // Overwriting and erasing need no memory.
    if (!inserted[key]) continue;
    EXPECT_EQ(Put(UniformHash(key), key, 1), RecordOf(key, 0));
    EXPECT_TRUE(index_->EraseExact(UniformHash(key), RecordOf(key, 1), kIgnore));
  }
  EXPECT_EQ(index_->size(), 0U);
  Put(UniformHash(1), 1);
}

TEST_F(IndexTest, RefusedUpsertDoesNotCallOnChange) {
  Make({.initial_page_lines = 1, .max_page_lines = 1, .max_memory_bytes = sizeof(Index) + 300});
  int calls = 0;
  int accepted = 0;
  for (std::uint64_t key = 0; key < 50; ++key) {
    const auto old =
        index_->Upsert(UniformHash(key), HasKey(key), RecordOf(key, 0), [&](Location) { ++calls; });
    accepted += old ? 1 : 0;
  }
  EXPECT_EQ(accepted, 4);
  EXPECT_EQ(calls, accepted);
}

// Pages as they are are moved into another index.
TEST_F(IndexTest, AnIndexThatAdoptsThePagesOfAnotherHasItsKeys) {
  Make(kTinyPages);
  PutUniform(3000);
  for (std::uint64_t key = 0; key < 3000; key += 7) {
    EXPECT_TRUE(index_->Erase(UniformHash(key), HasKey(key), kIgnore));
  }
  std::vector<std::unique_ptr<IndexPage>> pages;
  std::uint64_t hash = 0;
  do {
    hash = index_->VisitWholePage(hash, [&](const IndexPage& page, std::uint64_t) {
      std::vector<std::byte> saved(page.slot_count() * IndexPage::kSlotBytes);
      page.Save(saved, [](Location location) { return location; });
      pages.push_back(IndexPage::Create(page.lines(), page.depth()));
      EXPECT_TRUE(pages.back()->Restore(saved, [](auto...) { return true; }));
      EXPECT_EQ(pages.back()->live(), page.live());
      EXPECT_EQ(pages.back()->used(), page.used());
    });
  } while (++hash != 0);
  const std::uint64_t size = index_->size();
  const std::uint64_t bytes = index_->memory_bytes();

  Make(kTinyPages);
  ASSERT_TRUE(index_->Adopt(std::move(pages)).ok());
  EXPECT_EQ(index_->size(), size);
  EXPECT_LE(index_->memory_bytes(), bytes);
  for (std::uint64_t key = 0; key < 3000; ++key) {
    ASSERT_EQ(Get(UniformHash(key), key), key % 7 == 0 ? Location() : RecordOf(key, 0)) << key;
  }
  for (std::uint64_t key = 0; key < 9000; ++key) Put(UniformHash(key), key, 1);
  EXPECT_EQ(index_->size(), 9000U);
  for (std::uint64_t key = 0; key < 9000; ++key) {
    ASSERT_EQ(Get(UniformHash(key), key), RecordOf(key, 1)) << key;
  }
}

TEST_F(IndexTest, APageThatHoldsWhatMustNotBeIsNotRestored) {
  Make();
  Put(5, 1);
  index_->VisitWholePage(0, [&](const IndexPage& page, std::uint64_t) {
    std::vector<std::byte> saved(page.slot_count() * IndexPage::kSlotBytes);
    page.Save(saved, [](Location location) { return location.WithSlot(9); });
    int asked = 0;
    const auto refuse = [&](std::uint64_t hash, Location location) {
      ++asked;
      EXPECT_EQ(hash, 5U);
      EXPECT_EQ(location, RecordOf(1, 0).WithSlot(9));
      return false;
    };
    EXPECT_FALSE(IndexPage::Create(page.lines(), page.depth())->Restore(saved, refuse));
    EXPECT_EQ(asked, 1);
  });
}

TEST_F(IndexTest, AdoptingBeyondTheMemoryLimitIsReportedAndChangesNothing) {
  Make({.initial_page_lines = 1, .max_memory_bytes = sizeof(Index) + 1000});
  Put(UniformHash(1), 1);
  const std::uint64_t bytes = index_->memory_bytes();
  std::vector<std::unique_ptr<IndexPage>> pages;
  pages.push_back(IndexPage::Create(100, 0));
  EXPECT_EQ(index_->Adopt(std::move(pages)).code(), StatusCode::kOutOfMemory);
  EXPECT_EQ(index_->memory_bytes(), bytes);
  EXPECT_EQ(Get(UniformHash(1), 1), RecordOf(1, 0));
}

TEST_F(IndexTest, VisitingPageByPageMeetsEachKeyOnce) {
  Make(kTinyPages);
  PutUniform(5000);
  std::vector<int> seen(5000);
  std::uint64_t first_hash = 0;
  std::uint64_t pages = 0;
  do {
    const std::uint64_t last =
        index_->VisitPage(first_hash, [&](const PageEntries& entries, std::uint64_t last_hash) {
          EXPECT_GE(last_hash, first_hash);
          for (const auto [hash, location] : entries) {
            EXPECT_GE(hash, first_hash);
            EXPECT_LE(hash, last_hash);
            EXPECT_EQ(hash, UniformHash(KeyOf(location)));
            ++seen[KeyOf(location)];
          }
        });
    ++pages;
    first_hash = last + 1;
  } while (first_hash != 0);
  EXPECT_EQ(seen, std::vector<int>(5000, 1));
  EXPECT_GT(pages, 100U);
}

TEST_F(IndexTest, VisitingFromTheMiddleOfAPageLeavesOutLowerHashes) {
  Make();
  Put(100, 1);
  Put(200, 2);
  Put(300, 3);
  std::vector<std::uint64_t> keys;
  const std::uint64_t last_hash = index_->VisitPage(200, [&](const PageEntries& entries, auto) {
    EXPECT_GE(entries.size_limit(), 2U);
    for (const auto entry : entries) keys.push_back(KeyOf(entry.location));
  });
  EXPECT_EQ(last_hash, kLastHash);
  std::sort(keys.begin(), keys.end());
  EXPECT_EQ(keys, (std::vector<std::uint64_t>{2, 3}));
}

TEST_F(IndexTest, KeyTakesAtMost24BytesAtAnySize) {
  Make();
  for (std::uint64_t key = 0; key < 400'000; ++key) {
    Put(UniformHash(key), key);
    if (key >= 100'000 && key % 1000 == 0) {
      ASSERT_LE(index_->memory_bytes() - sizeof(Index), 24 * key) << key;
    }
  }
}

}  // namespace
}  // namespace freyja::engine
