#include "traces.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <set>
#include <sstream>

namespace freyja::bench {
namespace {

std::vector<Update> Take(Trace& trace, std::size_t count) {
  std::vector<Update> updates(count);
  trace.Next(updates);
  return updates;
}

std::unique_ptr<Trace> Made(std::string_view name, std::uint32_t keys, std::uint64_t seed = 1) {
  auto trace = MakeTrace(name, keys, seed);
  EXPECT_TRUE(trace) << trace.error();
  return std::move(*trace);
}

std::string ErrorOf(std::string_view text) {
  std::istringstream in{std::string(text)};
  const auto trace = ReadTrace(in);
  return trace ? "no error" : trace.error();
}

TEST(TracesTest, EveryNamedTraceCanBeMadeAndStaysWithinItsKeys) {
  for (const std::string& name : TraceNames()) {
    for (const std::uint32_t keys : {1U, 2U, 7U, 1000U}) {
      const auto trace = Made(name, keys);
      ASSERT_EQ(trace->keys(), keys);
      for (const Update& update : Take(*trace, 5000)) ASSERT_LT(update.key, keys) << name;
    }
  }
}

TEST(TracesTest, UnknownNamesAndBadThetasAreRefused) {
  for (const std::string_view name :
       {"zipf", "zipf:", "zipf:0", "zipf:-1", "zipf:1x", "zipf:nan", "zipf:3.1", "hot", ""}) {
    EXPECT_FALSE(MakeTrace(name, 10, 1)) << name;
  }
  EXPECT_FALSE(MakeTrace("uniform", 0, 1));
}

TEST(TracesTest, ASeedGivesTheSameUpdatesAndAnotherOneOthers) {
  const auto keys_of = [](std::uint64_t seed) {
    std::vector<std::uint32_t> keys;
    for (const Update& update : Take(*Made("zipf:0.8", 1000, seed), 100)) {
      keys.push_back(update.key);
    }
    return keys;
  };
  EXPECT_EQ(keys_of(7), keys_of(7));
  EXPECT_NE(keys_of(7), keys_of(8));
}

TEST(TracesTest, StreamsOfASeedUpdateTheSameKeysMostOftenButInAnotherOrder) {
  const auto most_frequent = [](const std::vector<Update>& updates) {
    std::vector<int> counts(100);
    for (const Update& update : updates) ++counts[update.key];
    return std::ranges::max_element(counts) - counts.begin();
  };
  const std::vector<Update> first = Take(**MakeTrace("zipf:1.2", 100, 3, 0), 20'000);
  const std::vector<Update> second = Take(**MakeTrace("zipf:1.2", 100, 3, 1), 20'000);
  EXPECT_FALSE(std::ranges::equal(first, second, {}, &Update::key, &Update::key));
  EXPECT_EQ(most_frequent(first), most_frequent(second));
}

TEST(TracesTest, ZipfGivesTheMostFrequentKeyItsShare) {
  // 1 / (1 + 1/2 + ... + 1/100) = 0.1928.
  std::vector<int> counts(100);
  for (const Update& update : Take(*Made("zipf:1", 100), 100'000)) ++counts[update.key];
  std::ranges::sort(counts, std::greater<>());
  EXPECT_NEAR(counts[0] / 1e5, 0.1928, 0.01);
  EXPECT_NEAR(counts[1] / 1e5, 0.0964, 0.01);
}

TEST(TracesTest, NineInTenUpdatesGoToTheHotTenth) {
  std::vector<int> counts(1000);
  for (const Update& update : Take(*Made("hot-cold", 1000), 200'000)) ++counts[update.key];
  std::ranges::sort(counts, std::greater<>());
  int hot = 0;
  for (int i = 0; i < 100; ++i) hot += counts[static_cast<std::size_t>(i)];
  EXPECT_NEAR(hot / 2e5, 0.9, 0.01);
}

TEST(TracesTest, SequentialVisitsEveryKeyOnceARound) {
  std::set<std::uint32_t> keys;
  const auto trace = Made("sequential", 50);
  for (const Update& update : Take(*trace, 50)) keys.insert(update.key);
  EXPECT_EQ(keys.size(), 50u);
  EXPECT_EQ(Take(*trace, 1)[0].key, 0u);
}

TEST(TracesTest, BulkDeleteDeletesAnEighthAndPutsItAgain) {
  const auto trace = Made("bulk-delete", 80);
  const std::vector<Update> round = Take(*trace, 20 + 40 + 1);
  for (std::uint32_t i = 0; i < 10; ++i) {
    EXPECT_TRUE(round[i].is_delete);
    EXPECT_EQ(round[i].key, i);
    EXPECT_FALSE(round[10 + i].is_delete);
    EXPECT_EQ(round[10 + i].key, i);
  }
  EXPECT_TRUE(round[60].is_delete);
  EXPECT_EQ(round[60].key, 10u);
}

TEST(TracesTest, SharesOfTheRateGroupsAddUpToOne) {
  for (const std::string_view name : {"uniform", "zipf:0.6", "zipf:1.2", "hot-cold"}) {
    RateGroup sum;
    for (const RateGroup& group : Made(name, 12'345)->rates()) {
      sum.keys += group.keys;
      sum.updates += group.updates;
    }
    EXPECT_NEAR(sum.keys, 1, 1e-9) << name;
    EXPECT_NEAR(sum.updates, 1, 1e-9) << name;
  }
  EXPECT_TRUE(Made("sequential", 10)->rates().empty());
}

TEST(TracesTest, AFileIsReplayedLineByLineAndStartsAgain) {
  std::istringstream in("a\nb\r\n\n-a\na b\n");
  const auto trace = ReadTrace(in);
  ASSERT_TRUE(trace) << trace.error();
  EXPECT_EQ((*trace)->keys(), 3u);
  EXPECT_EQ((*trace)->period(), 4u);
  const std::vector<Update> updates = Take(**trace, 5);
  const std::vector<std::uint32_t> keys{0, 1, 0, 2, 0};
  for (std::size_t i = 0; i < keys.size(); ++i) {
    EXPECT_EQ(updates[i].key, keys[i]);
    EXPECT_EQ(updates[i].is_delete, i == 2);
  }
}

TEST(TracesTest, ErrorsInAFileNameTheLine) {
  EXPECT_EQ(ErrorOf("a\n\n-\n"), "line 3: '-' without a key");
  EXPECT_EQ(ErrorOf("-\r\n"), "line 1: '-' without a key");
  EXPECT_EQ(ErrorOf(""), "holds no updates");
  EXPECT_EQ(ErrorOf("\n\n"), "holds no updates");
}

}  // namespace
}  // namespace freyja::bench
