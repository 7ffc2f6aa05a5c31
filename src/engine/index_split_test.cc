// What becomes of a page that was split while somebody reads it.
#include <gtest/gtest.h>

#include <memory>

#include "engine/index.h"
#include "io/test_support.h"

namespace freyja::engine {
namespace {

TEST(IndexSplitTest, APageThatWasSplitStaysWhileAReaderMayBeInIt) {
  EpochManager epochs;
  // Pages of one line never grow: every change of a page is a split.
  const auto index =
      io::testing::Must(Index::Create(epochs, {.initial_page_lines = 1, .max_page_lines = 1}));
  auto reader = std::make_unique<EpochGuard>(epochs);
  constexpr std::uint64_t kKeys = 1000;
  for (std::uint64_t key = 1; key <= kKeys; ++key) {
    const std::uint64_t hash = key * 0x9E3779B97F4A7C15ULL;
    const auto inserted = index->Upsert(
        hash, [](Location) { return false; }, Location(0, 8 * key, 24), [](Location) {});
    ASSERT_TRUE(inserted.has_value());
  }
  // At most four keys a page, each made by a split; directories, too, but a dozen at most.
  EXPECT_GT(epochs.Collect(), kKeys / 4 - 1);
  reader.reset();
  EXPECT_EQ(epochs.Collect(), 0u);
}

}  // namespace
}  // namespace freyja::engine
