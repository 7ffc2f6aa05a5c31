// Which record of a key an open finds, whatever the order in which records are loaded.
#include "engine/index_builder.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <random>

#include "engine/index_testing.h"
#include "engine/store_testing.h"

namespace freyja::engine {
namespace {

using testing::Must;
using testing::UniformHash;

constexpr std::uint32_t kUnits = 4;  // length of a record

class IndexBuilderTest : public ::testing::Test {
 protected:
  IndexBuilderTest() {
    EXPECT_OK(fs_.CreateDirectory(testing::kPath));
    for (std::uint64_t id = 1; id <= 3; ++id) {
      auto file =
          Must(fs_.Open(testing::kPath / format::DataFileName(id), io::OpenMode::kCreateNew));
      EXPECT_OK(file->Allocate(4096));
      auto mapping = Must(file->Map(4096, false));
      segments_.push_back(Must(table_.Register(std::make_unique<Segment>(
          format::SegmentIdentity{.id = id}, std::move(file), std::move(mapping)))));
    }
  }
  static format::KeyHash HashOf(std::uint64_t key) {
    return {.low = UniformHash(key), .high = UniformHash(~key)};
  }
  // The record of a key with that number lies at the place that its number says.
  static format::HintEntry RecordOf(format::KeyHash hash, std::uint64_t sequence,
                                    bool is_tombstone = false) {
    return {.hash = hash,
            .sequence = sequence,
            .offset_units = static_cast<std::uint32_t>(8 + sequence),
            .length_units = kUnits,
            .is_tombstone = is_tombstone};
  }
  void Load(std::size_t list, std::size_t segment, std::vector<format::HintEntry> entries) {
    loaded_[list].Add(*segments_[segment], entries);
  }
  void Expect(std::uint64_t records, std::size_t lists = 1) {
    loaded_.clear();
    for (std::size_t i = 0; i < lists; ++i) loaded_.emplace_back(records);
  }
  void Build(unsigned threads = 1, const IndexOptions& options = {}) {
    index_ = Must(Index::Create(epochs_, options));
    EXPECT_OK(BuildIndex(std::move(loaded_), *index_, table_, threads));
  }
  // Number and segment of the record that a look-up leads to.
  using Found = std::pair<std::uint64_t, std::size_t>;
  std::vector<Found> Find(std::uint64_t hash) {
    const EpochGuard guard(epochs_);
    std::vector<Found> found;
    index_->Find(hash, [&](Location location) {
      found.emplace_back(location.offset() / 8 - 8, location.slot());
      return false;
    });
    std::ranges::sort(found);
    return found;
  }

  io::MemoryFileSystem fs_;
  EpochManager epochs_;
  SegmentTable table_;
  std::vector<Segment*> segments_;
  std::vector<LoadedEntries> loaded_;
  std::unique_ptr<Index> index_;
};

TEST_F(IndexBuilderTest, TheHighestNumberWinsWhereverItIs) {
  Expect(10, 3);
  Load(0, 2, {RecordOf(HashOf(1), 5), RecordOf(HashOf(2), 6)});
  Load(1, 0, {RecordOf(HashOf(1), 7), RecordOf(HashOf(3), 1)});
  Load(2, 1, {RecordOf(HashOf(2), 2), RecordOf(HashOf(1), 3)});
  Build();
  EXPECT_EQ(Find(HashOf(1).low), (std::vector<Found>{{7, 0}}));
  EXPECT_EQ(Find(HashOf(2).low), (std::vector<Found>{{6, 2}}));
  EXPECT_EQ(Find(HashOf(3).low), (std::vector<Found>{{1, 0}}));
  EXPECT_EQ(index_->size(), 3u);
  EXPECT_EQ(segments_[0]->live_records(), 2u);
  EXPECT_EQ(segments_[0]->live_bytes(), 2 * 8 * kUnits);
  EXPECT_EQ(segments_[1]->live_records(), 0u);
  EXPECT_EQ(segments_[2]->live_records(), 1u);
}

TEST_F(IndexBuilderTest, ATombstoneHidesWhatIsOlderOnly) {
  Expect(10);
  Load(0, 0, {RecordOf(HashOf(1), 1), RecordOf(HashOf(2), 2)});
  Load(0, 1, {RecordOf(HashOf(1), 3, true), RecordOf(HashOf(2), 1, true)});
  Build();
  EXPECT_EQ(Find(HashOf(1).low), std::vector<Found>());
  EXPECT_EQ(Find(HashOf(2).low), (std::vector<Found>{{2, 0}}));
  EXPECT_EQ(segments_[1]->live_records(), 0u);
}

TEST_F(IndexBuilderTest, KeysThatShareTheIndexesHalfOfTheirHashAreBothThere) {
  Expect(10);
  Load(0, 0, {RecordOf({.low = 9, .high = 1}, 1), RecordOf({.low = 9, .high = 2}, 2)});
  Load(0, 1, {RecordOf({.low = 9, .high = 1}, 3)});
  Build();
  EXPECT_EQ(Find(9), (std::vector<Found>{{2, 0}, {3, 1}}));
}

TEST_F(IndexBuilderTest, AVeryLongRecordCountsInFull) {
  Expect(1);
  auto entry = RecordOf(HashOf(1), 1);
  entry.length_units = 100'000;  // more than a location can say
  Load(0, 0, {entry});
  Build();
  EXPECT_EQ(segments_[0]->live_bytes(), 800'000u);
}

TEST_F(IndexBuilderTest, NoRecordsMakeAnEmptyIndexThatTakesKeys) {
  Expect(0, 2);
  Build(2);
  EXPECT_EQ(index_->size(), 0u);
  EXPECT_TRUE(index_->Upsert(5, testing::HasKey(1), testing::RecordOf(1, 0), testing::kIgnore));
  EXPECT_EQ(Find(5).size(), 1u);
}

// Random records of few or many keys over segments and lists, against a map; through every
// number of parts and every shape of pages.
TEST_F(IndexBuilderTest, FindsWhatAMapFinds) {
  std::mt19937_64 random(7);
  for (const std::uint64_t expected : {0ULL, 8'000ULL, 100'000ULL, 20'000'000ULL}) {
    for (const std::uint64_t keys : {10ULL, 40'000ULL}) {
      for (const IndexOptions& options :
           {IndexOptions{}, IndexOptions{.initial_page_lines = 1, .max_page_lines = 4}}) {
        Expect(expected, 3);
        struct Newest {
          std::uint64_t sequence;
          std::size_t segment;
          bool is_tombstone;
        };
        std::map<std::uint64_t, Newest> model;
        std::vector<std::uint64_t> sequences(50'000);
        std::ranges::generate(sequences, [i = 0ULL]() mutable { return ++i; });
        std::ranges::shuffle(sequences, random);
        for (const std::uint64_t sequence : sequences) {
          const std::uint64_t key = random() % keys;
          const std::size_t segment = random() % 3;
          const bool is_tombstone = random() % 4 == 0;
          Load(random() % 3, segment, {RecordOf(HashOf(key), sequence, is_tombstone)});
          Newest& newest = model[key];
          if (newest.sequence < sequence) newest = {sequence, segment, is_tombstone};
        }
        for (Segment* segment : segments_) segment->SetLive(0, 0);
        Build(3, options);
        std::uint64_t live = 0;
        for (const auto& [key, newest] : model) {
          if (newest.is_tombstone) {
            ASSERT_EQ(Find(HashOf(key).low), std::vector<Found>()) << key;
          } else {
            ++live;
            ASSERT_EQ(Find(HashOf(key).low),
                      (std::vector<Found>{{newest.sequence, newest.segment}}))
                << key;
          }
        }
        EXPECT_EQ(index_->size(), live);
        std::uint64_t counted = 0;
        for (Segment* segment : segments_) counted += segment->live_records();
        EXPECT_EQ(counted, live);
      }
    }
  }
}

TEST_F(IndexBuilderTest, MemoryFollowsTheKeysAndNotTheExpectation) {
  Expect(20'000'000);
  Load(0, 0, {RecordOf(HashOf(1), 1)});
  Build();
  EXPECT_LE(index_->memory_bytes(), sizeof(Index) + 4096);

  constexpr std::uint64_t kKeys = 200'000;
  Expect(kKeys);
  for (std::uint64_t key = 0; key < kKeys; ++key) Load(0, 0, {RecordOf(HashOf(key), key + 1)});
  Build(2);
  EXPECT_EQ(index_->size(), kKeys);
  EXPECT_LE(index_->memory_bytes() - sizeof(Index), 24 * kKeys);
}

TEST_F(IndexBuilderTest, ManyEqualHashesShareOnePage) {
  Expect(100'000);
  for (std::uint64_t i = 0; i < 5'000; ++i) {
    Load(0, 0, {RecordOf({.low = 77, .high = i}, i + 1), RecordOf(HashOf(i), 10'000 + i)});
  }
  Build();
  EXPECT_EQ(index_->size(), 10'000u);
  EXPECT_EQ(Find(77).size(), 5'000u);
  for (std::uint64_t i = 0; i < 5'000; ++i) {
    ASSERT_EQ(Find(HashOf(i).low), (std::vector<Found>{{10'000 + i, 0}}));
  }
}

TEST_F(IndexBuilderTest, MoreThanTheMemoryAllowsIsReported) {
  Expect(1000);
  for (std::uint64_t key = 0; key < 1000; ++key) Load(0, 0, {RecordOf(HashOf(key), key + 1)});
  index_ = Must(
      Index::Create(epochs_, {.initial_page_lines = 1, .max_memory_bytes = sizeof(Index) + 4096}));
  EXPECT_EQ(BuildIndex(std::move(loaded_), *index_, table_, 1).code(), StatusCode::kOutOfMemory);
}

}  // namespace
}  // namespace freyja::engine
